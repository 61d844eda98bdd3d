"""What was found or drawn, as a file: CSV for spreadsheets, Parquet for programs.

Feed text is hostile. A spreadsheet takes a cell that begins with ``=`` for a formula, so CSV
cells that begin like one get an apostrophe before them; Parquet holds the text as it is.
"""

import io
from collections.abc import Mapping, Sequence

import pandas as pd

from classifier.prediction import SCALE
from store.search import FoundDocument

_SERIES = {
    "start": "start",
    "end": "end",
    "documents": "documents",
    "negative": "negative",
    "held": "window_documents",
    "found": "window_negative",
    "share": "share",
    "low": "share_low",
    "high": "share_high",
    "usual": "usual",
    "usual_low": "usual_low",
    "usual_high": "usual_high",
}
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


def tabulate_series(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The series by ``dashboard.subject.lines`` of each subject, below each other; times in UTC.

    ``documents`` and ``negative`` are of the step, ``window_*`` and the shares of its window.
    """
    parts = [table.rename(columns=_SERIES)[list(_SERIES.values())] for table in tables.values()]
    whole = pd.concat([part.assign(subject=name) for name, part in zip(tables, parts, strict=True)])
    for name in ("start", "end"):
        whole[name] = pd.to_datetime(whole[name], unit="ms", utc=True)
    return whole[["subject", *_SERIES.values()]].reset_index(drop=True)


def series_as_csv(tables: Mapping[str, pd.DataFrame]) -> bytes:
    """UTF-8 with a byte order mark; times as ISO 8601."""
    table = tabulate_series(tables)
    table["subject"] = pd.Series([harmless(name) for name in table["subject"]], dtype=object)
    for name in ("start", "end"):
        table[name] = [at.isoformat() for at in table[name]]
    return table.to_csv(index=False).encode("utf-8-sig", "replace")


def series_as_parquet(tables: Mapping[str, pd.DataFrame]) -> bytes:
    """Parquet, compressed."""
    stream = io.BytesIO()
    tabulate_series(tables).to_parquet(stream, index=False)
    return stream.getvalue()


def harmless(value: object) -> object:
    """A cell of a CSV that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.lstrip(" \u00a0").startswith(_FORMULA):
        return f"'{value}"
    return value
