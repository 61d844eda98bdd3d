"""The commands, by what they are about; ``tapewatch.cli`` puts them together."""
