"""What moved, and what a subject is made of: sums of keys side by side. Read-only queries.

A span is [start, end) of event time. Knows nothing of how its answers are drawn, nor which change
is worth telling.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select, true

from store.buckets import Sums, widest
from store.schema import document_symbols, documents, time_buckets
from store.views import Slice

_NAMES = ("documents", "negative", "neutral", "positive", "score_sum")

READ = 10_000
"""Documents of a slice, the newest first, that a split looks at: shares of so many are known to
within a hundredth, and those of a symbol are looked up one by one."""


@dataclass(frozen=True, slots=True)
class Change:
    """The sums of one key before a moment and from it on."""

    key: str
    before: Sums
    now: Sums


@dataclass(frozen=True, slots=True)
class Part:
    """What one source adds to a subject with documents of one kind."""

    source: str
    kind: str
    sums: Sums


def read_changes(
    connection: Connection, part: Slice, since: datetime, limit: int = 200
) -> list[Change]:
    """Each key's sums in [start, since) and [since, end), those with most documents first.

    Read from the longest buckets that begin at all three moments.
    """
    table = time_buckets.c
    totals = [func.sum(table[name]) for name in _NAMES]
    later = [
        func.coalesce(func.sum(table[name]).filter(table.start >= since), 0) for name in _NAMES
    ]
    statement = (
        select(table.key, *totals, *later)
        .where(
            table.run_id == part.run_id,
            table.width == widest(part.start, since, part.end),
            table.scope == part.scope,
            table.start >= part.start,
            table.start < part.end,
        )
        .group_by(table.key)
        .order_by(func.sum(table.documents).desc(), table.key)
        .limit(limit)
    )
    if part.kind is not None:
        statement = statement.where(table.kind == part.kind)
    changes = []
    for key, *numbers in connection.execute(statement):
        every, now = Sums(*map(int, numbers[:5])), Sums(*map(int, numbers[5:]))
        changes.append(Change(key, every - now, now))
    return changes


def read_parts(connection: Connection, part: Slice, read: int = READ) -> list[Part]:
    """The slice by source and kind, the largest first: of its newest ``read`` documents."""
    newest = _of_symbol(part, read) if part.scope == "symbol" and part.key else _of(part, read)
    seen = newest.subquery().c
    counts = [func.count().filter(seen.sentiment == name) for name in _NAMES[1:4]]
    statement = (
        select(seen.source, seen.kind, func.count(), *counts, func.sum(seen.score))
        .group_by(seen.source, seen.kind)
        .order_by(func.count().desc(), seen.source, seen.kind)
    )
    if part.kind is not None:
        statement = statement.where(seen.kind == part.kind)
    rows = connection.execute(statement)
    return [Part(row[0], row[1], Sums(*map(int, row[2:]))) for row in rows]


def _of(part: Slice, read: int) -> Select[Any]:
    table = documents.c
    statement = select(table.source, table.kind, table.sentiment, table.score).where(
        table.run_id == part.run_id, table.published_at >= part.start, table.published_at < part.end
    )
    if part.scope in {"topic", "source"} and part.key is not None:
        statement = statement.where(table[part.scope] == part.key)
    return statement.order_by(table.published_at.desc()).limit(read)


def _of_symbol(part: Slice, read: int) -> Select[Any]:
    """One document after the other by its key, however many the planner takes them for."""
    named, table = document_symbols.c, documents.c
    newest = (
        select(named.document_id)
        .where(
            named.run_id == part.run_id,
            named.symbol == part.key,
            named.published_at >= part.start,
            named.published_at < part.end,
        )
        .order_by(named.published_at.desc())
        .limit(read)
        .subquery()
    )
    each = (
        select(table.source, table.kind, table.sentiment, table.score)
        .where(table.run_id == part.run_id, table.id == newest.c.document_id)
        .limit(1)
        .lateral()
    )
    return select(each).select_from(newest.join(each, true()))
