"""What a screen shows of one run: read-only queries, each bounded in rows, none that writes.

A span is [start, end) of event time. Knows nothing of how its answers are drawn.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Interval, Select, bindparam, func, select

from store.buckets import Sums
from store.content import content
from store.schema import counters, document_symbols, documents, runs, time_buckets

MONDAY = datetime(2001, 1, 1, tzinfo=UTC)
"""Bins are counted from here, so that days begin at midnight UTC and weeks on Monday."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A span of one scope of a run; ``kind`` and ``key`` narrow it, None means any."""

    run_id: int
    scope: str
    start: datetime
    end: datetime
    kind: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run and how much it has taken in."""

    id: int
    name: str
    created_at: datetime
    finished_at: datetime | None
    documents: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Bin:
    """The sums of one key over one bin of a span."""

    key: str
    start: datetime
    sums: Sums


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """One document as a list shows it. ``text`` may be cut; ``score`` is in units of 1e-4."""

    id: str
    published_at: datetime
    source: str
    kind: str
    title: str | None
    text: str
    url: str | None
    topic: str
    sentiment: str
    score: int
    symbols: tuple[str, ...]


def summarize_runs(connection: Connection) -> list[RunSummary]:
    """Every run with its counters, the newest first."""
    statement = (
        select(
            runs.c.id,
            runs.c.name,
            runs.c.created_at,
            runs.c.finished_at,
            func.coalesce(counters.c.documents, 0),
            func.coalesce(counters.c.dead_letters, 0),
        )
        .outerjoin(counters, counters.c.run_id == runs.c.id)
        .order_by(runs.c.created_at.desc(), runs.c.id.desc())
    )
    return [RunSummary(*row) for row in connection.execute(statement)]


def read_bins(connection: Connection, part: Slice, size: timedelta) -> list[Bin]:
    """The sums of each key in each bin of ``size``, by key and time; empty bins are left out.

    Whole hours are read from the hour buckets, anything finer from the minute buckets; the slice
    is best cut on boundaries of both.
    """
    table = time_buckets.c
    length = bindparam("size", size, type_=Interval)
    binned = func.date_bin(length, table.start, bindparam("origin", MONDAY)).label("bin")
    statement = (
        select(table.key, binned, *_sums())
        .where(*_buckets(part, "minute" if size % timedelta(hours=1) else "hour"))
        .where(table.start >= part.start)
        .group_by(table.key, binned)
        .order_by(table.key, binned)
    )
    rows = connection.execute(statement)
    return [Bin(row[0], row[1], Sums(*map(int, row[2:]))) for row in rows]


def largest_keys(connection: Connection, part: Slice, limit: int = 100) -> list[str]:
    """The keys with most documents, the largest first, from the hour buckets the slice touches."""
    table = time_buckets.c
    statement = (
        select(table.key)
        .where(*_buckets(part, "hour"), table.start > part.start - timedelta(hours=1))
        .group_by(table.key)
        .order_by(func.sum(table.documents).desc(), table.key)
        .limit(limit)
    )
    return list(connection.scalars(statement))


def read_documents(
    connection: Connection,
    part: Slice,
    *,
    negative_first: bool = False,
    limit: int = 200,
    text_length: int = 400,
) -> list[DocumentRow]:
    """The documents of a slice, the newest first, or the most negative first."""
    table = documents.c
    newest = (table.published_at.desc(), table.id)
    order = (table.score, *newest) if negative_first else newest
    statement = (
        _of_key(select(*_shown(text_length)), part)
        .where(table.run_id == part.run_id)
        .where(table.published_at >= part.start, table.published_at < part.end)
        .order_by(*order)
        .limit(limit)
    )
    if part.kind is not None:
        statement = statement.where(table.kind == part.kind)
    rows = connection.execute(statement).mappings()
    return [DocumentRow(**{**row, "symbols": tuple(row["symbols"])}) for row in rows]


def read_text(connection: Connection, run_id: int, document_id: str) -> str | None:
    """The whole text of a document; None where the run has none of that id."""
    table = documents.c
    statement = select(table.text).where(table.run_id == run_id, table.id == document_id)
    return connection.scalar(statement)


def read_content(connection: Connection, run_id: int, document_id: str) -> str | None:
    """A document's text as the model reads it; None where the run has none of that id."""
    table = documents.c
    statement = select(content()).where(table.run_id == run_id, table.id == document_id)
    return connection.scalar(statement)


def _buckets(part: Slice, width: str) -> list[ColumnElement[bool]]:
    table = time_buckets.c
    conditions = [
        table.run_id == part.run_id,
        table.width == width,
        table.scope == part.scope,
        table.start < part.end,
    ]
    if part.kind is not None:
        conditions.append(table.kind == part.kind)
    if part.key is not None:
        conditions.append(table.key == part.key)
    return conditions


def _sums() -> list[ColumnElement[int]]:
    names = ("documents", "negative", "neutral", "positive", "score_sum")
    return [func.sum(time_buckets.c[name]) for name in names]


def _shown(text_length: int) -> list[ColumnElement[Any]]:
    table = documents.c
    return [
        table.id,
        table.published_at,
        table.source,
        table.kind,
        table.title,
        func.left(table.text, text_length).label("text"),
        table.url,
        table.topic,
        table.sentiment,
        table.score,
        table.symbols,
    ]


def _of_key(statement: Select[Any], part: Slice) -> Select[Any]:
    table = documents.c
    if part.scope == "all" or part.key is None:
        return statement
    if part.scope == "symbol":
        named = document_symbols.c
        same = (named.run_id == table.run_id) & (named.document_id == table.id)
        return statement.join(
            document_symbols, same & (named.published_at == table.published_at)
        ).where(
            named.symbol == part.key,
            named.published_at >= part.start,
            named.published_at < part.end,
        )
    return statement.where((table.topic if part.scope == "topic" else table.source) == part.key)
