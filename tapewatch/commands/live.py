"""``worker``, ``alerter`` and ``publish``: the live side, on Kafka."""

import signal
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import structlog
import typer

from alerts.scheduler import AlertSchedule
from alerts.sending.sender import Sender
from alerts.telling.messages import line
from ingest.files import FeedFile
from ingest.kafka import KafkaSource, list_partitions
from ingest.observing import Unobserved
from ingest.pipeline import Pipeline
from ingest.publisher import create_topics
from ingest.publisher import publish as publish_records
from store.alertlog import EventRow
from store.runs import LIVE, register_partitions
from tapewatch import console
from tapewatch.commands.options import Device, Json, RulesFile, RunName
from tapewatch.database import open_database
from tapewatch.kafka_options import kafka_settings
from tapewatch.metrics import Metrics, serving
from tapewatch.settings import Settings
from tapewatch.weighing import card_weigher
from tapewatch.wiring import (
    StoreSink,
    batch_limits,
    existing_run,
    keep_loaded,
    make_alerter,
    open_run,
    open_scorer,
    read_rules,
)

log = structlog.get_logger(__name__)


def worker(run: RunName = LIVE, device: Device = "auto") -> None:
    """Consume Kafka, score and commit, until told to stop. Run as many as there are partitions."""
    settings = Settings()
    kafka = kafka_settings(settings)
    with open_database(settings, "tapewatch-worker") as database:
        opened = open_run(database, run)
        scorer = open_scorer(settings, device)
        partitions = list_partitions(kafka)
        with database.transaction() as connection:
            register_partitions(connection, opened.id, partitions)
        limits = batch_limits(settings)
        metrics = Metrics(limits, lambda: getattr(scorer, "padding_ratio", None))
        sink = StoreSink(database, opened)
        with serving(metrics, settings):
            pipeline = Pipeline(
                KafkaSource(kafka),
                scorer,
                sink,
                limits,
                timedelta(seconds=settings.allowed_lateness_seconds),
                on_commit=lambda done: log.info(
                    "committed",
                    documents=done.documents,
                    repeats=done.repeats,
                    dead_letters=done.dead_letters,
                    model=scorer.version,
                ),
                observer=metrics if settings.metrics_port else Unobserved(),
            )
            metrics.watch(lambda: pipeline.depths)
            _on_signals(pipeline.stop)
            keep_loaded()
            log.info("worker_ready", run=run, topics=list(kafka.topics), model=scorer.version)
            total = pipeline.run()
        log.info("worker_stopped", documents=total.documents, dead_letters=total.dead_letters)


def alerter(
    run: RunName = LIVE,
    rules: RulesFile = None,
    once: Annotated[bool, typer.Option("--once", help="Evaluate and send once.")] = False,
    finish: Annotated[
        bool,
        typer.Option("--finish", help="The feed has ended: judge to its last document, and exit."),
    ] = False,
) -> None:
    """Judge the rules as windows complete and send what is to be told, until told to stop."""
    settings = Settings()
    read = read_rules(settings, rules)
    with open_database(settings, "tapewatch-alerter") as database:
        opened = open_run(database, run) if run == LIVE else existing_run(database, run)
        judge = make_alerter(database, opened, read, settings, notify=True, on_event=_log_event)
        with closing(Sender(database, read)) as sender:
            if once or finish:
                judge.advance(datetime.now(UTC), finish=finish)
                sender.send_due(datetime.now(UTC))
                return
            weigh = card_weigher(database, opened, settings)
            schedule = AlertSchedule(
                database, judge, sender, settings.evaluate_every_seconds, weigh
            )
            _on_signals(schedule.stop)
            log.info("alerter_ready", run=run, rules=len(read.rules))
            schedule.run()


def publish(
    feed: Annotated[Path, typer.Argument(help="JSONL, JSONL.gz, CSV, CSV.gz or Parquet.")],
    rate: Annotated[float | None, typer.Option(help="Documents a second; unset: all at once.")] = (
        None
    ),
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of topics not there yet.")] = 6,
    as_json: Json = False,
) -> None:
    """Send a feed file into Kafka, keyed by id."""
    kafka = kafka_settings(Settings())
    records = FeedFile(feed)
    create_topics(kafka, partitions)
    with console.progress_bar() as progress:
        task = progress.add_task(f"Publishing {feed.name}", total=1.0, detail="")

        def on_sent(count: int) -> None:
            progress.update(task, completed=records.progress, detail=f"{count:,} records")

        sent = publish_records(records, kafka, rate, on_sent)
        progress.update(task, completed=1.0)
    records.close()
    if as_json:
        console.print_json({"published": sent, "topics": list(kafka.topics)})
    else:
        console.output.print(f"{sent:,} records published to {', '.join(kafka.topics)}")


def _log_event(event: EventRow) -> None:
    log.info("alert", state=event.state, rule=event.rule, key=event.key, summary=line(event))


def _on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
