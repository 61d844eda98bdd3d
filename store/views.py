"""What a screen shows of one run: read-only queries, each bounded in rows, none that writes.

A span is [start, end) of event time. Knows nothing of how its answers are drawn.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    Interval,
    Subquery,
    bindparam,
    func,
    literal,
    select,
    text,
    true,
)

from store.buckets import Sums, widest
from store.content import content
from store.schema import counters, document_symbols, documents, runs, time_buckets

EXAMINED, EXAMINED_OF_SYMBOL = 50_000, 10_000
"""Documents, the newest of a slice, that a list is made of; those of a symbol are looked up one by
one. Either takes a tenth of a second at most."""

RANKED = timedelta(days=7)
"""Keys are ranked by the documents of so long a time at most."""

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

    Whole days are read from the day buckets if the slice is made of them, other whole hours from
    the hour buckets, anything finer from the minute buckets; the slice is best cut on boundaries
    of both.
    """
    # One bin after the other: read key by key, a year of hours would cost ten times as many pages.
    table, length = time_buckets.c, bindparam("size", size, type_=Interval)
    first = func.date_bin(length, _moment(part.start), _moment(MONDAY))
    bins = (
        func.generate_series(first, _moment(part.end), length)
        .table_valued("start")
        .render_derived("bins")
    )
    sums = (
        select(table.key, *_sums())
        .where(*_buckets(part, _width(part, size)))
        .where(table.start >= func.greatest(bins.c.start, _moment(part.start)))
        .where(table.start < bins.c.start + length)
        .group_by(table.key)
        .lateral("sums")
    )
    ordered = select(sums.c.key, bins.c.start, *list(sums.c)[1:]).join_from(bins, sums, true())
    rows = connection.execute(ordered.order_by(sums.c.key, bins.c.start))
    return [Bin(row[0], row[1], Sums(*map(int, row[2:]))) for row in rows]


def _width(part: Slice, size: timedelta) -> str:
    """By the size of bins alone whether hours or minutes; days must fill the slice too."""
    if size % timedelta(hours=1):
        return "minute"
    days = widest(part.start, part.end, MONDAY + size) == "day"
    return "day" if days else "hour"


def largest_keys(connection: Connection, part: Slice, limit: int = 100) -> list[str]:
    """The keys with most documents, the largest first, from the hour buckets the slice touches.

    Of a slice that is longer than ``RANKED``: all keys by name if there are no more than
    ``limit``, else those with most documents in its last part of that length.
    """
    if part.end - part.start <= RANKED:
        return _ranked(connection, part, limit)
    names = {
        "run_id": part.run_id,
        "scope": part.scope,
        "after": part.start - timedelta(hours=1),
        "end": part.end,
        "kind": part.kind,
        "limit": limit + 1,
    }
    known = list(connection.scalars(_KEYS, names))
    if len(known) <= limit:
        return known
    largest = _ranked(connection, replace(part, start=part.end - RANKED), limit)
    rest = [key for key in known if key not in largest]
    return (largest + rest)[:limit]


def _ranked(connection: Connection, part: Slice, limit: int) -> list[str]:
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
    """The documents of a slice, the newest first, or the most negative first.

    Only the latest of a slice are looked at: see ``left_out_until``.
    """
    found = _examined(part)
    newest = (found.c.published_at.desc(), found.c.id)
    order = (found.c.score, *newest) if negative_first else newest
    chosen = select(found.c.id, found.c.score, found.c.published_at).order_by(*order).limit(limit)
    if part.kind is not None:
        chosen = chosen.where(found.c.kind == part.kind)
    if part.scope == "source" and part.key is not None:
        chosen = chosen.where(found.c.source == part.key)
    few = chosen.subquery("few")
    # Only these are read in full, each by its key.
    table = documents.c
    shown = (
        select(*_shown(text_length))
        .where(table.run_id == part.run_id, table.id == few.c.id)
        .limit(1)
        .lateral("shown")
    )
    newest = (few.c.published_at.desc(), few.c.id)
    order = (few.c.score, *newest) if negative_first else newest
    rows = connection.execute(select(*shown.c).join_from(few, shown, true()).order_by(*order))
    return [DocumentRow(**{**row, "symbols": tuple(row["symbols"])}) for row in rows.mappings()]


def left_out_until(connection: Connection, part: Slice) -> datetime | None:
    """Up to when a list of the slice's documents looks at none; None: it looks at all.

    It looks at the latest ``EXAMINED`` of a topic, or of all of them where a kind or a source is
    asked for; of a symbol at ``EXAMINED_OF_SYMBOL``.
    """
    _, at, conditions, most = _where(part)
    statement = select(at).where(*conditions).order_by(at.desc()).offset(most).limit(1)
    found: datetime | None = connection.scalar(statement)
    return found


def _examined(part: Slice) -> Subquery:
    """The newest documents of a slice, in the order of an index."""
    of_symbol, at, conditions, most = _where(part)
    table = documents.c
    columns = (table.score, table.kind, table.source)
    if not of_symbol:
        newest = select(table.id, at, *columns).where(*conditions)
        return newest.order_by(at.desc()).limit(most).subquery("examined")
    named = (
        select(document_symbols.c.document_id.label("id"), at)
        .where(*conditions)
        .order_by(at.desc())
        .limit(most)
        .subquery("named")
    )
    each = (
        select(*columns)
        .where(table.run_id == part.run_id, table.id == named.c.id)
        .limit(1)
        .lateral("each")
    )
    return select(*named.c, *each.c).join_from(named, each, true()).subquery("examined")


def _where(
    part: Slice,
) -> tuple[bool, ColumnElement[datetime], list[ColumnElement[bool]], int]:
    """Whether a symbol's documents are meant; event time, what is asked of it, and how many."""
    of_symbol = part.scope == "symbol" and part.key is not None
    table = document_symbols.c if of_symbol else documents.c
    at = table.published_at
    conditions = [table.run_id == part.run_id, at >= part.start, at < part.end]
    if of_symbol:
        conditions.append(table.symbol == part.key)
    elif part.scope == "topic" and part.key is not None:
        conditions.append(table.topic == part.key)
    return of_symbol, at, conditions, EXAMINED_OF_SYMBOL if of_symbol else EXAMINED


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


def _moment(at: datetime) -> ColumnElement[datetime]:
    return literal(at, DateTime(timezone=True))


# One key after the other, each by the index: however many hours hold it.
_KEYS = text("""
with recursive known (key) as (
    (select key from time_buckets
        where run_id = :run_id and width = 'hour' and scope = :scope order by key limit 1)
    union all
    select (
        select t.key from time_buckets t
        where t.run_id = :run_id and t.width = 'hour' and t.scope = :scope and t.key > known.key
        order by t.key limit 1)
    from known where known.key is not null
)
select key from known
where key is not null and exists (
    select from time_buckets t
    where t.run_id = :run_id and t.width = 'hour' and t.scope = :scope and t.key = known.key
        and t.start > :after and t.start < :end and t.kind = coalesce(:kind, t.kind))
limit :limit
""")
