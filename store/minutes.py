"""A key's minute buckets as columns: for who reads a year of them at once.

PostgreSQL sends each column as one value of the numbers' own bytes, which numpy reads in place. Row
by row, a year of a busy scope would take a quarter of an hour. Knows no rule.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

Column = NDArray[np.int64]

_MICROSECONDS_A_MINUTE = 60_000_000
_MINUTES_TO_2000 = 15_778_080
"""Minutes from the UNIX epoch to PostgreSQL's, 1 January 2000."""

_SUMS = ("documents", "negative", "neutral", "positive", "score_sum")

_BUCKETS = text(f"""
select string_agg(timestamptz_send(start), ''),
    {", ".join(f"string_agg(int8send({name}), '')" for name in _SUMS)}
from time_buckets
where run_id = :run_id and width = 'minute' and scope = :scope and key = any(:keys)
    and start >= :start and start < :end and kind = any(:kinds)
""")  # noqa: S608 - names of ours


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
    keys: tuple[str, ...],
    start: datetime,
    end: datetime,
    kinds: tuple[str, ...] = ("news", "comment"),
) -> Minutes:
    """The minutes of ``keys`` that begin in [start, end); keys and kinds are added up."""
    names = {"run_id": run_id, "scope": scope, "start": start, "end": end}
    row = connection.execute(_BUCKETS, {**names, "keys": list(keys), "kinds": list(kinds)}).one()
    began, *sums = (np.frombuffer(column or b"", dtype=">i8").astype(np.int64) for column in row)
    if not len(began):
        return Minutes(began, *sums)
    minutes = began // _MICROSECONDS_A_MINUTE + _MINUTES_TO_2000
    order = np.argsort(minutes, kind="stable")
    distinct, first = np.unique(minutes[order], return_index=True)
    return Minutes(distinct, *(np.add.reduceat(column[order], first) for column in sums))
