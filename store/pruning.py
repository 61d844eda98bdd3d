"""Deletes what lies before a run's retention horizon, a bounded batch a transaction.

The horizon must have been moved there first, so that no worker adds to what is deleted. Rows are
locked in the order of ``store.additions``; who reads or corrects a document waits for one batch at
most. An interrupted prune is simply begun again. Knows neither ages nor rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select, text

from store import arrays
from store.preparing import symbol_columns
from store.schema import corrections, dead_letters, documents, time_buckets

BEGINNING = (datetime.min.replace(tzinfo=UTC), "")
"""The position before the first document."""

# Not yet those that were never corrected: who corrects one holds it until the correction is there.
_HOLD = text("""
with chosen as (
    select id from documents
    where run_id = :run_id and published_at < :before
        and published_at >= :after_at and (published_at, id) > (:after_at, :after_id)
    order by published_at, id
    limit :limit
)
select d.id, d.published_at, d.symbols
from documents d join chosen using (id)
where d.run_id = :run_id
order by d.id collate "C"
for update of d
""")

_CORRECTED = text("""
select distinct document_id from corrections
where run_id = :run_id and document_id = any(cast(:ids as text[]))
""")

_SYMBOLS = text("""
delete from document_symbols s
using unnest(
    cast(:document_id as text[]), cast(:symbol as text[]), cast(:published_at as timestamptz[])
) old (document_id, symbol, published_at)
where s.run_id = :run_id and s.symbol = old.symbol
    and s.published_at = old.published_at and s.document_id = old.document_id
""")

_SCORES, _DOCUMENTS = (
    text(f"delete from {table} where run_id = :run_id and {column} = any(cast(:ids as text[]))")  # noqa: S608
    for table, column in (("earlier_scores", "document_id"), ("documents", "id"))
)

# Nobody but a prune touches buckets before the horizon.
_BUCKETS = text("""
delete from time_buckets where ctid = any(array(
    select ctid from time_buckets
    where run_id = :run_id and width = :width and scope = :scope
        and start >= :after and start < :before
    order by start
    limit :limit))
returning start
""")

_DEAD_LETTERS = text("""
delete from dead_letters where ctid = any(array(
    select ctid from dead_letters where run_id = :run_id and received_at < :before
    order by source, partition, "offset"
    limit :limit))
""")


@dataclass(frozen=True, slots=True)
class Deleted:
    """What one batch deleted. ``last`` is the position to go on after; None: it was the last."""

    documents: int
    symbols: int
    earlier_scores: int
    kept: int
    last: tuple[datetime, str] | None


@dataclass(frozen=True, slots=True)
class Old:
    """What lies before a horizon; documents that were corrected by somebody stay."""

    documents: int
    kept_corrected: int
    minute_buckets: int
    hour_buckets: int
    day_buckets: int
    dead_letters: int

    @property
    def steps(self) -> int:
        """All of it."""
        buckets = self.minute_buckets + self.hour_buckets + self.day_buckets
        return self.documents + self.kept_corrected + buckets + self.dead_letters


def count_old(
    connection: Connection,
    run_id: int,
    before: datetime,
    hours_before: datetime | None,
    received_before: datetime,
) -> Old:
    """Count what is before the cutoffs; it reads all of that, as deleting would."""
    table, said, buckets, letters = documents.c, corrections.c, time_buckets.c, dead_letters.c
    old = select(func.count()).where(table.run_id == run_id, table.published_at < before)
    corrected = select(said.document_id).where(said.run_id == run_id)
    of_run = select(func.count()).where(buckets.run_id == run_id)
    counts = [
        old.where(table.id.not_in(corrected)),
        old.where(table.id.in_(corrected)),
        of_run.where(buckets.width == "minute", buckets.start < before),
        select(func.count()).where(letters.run_id == run_id, letters.received_at < received_before),
    ]
    if hours_before is not None:
        counts += [
            of_run.where(buckets.width == width, buckets.start < hours_before)
            for width in ("hour", "day")
        ]
    fresh, kept, minutes, dead, *coarse = (int(connection.scalar(c) or 0) for c in counts)
    hours, days = coarse or (0, 0)
    return Old(fresh, kept, minutes, hours, days, dead)


def delete_documents(
    connection: Connection, run_id: int, before: datetime, after: tuple[datetime, str], limit: int
) -> Deleted:
    """Delete the next documents by event time, with their symbols and earlier scores.

    Those that were ever corrected stay, with all that belongs to them.
    """
    names = {"run_id": run_id, "before": before, "limit": limit}
    held = connection.execute(_HOLD, {**names, "after_at": after[0], "after_id": after[1]}).all()
    if not held:
        return Deleted(0, 0, 0, 0, None)
    corrected = set(connection.scalars(_CORRECTED, _ids(run_id, [row.id for row in held])))
    old = {row.id: row for row in held if row.id not in corrected}
    named = symbol_columns(
        [(identity, row.published_at) for identity, row in old.items()],
        {identity: row.symbols for identity, row in old.items()},
    )
    symbols = 0
    if named is not None:
        symbols = connection.execute(_SYMBOLS, {"run_id": run_id, **named}).rowcount
    scores, gone = (
        connection.execute(statement, _ids(run_id, list(old))).rowcount
        for statement in (_SCORES, _DOCUMENTS)
    )
    last = max((row.published_at, row.id) for row in held)
    return Deleted(gone, symbols, scores, len(corrected), last)


def delete_buckets(  # noqa: PLR0913 - a part of one scope of one width of a run
    connection: Connection,
    run_id: int,
    width: str,
    scope: str,
    span: tuple[datetime, datetime],
    limit: int,
) -> tuple[int, datetime]:
    """Delete the first ``limit`` buckets that begin in [start, end) of ``span``.

    How many there were, and where the last began: the next span begins there.
    """
    names = {"run_id": run_id, "width": width, "scope": scope, "limit": limit}
    rows = connection.scalars(_BUCKETS, {**names, "after": span[0], "before": span[1]}).all()
    return len(rows), max(rows, default=span[1])


def delete_dead_letters(connection: Connection, run_id: int, before: datetime, limit: int) -> int:
    """Delete at most ``limit`` dead letters that were received before (wall clock); how many."""
    names = {"run_id": run_id, "before": before, "limit": limit}
    return connection.execute(_DEAD_LETTERS, names).rowcount


def _ids(run_id: int, identities: Sequence[str]) -> dict[str, object]:
    return {"run_id": run_id, "ids": arrays.texts(identities)}
