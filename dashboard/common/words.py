"""What the page says, in the reader's language. English texts stand in the code and are the keys.

The other languages are catalogues in gettext's PO form, which translators' tools read. What a
catalogue lacks is said in English. Text of feeds, and names of topics, rules and runs, are never
looked up here.
"""

import ast
from functools import cache
from pathlib import Path

from dashboard.common.preferences import preferences

_FOLDER = Path(__file__).parent / "languages"


def say(text: str, /, **values: object) -> str:
    """``text`` in the reader's language, with the ``values`` that it names, as ``str.format``."""
    found = catalogue(preferences().language).get(text, text)
    return found.format(**values) if values else found


def say_count(one: str, many: str, /, count: int, **values: object) -> str:
    """One of two texts by ``count``, which both may name. Chinese has one form, by ``many``."""
    english = preferences().language == "en"
    return say(one if english and count == 1 else many, count=count, **values)


def later(text: str, /) -> str:
    """``text`` itself, marked as one that is said later: the language is not known at import."""
    return text


@cache
def catalogue(language: str) -> dict[str, str]:
    """What is said for each English text; nothing for English itself."""
    path = _FOLDER / f"{language}.po"
    return read_catalogue(path.read_text("utf-8")) if path.is_file() else {}


def read_catalogue(written: str) -> dict[str, str]:
    """The texts of a catalogue in gettext's PO form, without its head."""
    pairs: list[tuple[list[str], list[str]]] = []
    for line in written.splitlines():
        word, _, rest = line.partition(" ")
        if word == "msgid":
            pairs.append(([ast.literal_eval(rest)], []))
        elif word == "msgstr":
            pairs[-1][1].append(ast.literal_eval(rest))
        elif line.startswith('"'):
            text, said = pairs[-1]
            (said or text).append(ast.literal_eval(line))
    found = {"".join(text): "".join(said) for text, said in pairs}
    return {text: said for text, said in found.items() if text and said}
