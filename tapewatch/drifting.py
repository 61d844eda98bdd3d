"""Drift of a run, measured now or on a schedule.

A report compares a sample of the run's documents with the reference in the card of the weights
that scored them. The schedule measures when the newest report is old enough, whichever process
made it, so restarts and a second scheduler change nothing. What follows from a verdict is handed
in; nothing here promotes.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler

from classifier.continual.drift import MIN_DOCUMENTS, DriftError, DriftReport, Reference, measure
from classifier.continual.registry import CARD_FILE, Registry, RegistryError, version_of
from classifier.continual.stability import Verdict
from classifier.labels import Labels
from classifier.prediction import SCALE
from store.buckets import span as span_of
from store.database import Database
from store.drift import DriftReport as Measured
from store.drift import SampledDocument, latest_reports, sample_for_drift, save_report
from store.errors import DatabaseUnavailableError
from store.runs import LIVE, Run
from tapewatch.champion import fixed_weights, open_registry
from tapewatch.settings import Settings

log = structlog.get_logger(__name__)

SAMPLE = 5_000
"""Documents that a report rests on, at most."""

LONGEST_PAUSE = timedelta(minutes=1)
"""How often a schedule looks whether something is due."""

DAY, DAYS = timedelta(days=1), 31
"""A replay is measured day by day, so many days at most."""

_DRIFT_LOCK = 0x6472_6966


class _LabelNames(msgspec.Struct):
    topics: tuple[str, ...]
    sentiments: tuple[str, ...]


class _Card(msgspec.Struct):
    version: str
    labels: _LabelNames
    reference: object = None


@dataclass(frozen=True, slots=True)
class Weights:
    """Where the weights are whose documents are measured: the registry, or one named folder."""

    registry: Registry
    fixed: Path | None = None

    def serving(self) -> str:
        """The version that serves now."""
        return version_of(self.fixed) if self.fixed else self.registry.champion()

    def folder(self, version: str) -> Path:
        """The folder of a version. Raises RegistryError."""
        if self.fixed is not None and version_of(self.fixed) == version:
            return self.fixed
        return self.registry.folder(version)


def open_weights(settings: Settings) -> Weights:
    """The weights of the settings."""
    return Weights(open_registry(settings), fixed_weights(settings))


def window(
    database: Database, run: Run, length: timedelta, now: datetime
) -> tuple[datetime, datetime]:
    """The last ``length`` of event time: up to ``now`` when live, else to the run's last minute."""
    if run.name == LIVE:
        return now - length, now
    with database.transaction() as connection:
        extent = span_of(connection, run.id)
    end = now if extent is None else extent[1] + timedelta(minutes=1)
    return end - length, end


def measure_run(  # noqa: PLR0913 - what a report is about
    database: Database,
    weights: Weights,
    run: Run,
    start: datetime,
    end: datetime,
    limit: int = SAMPLE,
    min_documents: int = MIN_DOCUMENTS,
) -> Measured:
    """Measure the drift of [start, end) of event time and keep the report.

    Documents of several versions are not mixed: those of the version with most of the sample
    count, the others are named in the report. Raises DriftError, RegistryError.
    """
    with database.transaction() as connection:
        sample = sample_for_drift(connection, run.id, start, end, limit)
    by_version = Counter(document.model for document in sample)
    version = by_version.most_common(1)[0][0] if by_version else weights.serving()
    labels, reference = read_reference(weights.folder(version))
    drift = measure_sample(
        reference, labels, [d for d in sample if d.model == version], min_documents
    )
    others = {name: count for name, count in by_version.items() if name != version}
    report = _as_stored(run.id, version, (start, end), drift, others)
    with database.transaction() as connection:
        save_report(connection, report)
    return report


def measure_days(database: Database, weights: Weights, run: Run, now: datetime) -> list[Measured]:
    """Measure and keep what of a run has no report yet, a day (UTC) each, the oldest first.

    Of the live run the last 24 hours, as the schedule would; of a replay its last ``DAYS`` days.
    The last day of one that still goes on is measured anew. Raises DriftError, RegistryError.
    """
    with database.transaction() as connection:
        known = {(r.window_start, r.window_end) for r in latest_reports(connection, run.id, 500)}
        extent = span_of(connection, run.id)
    if run.name == LIVE or extent is None:
        return [measure_run(database, weights, run, *window(database, run, DAY, now))]
    days = _days(*extent)
    if run.finished_at is None:
        known -= {days[-1]}
    return [measure_run(database, weights, run, *day) for day in days if day not in known]


def _days(first: datetime, last: datetime) -> list[tuple[datetime, datetime]]:
    """The days from midnight to midnight that hold the two, the last ``DAYS`` of them."""
    begin = last.replace(hour=0, minute=0, second=0, microsecond=0)
    count = min(DAYS, -(-(begin - first) // DAY) + 1)
    return [(begin - n * DAY, begin - (n - 1) * DAY) for n in reversed(range(count))]


def read_reference(folder: Path) -> tuple[Labels, Reference]:
    """The labels and the drift reference in the card of these weights. Raises DriftError."""
    path = folder / CARD_FILE
    try:
        card = msgspec.json.decode(path.read_bytes(), type=_Card)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DriftError(f"the card {path} cannot be read: {error}") from error
    try:
        reference = Reference.from_json(card.reference)
    except DriftError as error:
        raise DriftError(f"{path}: {error}") from error
    return Labels(card.labels.topics, card.labels.sentiments), reference


def measure_sample(
    reference: Reference,
    labels: Labels,
    documents: Sequence[SampledDocument],
    min_documents: int = MIN_DOCUMENTS,
) -> DriftReport:
    """Compare stored documents, all of one version, with its reference."""
    shapes = (len(labels.topics), len(labels.sentiments))
    topics, sentiments = (
        np.asarray(rows, dtype=np.float64).reshape(len(documents), classes) / SCALE
        for rows, classes in zip(
            (
                [d.topic_probabilities for d in documents],
                [d.sentiment_probabilities for d in documents],
            ),
            shapes,
            strict=True,
        )
    )
    texts = [document.text for document in documents]
    return measure(reference, labels, topics, sentiments, texts, min_documents)


def _as_stored(
    run_id: int,
    version: str,
    span: tuple[datetime, datetime],
    drift: DriftReport,
    others: dict[str, int],
) -> Measured:
    plain = drift.as_json()
    psi = {part["name"]: part["psi"] for part in plain["parts"]}
    sure = [psi["topic confidence"], psi["sentiment confidence"]]
    return Measured(
        run_id=run_id,
        model=version,
        window_start=span[0],
        window_end=span[1],
        documents=drift.documents,
        topic_psi=psi["topics"],
        sentiment_psi=psi["sentiments"],
        confidence_psi=None if None in sure else max(sure),
        vocabulary_psi=psi["vocabulary"],
        verdict=str(drift.verdict),
        report={**plain, "other_versions": others},
    )


Measure = Callable[[datetime], Measured]
"""Measures and keeps a report, given the time."""


class DriftSchedule:
    """Measures every ``every``, one scheduler a database at a time, until stopped.

    ``follow_up`` is called on every look, with the verdict of a report that was just made or
    None; it must be quick.
    """

    def __init__(
        self,
        database: Database,
        run: Run,
        measure_now: Measure,
        every: timedelta,
        follow_up: Callable[[Verdict | None, datetime], None] = lambda _, __: None,
    ) -> None:
        self._database = database
        self._run = run
        self._measure = measure_now
        self._every = every
        self._follow_up = follow_up
        self._failed_at: datetime | None = None
        self._stopped = False
        self._executor = ThreadPoolExecutor(1)
        self._scheduler = BlockingScheduler(
            executors={"default": self._executor},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        self._scheduler.add_job(
            self.tick,
            "interval",
            seconds=min(every, LONGEST_PAUSE).total_seconds(),
            next_run_time=datetime.now(UTC),
            id="drift",
        )

    def run(self) -> None:
        """Work until ``stop``, and until the measurement then under way has ended."""
        if not self._stopped:
            self._scheduler.start()
        self._executor.shutdown(wait=True)

    def stop(self) -> None:
        """Have ``run`` end. Returns at once; fit for a signal handler."""
        self._stopped = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def tick(self, now: datetime | None = None) -> bool:
        """Measure if it is due; False where another has the lock or the database is away."""
        at = now or datetime.now(UTC)
        try:
            with self._database.try_lock(_DRIFT_LOCK) as held:
                if held:
                    self._follow_up(self._measure_if_due(at), at)
                return held
        except DatabaseUnavailableError as error:
            log.warning("waiting_for_database", error=str(error))
            return False

    def _measure_if_due(self, now: datetime) -> Verdict | None:
        with self._database.transaction() as connection:
            newest = latest_reports(connection, self._run.id, 1)
        last = max(filter(None, [*(report.at for report in newest), self._failed_at]), default=None)
        if not due(last, self._every, now):
            return None
        try:
            report = self._measure(now)
        except (DriftError, RegistryError) as error:
            self._failed_at = now
            log.error("drift_not_measured", run=self._run.name, error=str(error))  # noqa: TRY400
            return None
        log.info("drift_measured", run=self._run.name, **summary(report))
        return Verdict(report.verdict)


def due(last: datetime | None, every: timedelta, now: datetime) -> bool:
    """Whether a report is to be made: there is none yet, or the last is ``every`` old."""
    return last is None or now - last >= every


def summary(report: Measured) -> dict[str, object]:
    """The verdict and the four indices, for a log line."""
    indices = {
        name: None if value is None else round(value, 3)
        for name, value in (
            ("topic_psi", report.topic_psi),
            ("sentiment_psi", report.sentiment_psi),
            ("confidence_psi", report.confidence_psi),
            ("vocabulary_psi", report.vocabulary_psi),
        )
    }
    return {
        "verdict": report.verdict,
        "documents": report.documents,
        "model": report.model,
        **indices,
    }
