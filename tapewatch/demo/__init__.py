"""The bundled historical feed of `tapewatch demo`, and the generator that writes it."""
