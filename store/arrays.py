"""Columns of a bulk statement as PostgreSQL's array literals, built in a few passes over each.

A statement unnests them beside each other. Row by row, the driver would spend more on a document
than PostgreSQL does; and a temporary table costs files that are cut at every commit. Knows no
table.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec


def texts(values: Sequence[str]) -> str:
    """``text[]``. Raises ValueError for a NUL, which PostgreSQL has no place for."""
    return '{"' + _escaped(values).replace("\0", '","') + '"}' if values else "{}"


def texts_or_nulls(values: Sequence[str | None]) -> str:
    """``text[]`` with nulls. Raises ValueError for a NUL."""
    if not values:
        return "{}"
    escaped = _escaped([value or "" for value in values]).split("\0")
    pairs = zip(values, escaped, strict=True)
    return "{" + ",".join("null" if v is None else f'"{cell}"' for v, cell in pairs) + "}"


def text_lists(values: Sequence[Sequence[str]]) -> str:
    """``text[]`` whose elements are literals of ``text[]``. Raises ValueError for a NUL."""
    return texts([texts(inner) for inner in values])


def integers(values: Sequence[int]) -> str:
    """An array of any integer type."""
    return "{" + msgspec.json.encode(values).decode()[1:-1] + "}"


def integer_lists(values: Sequence[Sequence[int]]) -> str:
    """``text[]`` whose elements are literals of integer arrays, since arrays do not nest."""
    inner = msgspec.json.encode(values).decode()[2:-2]
    return '{"{' + inner.replace("],[", '}","{') + '}"}' if values else "{}"


def moments(values: Sequence[datetime]) -> str:
    """``timestamptz[]`` of aware moments."""
    return "{" + msgspec.json.encode(values).decode()[1:-1] + "}"


def booleans(values: Sequence[bool]) -> str:
    """``boolean[]``."""
    return "{" + ",".join(["t" if value else "f" for value in values]) + "}"


def _escaped(values: Sequence[str]) -> str:
    """The texts as they stand between quotation marks, with a NUL between each two."""
    joined = "\0".join(values)
    if joined.count("\0") != len(values) - 1:
        raise ValueError("a text holds the character NUL, which PostgreSQL cannot store")
    return joined.replace("\\", "\\\\").replace('"', '\\"')
