"""Every run with what one chooses it by. Read-only; each figure comes by an index."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, ScalarSelect, func, select

from store.schema import alert_events, counters, documents, runs, time_buckets


@dataclass(frozen=True, slots=True)
class ListedRun:
    """One run. ``first`` and ``last`` are its first and last minute, None while it is empty.

    ``model`` scored its newest document; ``alerts`` counts the firings that began.
    """

    id: int
    name: str
    feed: str | None
    created_at: datetime
    finished_at: datetime | None
    documents: int
    first: datetime | None
    last: datetime | None
    alerts: int
    model: str | None


def list_with_figures(connection: Connection, limit: int = 200) -> list[ListedRun]:
    """The newest runs, the newest first."""
    statement = (
        select(
            runs.c.id,
            runs.c.name,
            runs.c.feed,
            runs.c.created_at,
            runs.c.finished_at,
            func.coalesce(counters.c.documents, 0),
            _edge(first=True),
            _edge(first=False),
            _alerts(),
            _model(),
        )
        .outerjoin(counters, counters.c.run_id == runs.c.id)
        .order_by(runs.c.created_at.desc(), runs.c.id.desc())
        .limit(limit)
    )
    return [ListedRun(*row) for row in connection.execute(statement)]


def _edge(*, first: bool) -> ScalarSelect[datetime]:
    """The first or the last minute that holds a document."""
    table = time_buckets.c
    return (
        select(table.start)
        .where(table.run_id == runs.c.id, table.width == "minute", table.scope == "all")
        .order_by(table.start.asc() if first else table.start.desc())
        .limit(1)
        .correlate(runs)
        .scalar_subquery()
    )


def _alerts() -> ScalarSelect[int]:
    """How many firings began."""
    table = alert_events.c
    return (
        select(func.count())
        .where(table.run_id == runs.c.id, table.state == "firing", table.at == table.fired_at)
        .correlate(runs)
        .scalar_subquery()
    )


def _model() -> ScalarSelect[str]:
    table = documents.c
    return (
        select(table.model)
        .where(table.run_id == runs.c.id)
        .order_by(table.published_at.desc())
        .limit(1)
        .correlate(runs)
        .scalar_subquery()
    )
