"""What is said to people, before it is said in a language: a text and the values it names. Pure.

``str`` says it in English: so commands print it, and so it is stored. Whoever draws it in another
language looks the text up there. Knows no language.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from string import Formatter


@dataclass(frozen=True, slots=True)
class Code:
    """A reason, state or metric of ours by its name, as a value of a phrase."""

    name: str

    def __str__(self) -> str:
        return self.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Phrase:
    """An English text in the form of ``str.format``, and its values; phrases may be among them."""

    text: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text.format(**{name: _english(value) for name, value in self.values.items()})


def phrase(text: str, /, **values: object) -> Phrase:
    """A phrase; the tests of the languages look for calls of this."""
    return Phrase(text, values)


def recognized(said: str, texts: Iterable[str]) -> Phrase | None:
    """The phrase of one of ``texts`` that was stored as ``said``; its values are texts now."""
    for text in texts:
        parts = [
            re.escape(literal) + (f"(?P<{name}>.+)" if name else "")
            for literal, name, _, _ in Formatter().parse(text)
        ]
        if found := re.fullmatch("".join(parts), said):
            return Phrase(text, found.groupdict())
    return None


def _english(value: object) -> object:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else value
