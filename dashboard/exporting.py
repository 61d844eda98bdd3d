"""What was found, as a file: CSV for spreadsheets, Parquet for programs.

Feed text is hostile. A spreadsheet takes a cell that begins with ``=`` for a formula, so CSV
cells that begin like one get an apostrophe before them; Parquet holds the text as it is.
"""

import io
from collections.abc import Sequence

import pandas as pd

from classifier.prediction import SCALE
from store.search import FoundDocument

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TEXTS = ["id", "source", "title", "text", "url", "author", "language", "topic", "model", "symbols"]


def tabulate(rows: Sequence[FoundDocument]) -> pd.DataFrame:
    """One row a text, unchanged; score and margin as fractions, times in UTC."""
    table = [
        {
            "id": row.id,
            "published_at": row.published_at,
            "source": row.source,
            "kind": row.kind,
            "title": row.title,
            "text": row.text,
            "url": row.url,
            "author": row.author,
            "language": row.language,
            "symbols": list(row.symbols),
            "topic": row.topic,
            "sentiment": row.sentiment,
            "score": row.score / SCALE,
            "margin": row.margin / SCALE,
            "model": row.model,
            "copies": row.copies,
        }
        for row in rows
    ]
    return pd.DataFrame(table)


def as_csv(rows: Sequence[FoundDocument]) -> bytes:
    """UTF-8 with a byte order mark, by which spreadsheets know it."""
    table = tabulate(rows)
    if not table.empty:
        table["symbols"] = [" ".join(row.symbols) for row in rows]
        table["published_at"] = [row.published_at.isoformat() for row in rows]
        for name in _TEXTS:
            table[name] = pd.Series([harmless(value) for value in table[name]], dtype=object)
    return table.to_csv(index=False).encode("utf-8-sig", "replace")


def as_parquet(rows: Sequence[FoundDocument]) -> bytes:
    """Parquet, compressed."""
    stream = io.BytesIO()
    tabulate(rows).to_parquet(stream, index=False)
    return stream.getvalue()


def harmless(value: object) -> object:
    """A cell of a CSV that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.lstrip(" \u00a0").startswith(_FORMULA):
        return f"'{value}"
    return value
