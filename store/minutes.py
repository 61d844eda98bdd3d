"""A key's minute buckets as columns: for who reads a year of them at once.

PostgreSQL sends rows of one fixed width in its binary copy format, which numpy reads in place; a
row at a time, a year of a busy scope would take a quarter of an hour. Knows no rule.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import Connection

Column = NDArray[np.int64]

_HEADER_BYTES, _TRAILER_BYTES = 19, 2
_MICROSECONDS_A_MINUTE = 60_000_000
_MINUTES_TO_2000 = 15_778_080
"""Minutes from the UNIX epoch to PostgreSQL's, 1 January 2000."""

_SUMS = ("documents", "negative", "neutral", "positive", "score_sum")
_ROW = np.dtype(
    [("fields", ">i2")]
    + [
        part
        for name in ("start", "news", *_SUMS)
        for part in ((f"{name}_bytes", ">i4"), (name, ">i8"))
    ]
)

_BUCKETS = sql.SQL("""
copy (
    select start, (kind = 'news')::integer::bigint,
        documents, negative, neutral, positive, score_sum
    from time_buckets
    where run_id = {run_id} and width = 'minute' and scope = {scope} and key = {key}
        and start >= {start} and start < {end}
    order by start
) to stdout (format binary)""")


@dataclass(frozen=True, slots=True)
class Minutes:
    """The minutes of one key in order, (n,): each with its sums. Minutes of the UNIX epoch."""

    start: Column
    documents: Column
    negative: Column
    neutral: Column
    positive: Column
    score_sum: Column


def read_minutes(  # noqa: PLR0913 - a span of one key of one run
    connection: Connection,
    run_id: int,
    scope: str,
    key: str,
    start: datetime,
    end: datetime,
    kinds: tuple[str, ...] = ("news", "comment"),
) -> Minutes:
    """The minutes of ``key`` that begin in [start, end); both kinds are added up."""
    values = {"run_id": run_id, "scope": scope, "key": key, "start": start, "end": end}
    statement = _BUCKETS.format(**{name: sql.Literal(value) for name, value in values.items()})
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        content = b"".join(copy)
    rows = np.frombuffer(content[_HEADER_BYTES:-_TRAILER_BYTES], dtype=_ROW)
    if set(kinds) != {"news", "comment"}:
        rows = rows[rows["news"] == int("news" in kinds)]
    minutes = rows["start"].astype(np.int64) // _MICROSECONDS_A_MINUTE + _MINUTES_TO_2000
    if not len(minutes):
        return Minutes(*[minutes] * (1 + len(_SUMS)))
    distinct, first = np.unique(minutes, return_index=True)
    sums = [np.add.reduceat(rows[name].astype(np.int64), first) for name in _SUMS]
    return Minutes(distinct, *sums)
