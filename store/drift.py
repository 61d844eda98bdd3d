"""What drift is measured on and where its reports are kept. Measures nothing.

A span is [start, end) of event time.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select

from store.content import content
from store.schema import documents, drift_reports, time_buckets

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class DriftReport:
    """How far a span of a run is from what its model was trained on.

    An index is a population stability index; None where it could not be measured. ``report``
    holds the details as plain data.
    """

    run_id: int
    model: str
    window_start: datetime
    window_end: datetime
    documents: int
    topic_psi: float | None
    sentiment_psi: float | None
    confidence_psi: float | None
    vocabulary_psi: float | None
    verdict: str
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredReport(DriftReport):
    """A report as it is kept; ``at`` is when it was made (wall clock)."""

    id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class SampledDocument:
    """A document's text as the model saw it, and what the model said.

    Probabilities are integers of 1e-4 in the order of the labels of ``model``.
    """

    text: str
    topic: str
    topic_probabilities: tuple[int, ...]
    sentiment_probabilities: tuple[int, ...]
    model: str


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Documents of a span by the class that the model chose; absent classes have none."""

    documents: int
    topics: dict[str, int]
    sentiments: dict[str, int]


def save_report(connection: Connection, report: DriftReport) -> int:
    """Keep a report; its number."""
    statement = insert(drift_reports).returning(drift_reports.c.id)
    return int(connection.execute(statement, asdict(report)).scalar_one())


def latest_reports(connection: Connection, run_id: int, limit: int = 10) -> list[StoredReport]:
    """The newest reports of a run, the newest first."""
    table = drift_reports.c
    statement = (
        select(drift_reports).where(table.run_id == run_id).order_by(table.id.desc()).limit(limit)
    )
    return [StoredReport(**row) for row in connection.execute(statement).mappings()]


def sample_for_drift(
    connection: Connection, run_id: int, start: datetime, end: datetime, limit: int
) -> list[SampledDocument]:
    """At most ``limit`` documents from all over the span.

    They are those with the least hash of their id: chosen as if by chance, the same on every
    call, and kept when the span grows unless lesser ones come.
    """
    table = documents.c
    columns = (
        content(),
        table.topic,
        table.topic_probabilities,
        table.sentiment_probabilities,
        table.model,
    )
    statement = (
        select(*columns)
        .where(table.run_id == run_id, table.published_at >= start, table.published_at < end)
        .order_by(func.md5(table.id), table.id)
        .limit(limit)
    )
    rows = connection.execute(statement)
    return [SampledDocument(r[0], r[1], tuple(r[2]), tuple(r[3]), r[4]) for r in rows]


def class_counts(
    connection: Connection, run_id: int, start: datetime, end: datetime
) -> ClassCounts:
    """How many documents of each class the buckets of the span hold.

    Whole minutes: the buckets that begin in the span. Hours stand for their minutes where they
    lie in it wholly.
    """
    table = time_buckets.c
    names = ("documents", "negative", "neutral", "positive")
    sums = [func.coalesce(func.sum(table[name]), 0) for name in names]
    within = (table.run_id == run_id, _begins_in(start, end))
    one = connection.execute(select(*sums).where(*within, table.scope == "all")).one()
    topics = connection.execute(
        select(table.key, func.sum(table.documents))
        .where(*within, table.scope == "topic")
        .group_by(table.key)
        .order_by(table.key)
    )
    counted: Sequence[int] = [int(value) for value in one]
    return ClassCounts(
        counted[0],
        {row[0]: int(row[1]) for row in topics},
        dict(zip(names[1:], counted[1:], strict=True)),
    )


def _begins_in(start: datetime, end: datetime) -> ColumnElement[bool]:
    """Hour buckets that lie within the span wholly, minute buckets for what is left at its ends."""
    table = time_buckets.c
    first = _floor(start + _HOUR - timedelta.resolution)
    last = max(first, _floor(end))
    hours = and_(table.width == "hour", table.start >= first, table.start < last)
    minutes = and_(
        table.width == "minute",
        or_(table.start < first, table.start >= last),
        table.start >= start,
        table.start < end,
    )
    return or_(hours, minutes)


def _floor(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
