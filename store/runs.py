"""Runs: ``live`` and the replays. Knows their names, feeds and progress, not their contents."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest.batch import Checkpoint, Committed, Partition
from store.errors import RunConflictError, UnknownRunError
from store.schema import checkpoints, counters, document_symbols, documents, runs, time_buckets

LIVE = "live"


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it stands in the store."""

    id: int
    name: str
    feed: str | None
    created_at: datetime
    finished_at: datetime | None
    evaluated_until: datetime | None
    documents_from: datetime | None = None
    hours_from: datetime | None = None


def open_run(connection: Connection, name: str, feed: str | None = None) -> Run:
    """The run called ``name``, made if it is not there yet.

    Raises RunConflictError if it was made from another feed.
    """
    made = upsert(runs).values(name=name, feed=feed).on_conflict_do_nothing()
    connection.execute(made)
    run = find_run(connection, name)
    if run.feed != feed:
        raise RunConflictError(
            f"the run {name!r} was made from {run.feed or 'Kafka'}, not from {feed or 'Kafka'}; "
            "choose another name with --run, or begin it again with --fresh"
        )
    connection.execute(upsert(counters).values(run_id=run.id).on_conflict_do_nothing())
    return run


def find_run(connection: Connection, name: str) -> Run:
    """The run called ``name``. Raises UnknownRunError."""
    row = connection.execute(select(runs).where(runs.c.name == name)).one_or_none()
    if row is None:
        known = ", ".join(run.name for run in list_runs(connection)) or "none yet"
        raise UnknownRunError(f"there is no run called {name!r}; runs: {known}")
    return Run(*row)


def list_runs(connection: Connection) -> list[Run]:
    """Every run, the newest first."""
    rows = connection.execute(select(runs).order_by(runs.c.created_at.desc(), runs.c.id.desc()))
    return [Run(*row) for row in rows]


def delete_run(connection: Connection, name: str) -> None:
    """Forget a run and everything in it."""
    run_id = connection.scalar(select(runs.c.id).where(runs.c.name == name).with_for_update())
    if run_id is None:
        return
    for table in (document_symbols, documents, time_buckets):
        connection.execute(delete(table).where(table.c.run_id == run_id))
    connection.execute(delete(runs).where(runs.c.id == run_id))


def finish_run(connection: Connection, run_id: int) -> None:
    """Mark a replay as complete."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(finished_at=func.now()))


def read_counters(connection: Connection, run_id: int) -> Committed:
    """How many documents, repeats and dead letters the run has taken in."""
    columns = (counters.c.documents, counters.c.repeats, counters.c.dead_letters)
    row = connection.execute(select(*columns).where(counters.c.run_id == run_id)).one_or_none()
    return Committed() if row is None else Committed(*row)


def read_versions(connection: Connection, run_id: int) -> list[str]:
    """The versions of the weights that scored the run's documents."""
    found = select(documents.c.model).where(documents.c.run_id == run_id).distinct()
    return sorted(connection.scalars(found))


def read_checkpoints(connection: Connection, run_id: int) -> dict[Partition, Checkpoint]:
    """How far each partition of the run is committed."""
    columns = (
        checkpoints.c.source,
        checkpoints.c.partition,
        checkpoints.c.next_offset,
        checkpoints.c.newest_event_at,
    )
    rows = connection.execute(select(*columns).where(checkpoints.c.run_id == run_id))
    return {
        Partition(row.source, row.partition): Checkpoint(row.next_offset, row.newest_event_at)
        for row in rows
    }


def register_partitions(connection: Connection, run_id: int, partitions: list[Partition]) -> None:
    """Make sure that partitions hold back the watermark before their first record came."""
    rows = [
        {"run_id": run_id, "source": p.source, "partition": p.number, "next_offset": 0}
        for p in sorted(partitions)
    ]
    if rows:
        connection.execute(upsert(checkpoints).values(rows).on_conflict_do_nothing())
