"""End to end on this machine: real Kafka, real `tapewatch worker` processes, embedded PostgreSQL.

First how many documents a second are committed with one worker and with two, out of a backlog.
Then, with one worker and at shares of its rate, how long a document takes from the moment at which
it should have been published to its commit. The generator is open-loop: its schedule, of random
intervals, is fixed before the run and does not wait for anybody, and a document that is sent late
is late from its schedule on. The moment of a commit is PostgreSQL's own (track_commit_timestamp),
taken as it writes the commit record, so the flush to the disk is not in it; `fsync` is on. The
broker, the generator and PostgreSQL share the machine with the workers.
"""

import math
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from feeding import PARTITIONS, Feed, fill, new_topics, place, producer
from psycopg import sql
from support.commands import Running, running, wait_until
from support.kafka import start_broker
from support.metrics import free_port, scraped
from support.postgres import PostgresServer

from ingest.kafka import KafkaSettings
from store.database import Database
from store.runs import find_run, read_counters

SHARES = (0.1, 0.5, 0.9)
STAGES = ("gather", "predict", "commit")
PERCENTILES = (50, 95, 99, 99.9)
START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. Seconds of a backlog are counted after the first ``skipped`` ones."""

    backlog: int
    skipped: float
    counted: float
    latency: float
    warming: float


FULL = Plan(backlog=150_000, skipped=5.0, counted=20.0, latency=30.0, warming=3.0)
QUICK = Plan(backlog=12_000, skipped=0.0, counted=1.0, latency=2.0, warming=0.2)


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001 - what bench.py calls
    """Documents/s with one and with two workers, and latencies of one at shares of its rate."""
    plan, feed = QUICK if quick else FULL, Feed()
    with ExitStack() as stack:
        broker = stack.enter_context(start_broker())
        server = stack.enter_context(_server())
        settings = new_topics(broker.bootstrap)
        fill(settings, feed, "backlog-", plan.backlog)
        saturation = {
            workers: _saturation(settings, server.new_database(), workers, plan)
            for workers in (1, 2)
        }
        rate = saturation[1]["documents_per_second"]
        latencies = _latencies(
            new_topics(broker.bootstrap),
            server.new_database(),
            [rate * share for share in SHARES],
            feed,
            plan,
        )
    return {
        "feed": feed.name,
        "partitions": 2 * PARTITIONS,
        "saturation": {f"workers_{workers}": of for workers, of in saturation.items()},
        "publish_to_committed_seconds": {
            f"at_{share:.0%}": found for share, found in zip(SHARES, latencies, strict=True)
        },
    }


@contextmanager
def _server() -> Iterator[PostgresServer]:
    """A durable PostgreSQL that remembers when each transaction was committed."""
    folder = Path(tempfile.mkdtemp(prefix="tapewatch-"))
    server = PostgresServer(folder / "postgres")
    try:
        with psycopg.connect(server.new_database(), autocommit=True) as connection:
            connection.execute(sql.SQL("alter system set track_commit_timestamp = on"))
        server.stop()
        server.start()
        yield server
    finally:
        server.close()
        shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process, and where its metrics are."""

    process: Running
    port: int


@contextmanager
def _workers(settings: KafkaSettings, url: str, run: str, count: int) -> Iterator[list[Worker]]:
    """Worker started that share the cores."""
    chosen = {
        "kafka": settings.servers[0],
        "kafka_topics": ",".join(settings.topics),
        "kafka_group": f"{settings.group}-{run}",
        "database_url": url,
        "threads": 0 if count == 1 else 1,
        "log_format": "json",
    }
    with ExitStack() as stack:
        started = []
        for port in [free_port() for _ in range(count)]:
            command = running("worker", "--run", run, **chosen, metrics_port=port)
            started.append(Worker(stack.enter_context(command), port))
        yield started


def _saturation(settings: KafkaSettings, url: str, workers: int, plan: Plan) -> dict[str, Any]:
    """Documents/s out of the backlog, once every worker has committed for a while."""
    database = Database(url)
    database.migrate()
    name = f"workers-{workers}"
    with _workers(settings, url, name, workers) as started:
        for worker in started:
            worker.process.wait_for('"committed"', START_SECONDS)
        time.sleep(plan.skipped)
        before, begun, first = _figures(started), time.monotonic(), _taken(database, name)
        while (last := _taken(database, name)) < plan.backlog:
            if last > first and time.monotonic() > begun + plan.counted:
                break
            time.sleep(0.05)
        seconds = time.monotonic() - begun
        stages = _stages(before, _figures(started))
        for worker in started:
            worker.process.stop()
    database.close()
    assert last > first, "the backlog was too short"
    return {"documents_per_second": round((last - first) / seconds, 1), "stages": stages}


def _latencies(
    settings: KafkaSettings,
    url: str,
    rates: Sequence[float],
    feed: Feed,
    plan: Plan,
) -> list[dict[str, Any]]:
    """One report for each rate, by a worker that is warm and has nothing else to do."""
    database = Database(url)
    database.migrate()
    run, reports, published = "latency", [], 0
    with _workers(settings, url, run, 1) as started:
        for worker in started:
            worker.process.wait_for("partitions_placed", START_SECONDS)
        # Uncounted: imports, kernels and plans of the first documents.
        warm = _publish(settings, feed, "warm-", _schedule(rates[0], 2 * plan.warming))
        published += len(warm)
        for number, rate in enumerate(rates):
            prefix = f"rate-{number}-"
            before = _figures(started)
            sent = _publish(settings, feed, prefix, _schedule(rate, plan.warming + plan.latency))
            published += len(sent)
            ended = time.time()
            wait_until(lambda: _taken(database, run) >= published, START_SECONDS)  # noqa: B023
            report = _report(url, prefix, sent, plan.warming)
            report["documents_per_second"] = round(rate, 1)
            report["drained_seconds_after_the_last"] = round(time.time() - ended, 2)
            report["stages"] = _stages(before, _figures(started))
            reports.append(report)
        for worker in started:
            worker.process.stop()
    database.close()
    return reports


def _schedule(rate: float, seconds: float) -> list[float]:
    """When to send, in seconds from the start: independent arrivals at ``rate`` a second."""
    chance, moments, moment = random.Random(7), [], 0.0
    while (moment := moment + chance.expovariate(rate)) < seconds:
        moments.append(moment)
    return moments or [0.0]


def _publish(
    settings: KafkaSettings, feed: Feed, prefix: str, schedule: Sequence[float]
) -> list[tuple[float, float]]:
    """Send by the schedule whatever becomes of it: when each was due, and how late it was sent."""
    prepared = [payload for _, payload in feed.payloads(prefix, len(schedule))]
    sent = []
    with producer(settings, linger_ms=0) as sending:
        begun = time.time()
        for number, (moment, payload) in enumerate(zip(schedule, prepared, strict=True)):
            due = begun + moment
            time.sleep(max(0.0, due - time.time()))
            topic, partition = place(settings, number)
            sending.send(topic, payload, partition=partition)
            sent.append((due, time.time() - due))
    return sent


def _report(
    url: str, prefix: str, sent: Sequence[tuple[float, float]], warming: float
) -> dict[str, Any]:
    """Percentiles over the documents that were due after the first ``warming`` seconds."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select id, extract(epoch from pg_xact_commit_timestamp(xmin))::float8,"
            " count(*) over (partition by xmin::text) from documents where starts_with(id, %s)",
            (prefix,),
        ).fetchall()
    committed = {identity: (moment, size) for identity, moment, size in rows}
    assert len(committed) == len(sent), "some documents were never committed"
    counted = [n for n, (due, _) in enumerate(sent) if due - sent[0][0] >= warming]
    latencies = [committed[f"{prefix}{n}"][0] - sent[n][0] for n in counted]
    sizes = [committed[f"{prefix}{n}"][1] for n in counted]
    return {
        "documents": len(latencies),
        "mean": round(statistics.fmean(latencies), 4),
        **{f"p{p:g}": round(_percentile(latencies, p), 4) for p in PERCENTILES},
        "most": round(max(latencies), 4),
        "most_by_second": _by_second([sent[n][0] for n in counted], latencies),
        "documents_per_batch_median": statistics.median(sizes),
        "sent_late_p99": round(_percentile([sent[n][1] for n in counted], 99), 4),
    }


def _by_second(due: Sequence[float], latencies: Sequence[float]) -> list[float]:
    """The longest of the documents due in each second: whether it is always so, or an episode."""
    most: dict[int, float] = {}
    for moment, latency in zip(due, latencies, strict=True):
        second = int(moment - due[0])
        most[second] = max(most.get(second, 0.0), latency)
    return [round(most.get(second, 0.0), 2) for second in range(max(most) + 1)]


def _figures(workers: Sequence[Worker]) -> dict[tuple[str, ...], float]:
    """The samples of all workers, added up."""
    total: Counter[tuple[str, ...]] = Counter()
    for worker in workers:
        total.update(scraped(worker.port))
    return dict(total)


def _stages(
    before: dict[tuple[str, ...], float], after: dict[tuple[str, ...], float]
) -> dict[str, Any]:
    """What the workers' own metrics say of the time between: means in seconds, and shares."""

    def grown(*key: str) -> float:
        return after.get(key, 0.0) - before.get(key, 0.0)

    def mean(name: str, *labels: str) -> float:
        count = grown(f"{name}_count", *labels)
        return round(grown(f"{name}_sum", *labels) / count, 4) if count else 0.0

    batches = grown("tapewatch_batch_fill_count")
    return {
        "publish_to_commit_mean": mean("tapewatch_publish_to_commit_seconds"),
        **{f"{stage}_mean": mean("tapewatch_stage_seconds", stage) for stage in STAGES},
        **{
            f"{stage}_busy_per_batch": round(
                grown("tapewatch_busy_seconds_total", stage) / max(1, batches), 4
            )
            for stage in ("predict", "commit")
        },
        "fill_mean": mean("tapewatch_batch_fill"),
        "flushes": {
            reason: int(grown("tapewatch_flushes_total", reason)) for reason in ("budget", "wait")
        },
    }


def _percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


def _taken(database: Database, run: str) -> int:
    with database.transaction() as connection:
        found = read_counters(connection, find_run(connection, run).id)
    return found.documents + found.repeats + found.dead_letters
