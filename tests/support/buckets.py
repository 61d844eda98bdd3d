"""Time buckets one by one, read plainly: what the store's faster readers are held to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from store.buckets import Sums
from store.schema import time_buckets


@dataclass(frozen=True, slots=True)
class Bucket:
    """The sums of one key in one minute or hour."""

    key: str
    start: datetime
    kind: str
    sums: Sums


def read_buckets(
    connection: Connection,
    run_id: int,
    scope: str,
    start: datetime,
    end: datetime,
    keys: Iterable[str] | None = None,
    width: str = "minute",
) -> Iterator[Bucket]:
    """The buckets of ``scope`` that begin in [start, end), by key and time; ``keys`` None: all."""
    table = time_buckets.c
    statement = (
        select(
            table.key,
            table.start,
            table.kind,
            table.documents,
            table.negative,
            table.neutral,
            table.positive,
            table.score_sum,
        )
        .where(table.run_id == run_id, table.width == width, table.scope == scope)
        .where(table.start >= start, table.start < end)
        .order_by(table.key, table.start, table.kind)
    )
    if keys is not None:
        statement = statement.where(table.key.in_(list(keys)))
    for row in connection.execute(statement):
        yield Bucket(row.key, row.start, row.kind, Sums(*row[3:]))
