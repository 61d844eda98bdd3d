"""What drift is measured on and where its reports are kept. Measures nothing.

A span is [start, end) of event time.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from store.content import content
from store.schema import documents, drift_reports


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
