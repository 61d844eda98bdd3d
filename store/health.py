"""How the system does: positions, lag, what was turned away, sizes, models, deliveries.

Read-only, each bounded: what would be counted over all documents is told of the newest ones.
Judges nothing; ages and what is usual are for the reader to make of it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, text

from store.schema import checkpoints, dead_letters, deliveries, metadata, models

NEWEST = 5_000
"""Documents, by event time, that lag and models are told of."""


@dataclass(frozen=True, slots=True)
class PartitionState:
    """How far a partition is, how many of its documents were late, and when it last moved."""

    source: str
    partition: int
    next_offset: int
    newest_event_at: datetime | None
    late: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PublishLag:
    """From a document's own date to its commit: the median, and what 95 % stay under."""

    documents: int
    median: timedelta
    high: timedelta


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many dead letters have a reason, and when the newest came."""

    reason: str
    count: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table's rows, as its statistics estimate them, and its bytes on disk."""

    name: str
    rows: int
    table_bytes: int
    index_bytes: int


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A version of the weights among the newest documents, and the span of those it scored."""

    version: str
    documents: int
    first: datetime
    last: datetime
    registered_at: datetime | None


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many attempts at delivery ended in an outcome, and when the newest was."""

    outcome: str
    count: int
    newest: datetime


_LAG = text("""
select count(*), percentile_cont(0.5) within group (order by lag),
    percentile_cont(0.95) within group (order by lag)
from (
    select ingested_at - published_at as lag from documents
    where run_id = :run_id order by published_at desc limit :newest
) lags
""")

_MODELS = text("""
select model, count(*), min(published_at), max(published_at)
from (
    select model, published_at from documents
    where run_id = :run_id order by published_at desc limit :newest
) near
group by model order by max(published_at) desc, model
""")

_SIZES = text("""
select relname, greatest(reltuples, 0)::bigint, pg_table_size(oid), pg_indexes_size(oid)
from pg_class
where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace
    and relname = any(:names)
order by pg_total_relation_size(oid) desc, relname
""")


def read_partitions(connection: Connection, run_id: int) -> list[PartitionState]:
    """Every partition of the run, by source and number."""
    table = checkpoints.c
    columns = [table[name] for name in PartitionState.__slots__]
    statement = select(*columns).where(table.run_id == run_id)
    rows = connection.execute(statement.order_by(table.source, table.partition))
    return [PartitionState(*row) for row in rows]


def read_publish_lag(connection: Connection, run_id: int) -> PublishLag | None:
    """The lag of the newest documents; None where there are none."""
    row = connection.execute(_LAG, {"run_id": run_id, "newest": NEWEST}).one()
    return PublishLag(*row) if row[0] else None


def read_reasons(connection: Connection, run_id: int) -> list[ReasonCount]:
    """The reasons of the run's dead letters, the commonest first."""
    table = dead_letters.c
    count = func.count()
    statement = (
        select(table.reason, count, func.max(table.received_at))
        .where(table.run_id == run_id)
        .group_by(table.reason)
        .order_by(count.desc(), table.reason)
    )
    return [ReasonCount(*row) for row in connection.execute(statement)]


def read_table_sizes(connection: Connection) -> list[TableSize]:
    """Our tables, the largest first."""
    rows = connection.execute(_SIZES, {"names": list(metadata.tables)})
    return [TableSize(*row) for row in rows]


def read_models_used(connection: Connection, run_id: int) -> list[ModelUse]:
    """The versions that scored the newest documents, the latest first."""
    rows = connection.execute(_MODELS, {"run_id": run_id, "newest": NEWEST}).all()
    registered = select(models.c.version, models.c.first_used_at)
    known = {row.version: row.first_used_at for row in connection.execute(registered)}
    return [ModelUse(row[0], row[1], row[2], row[3], known.get(row[0])) for row in rows]


def count_by_outcome(connection: Connection, since: datetime) -> list[OutcomeCount]:
    """The attempts at delivery since a moment (wall clock), by outcome."""
    table = deliveries.c
    count = func.count()
    statement = (
        select(table.outcome, count, func.max(table.at))
        .where(table.at >= since)
        .group_by(table.outcome)
        .order_by(table.outcome)
    )
    return [OutcomeCount(*row) for row in connection.execute(statement)]
