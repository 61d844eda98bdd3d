"""Joins the packages: sources, the engine, the store and the alerter into things that run.

The only module that knows them all. Reads no environment itself; settings are handed in.
"""

import gc
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from alerts.alerter import Alerter
from alerts.rules.ruleset import RuleSet, load_rules
from classifier.prediction import Prediction
from ingest.batch import Checkpoint, Committed, Partition, ScoredBatch
from ingest.files import FileSource
from ingest.gathering import Limits
from ingest.line import SinkConflictError, SinkUnavailableError
from ingest.pipeline import Pipeline
from store import runs
from store.alertlog import Alert, EventRow, read_alerts
from store.commits import commit_batch, register_models
from store.database import Database
from store.errors import CheckpointConflictError, DatabaseUnavailableError
from store.preparing import PreparedBatch, prepare_batch
from store.runs import Run
from tapewatch.champion import (
    ChampionScorer,
    Model,
    fixed_weights,
    open_registry,
    serving_folder,
)
from tapewatch.remote.scorer import open_http_scorer
from tapewatch.settings import Settings

if TYPE_CHECKING:
    from classifier.engine import Engine

log = structlog.get_logger(__name__)

RETRY_SECONDS = 2.0


class StoreSink:
    """The store as the pipeline sees it: one run, its errors in the pipeline's words.

    A version of the weights is registered in the transaction of the first documents that it
    scored, and counts as registered only once that transaction is through.
    """

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run
        self._registered: set[str] = set()

    def prepare(self, batch: ScoredBatch[Prediction]) -> Callable[[], Committed]:
        """The client's part of the work; the rest is one transaction for the whole batch."""
        prepared = prepare_batch(batch)
        scored = {prediction.model: prediction for prediction in batch.predictions}
        return lambda: self._commit(prepared, scored)

    def _commit(self, prepared: PreparedBatch, scored: Mapping[str, Prediction]) -> Committed:
        new = scored.keys() - self._registered
        try:
            with self._database.transaction() as connection:
                register_models(connection, (scored[version] for version in new))
                committed = commit_batch(connection, self._run.id, prepared)
        except DatabaseUnavailableError as error:
            raise SinkUnavailableError(str(error)) from error
        except CheckpointConflictError as error:
            raise SinkConflictError(str(error)) from error
        self._registered |= new
        return committed

    def checkpoints(self) -> Mapping[Partition, Checkpoint]:
        """How far the run is committed."""
        try:
            with self._database.transaction() as connection:
                return runs.read_checkpoints(connection, self._run.id)
        except DatabaseUnavailableError as error:
            raise SinkUnavailableError(str(error)) from error


def load_engine(settings: Settings, folder: Path, device: str = "auto") -> "Engine":
    """Load the weights in ``folder``; torch is imported here and not before, it takes seconds."""
    from classifier.engine import Engine  # noqa: PLC0415

    return Engine(folder, device, settings.threads, settings.precision)


def open_engine(settings: Settings, device: str = "auto") -> "Engine":
    """The weights that serve now: those of TAPEWATCH_WEIGHTS, else the champion's."""
    return load_engine(settings, serving_folder(settings), device)


def open_model(settings: Settings, device: str = "auto") -> Model:
    """What a command scores by from its first document to its last.

    The server of TAPEWATCH_SCORER_URL, else the weights that serve now. Raises ScorerError.
    """
    return open_http_scorer(settings) if settings.scorer_url else open_engine(settings, device)


def open_scorer(settings: Settings, device: str = "auto") -> Model:
    """What a worker scores by: the server of TAPEWATCH_SCORER_URL, else weights of its own."""
    if settings.scorer_url:
        return open_http_scorer(settings)
    return open_local_scorer(settings, device)


def open_local_scorer(settings: Settings, device: str = "auto") -> Model:
    """The champion, whoever it is, unless TAPEWATCH_WEIGHTS names the weights; warm already."""

    def load(folder: Path) -> "Engine":
        engine = load_engine(settings, folder, device)
        engine.warm_up()
        return engine

    fixed = fixed_weights(settings)
    return load(fixed) if fixed is not None else ChampionScorer(open_registry(settings), load)


def keep_loaded() -> None:
    """For a process that goes on: what is loaded by now stays, and no collection looks at it.

    Packages and weights are some 400,000 objects, which each full collection takes 0.2 s to go
    through, with every thread of the pipeline waiting meanwhile.
    """
    gc.collect()
    gc.freeze()


def batch_limits(settings: Settings) -> Limits:
    """How large a batch may grow, and how long a document may wait for others."""
    return Limits(
        settings.batch_documents, settings.batch_tokens, settings.batch_wait_milliseconds / 1000
    )


def read_rules(settings: Settings, rules: Path | None = None) -> RuleSet:
    """The rules file that was named, or the one of the settings."""
    return load_rules(rules or settings.rules, os.environ)


def open_run(database: Database, name: str, feed: str | None = None, *, fresh: bool = False) -> Run:
    """The run of that name; ``fresh`` forgets what an earlier one of that name holds."""
    with database.transaction() as connection:
        if fresh:
            runs.delete_run(connection, name)
        return runs.open_run(connection, name, feed)


def existing_run(database: Database, name: str) -> Run:
    """The run of that name. Raises UnknownRunError."""
    with database.transaction() as connection:
        return runs.find_run(connection, name)


def make_alerter(  # noqa: PLR0913 - what an alerter is made of
    database: Database,
    run: Run,
    rules: RuleSet,
    settings: Settings,
    *,
    notify: bool,
    on_event: Callable[[EventRow], None],
) -> Alerter:
    """The alerter of a run; a live run goes by the wall clock when its feeds are idle."""
    lateness = timedelta(seconds=settings.allowed_lateness_seconds)
    idle = timedelta(seconds=settings.idle_seconds) if run.name == runs.LIVE else None
    return Alerter(database, run, rules, lateness, idle, notify, on_event)


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay came to, for people and for programs."""

    run: str
    documents: int
    repeats: int
    dead_letters: int
    alerts: list[dict[str, Any]]
    documents_per_second: float
    seconds: float


@dataclass(slots=True)
class Replay:
    """A file through the pipeline into its own run, judged as it goes.

    ``engine`` scores all of it; give an Engine, and a promotion meanwhile changes nothing.
    """

    database: Database
    engine: Model
    rules: RuleSet
    settings: Settings
    run: Run
    path: Path
    notify: bool = False
    on_event: Callable[[EventRow], None] = lambda _: None
    on_progress: Callable[[float, Committed], None] = lambda _, __: None

    def go(self) -> ReplayReport:
        """Replay to the end, from the last checkpoint on."""
        alerter = make_alerter(
            self.database,
            self.run,
            self.rules,
            self.settings,
            notify=self.notify,
            on_event=self.on_event,
        )
        sink = StoreSink(self.database, self.run)
        source = FileSource(self.path, sink.checkpoints().get(Partition(self.path.name, 0)))
        done = Committed()

        def committed(step: Committed) -> None:
            nonlocal done
            done += step
            _advance(alerter)
            self.on_progress(source.progress, done)

        pipeline = Pipeline(
            source,
            self.engine,
            sink,
            batch_limits(self.settings),
            timedelta(seconds=self.settings.allowed_lateness_seconds),
            on_commit=committed,
        )
        begun = time.monotonic()
        pipeline.run()
        seconds = time.monotonic() - begun
        while not _advance(alerter, finish=True):
            time.sleep(RETRY_SECONDS)
        with self.database.transaction() as connection:
            runs.finish_run(connection, self.run.id)
        return self._report(done, seconds)

    def _report(self, done: Committed, seconds: float) -> ReplayReport:
        with self.database.transaction() as connection:
            total = runs.read_counters(connection, self.run.id)
            alerts = read_alerts(connection, self.run.name)
        taken = done.documents + done.repeats + done.dead_letters
        return ReplayReport(
            run=self.run.name,
            documents=total.documents,
            repeats=total.repeats,
            dead_letters=total.dead_letters,
            alerts=[as_json(alert) for alert in reversed(alerts)],
            documents_per_second=round(taken / seconds, 1) if seconds else 0.0,
            seconds=round(seconds, 2),
        )


def as_json(alert: Alert) -> dict[str, Any]:
    """An alert as plain data, times in ISO 8601."""
    return {
        "run": alert.run,
        "rule": alert.rule,
        "scope": alert.scope,
        "key": alert.key,
        "severity": alert.severity,
        "value": alert.value,
        "documents": alert.documents,
        "fired_at": alert.fired_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
    }


def _advance(alerter: Alerter, *, finish: bool = False) -> bool:
    """Judge as far as the watermark allows; False while the database is away."""
    try:
        alerter.advance(datetime.now(UTC), finish=finish)
    except DatabaseUnavailableError as error:
        log.warning("waiting_for_database", error=str(error))
        return False
    return True
