"""``drift``: how far a run's documents are from what the weights were trained on."""

import signal
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import structlog
import typer

from classifier.continual.drift import MIN_DOCUMENTS
from classifier.continual.stability import Verdict
from store.database import Database
from store.drift import DriftReport
from store.runs import LIVE, Run
from tapewatch import console
from tapewatch.challenger import Trainer, train_command
from tapewatch.champion import open_registry
from tapewatch.commands.options import Json, RunName
from tapewatch.database import open_database
from tapewatch.drifting import SAMPLE, DriftSchedule, Measure, measure_run, open_weights, window
from tapewatch.settings import Settings
from tapewatch.wiring import existing_run, open_run

log = structlog.get_logger(__name__)


def drift(  # noqa: PLR0913 - the options of the command
    run: RunName = LIVE,
    hours: Annotated[float, typer.Option(min=0.01, help="Measure the last so many hours.")] = 24.0,
    since: Annotated[
        str | None, typer.Option("--since", help="Measure from then on instead, in ISO 8601.")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Documents to measure, at most.")] = SAMPLE,
    least: Annotated[
        int, typer.Option("--min-documents", min=1, help="Fewer documents give no verdict.")
    ] = MIN_DOCUMENTS,
    every: Annotated[
        float | None, typer.Option("--every", min=0.001, help="Go on, every so many hours.")
    ] = None,
    training: Annotated[
        Path | None,
        typer.Option(
            "--train-challenger",
            help="With --every: train a challenger by this file when documents have drifted.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure drift, print and keep the report; with --every go on until told to stop."""
    settings = Settings()
    began = _moment(since) if since else None
    if training is not None and every is None:
        raise typer.BadParameter("--train-challenger needs --every")
    if training is not None and not training.is_file():
        raise typer.BadParameter(f"--train-challenger: there is no file {training}")
    with open_database(settings, "tapewatch-drift") as database:
        weights = open_weights(settings)
        opened = open_run(database, run) if run == LIVE else existing_run(database, run)

        def measure(now: datetime) -> DriftReport:
            start, end = window(database, opened, timedelta(hours=hours), now)
            return measure_run(
                database, weights, opened, min(began or start, end), end, sample, least
            )

        if every is None:
            _show(measure(datetime.now(UTC)), run, as_json=as_json)
        else:
            registry = open_registry(settings)
            trainer = Trainer(registry, train_command(training)) if training else None
            _go_on(database, opened, measure, timedelta(hours=every), trainer)


def _go_on(
    database: Database,
    run: Run,
    measure: Measure,
    every: timedelta,
    trainer: Trainer | None,
) -> None:
    """Measure on schedule until SIGTERM or SIGINT."""

    def follow_up(verdict: Verdict | None, now: datetime) -> None:
        if trainer is not None:
            trainer.follow_up(verdict, now)

    schedule = DriftSchedule(database, run, measure, every, follow_up)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: schedule.stop())
    log.info("drift_ready", run=run.name, every=str(every), trains=trainer is not None)
    try:
        schedule.run()
    finally:
        if trainer is not None:
            trainer.stop()


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"--since: {error}; write 2026-03-10T12:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show(report: DriftReport, run: str, *, as_json: bool) -> None:
    if as_json:
        console.print_json({"run": run, **asdict(report)})
        return
    plain = report.report
    console.output.print(
        f"Run {run}, {report.window_start:%Y-%m-%d %H:%M} to {report.window_end:%Y-%m-%d %H:%M} "
        f"UTC: {report.verdict}; {report.documents:,} documents scored by {report.model}"
    )
    rows = [
        (part["name"], _number(part["psi"]), _number(part["expected"]), part["verdict"])
        for part in plain["parts"]
    ]
    columns = ("compared", "index", "by chance", "verdict")
    console.print_table("Population stability index against training", columns, rows)
    if moved := plain["moved"]:
        shares = [(m["head"], m["name"], f"{m['before']:.1%}", f"{m['now']:.1%}") for m in moved]
        console.print_table("Classes that moved most", ("head", "class", "before", "now"), shares)
    if plain["new_words"]:
        words = ", ".join(f"{w['word']} ({w['share']:.1%})" for w in plain["new_words"])
        console.output.print(f"New frequent words, with their share of documents: {words}")
    for version, count in plain["other_versions"].items():
        console.output.print(f"Not measured: {count:,} documents that {version} scored")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
