"""How fast scored documents are committed into the embedded PostgreSQL, and whether that lasts.

Worker processes call the sink of `tapewatch worker` with batches that are decoded and scored
already; everything else is measured, the client's work too. Not called ``store``: from this folder
that would hide the package.
"""

import gc
import itertools
import multiprocessing
import random
import shutil
import string
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from history import add_history
from measuring import summary
from sqlalchemy import text

from classifier.labels import SENTIMENTS, TOPICS
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from store.database import Database
from store.embedded import EmbeddedPostgres
from store.retention import cutoff
from store.runs import Run
from tapewatch.pruning import Plan, Prune
from tapewatch.wiring import StoreSink, open_run

START = datetime(2026, 3, 10, tzinfo=UTC)
SOURCES = ("wire", "tape", "posts", "blog", "desk")
SYMBOLS = tuple(f"S{number}" for number in range(500))
_WEIGHTS = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(SYMBOLS))))
_chance = random.Random(1)
_WORDS = [
    "".join(_chance.choices(string.ascii_lowercase, k=_chance.randint(2, 9))) for _ in range(3000)
]

HISTORIES = (0, 1_000_000, 10_000_000)
SIZES = (512, 2048, 8192)
DENSE, SPARSE = 2000, 100
"""Documents a minute of event time: a busy feed, and a replay of tweets about a few firms."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one worker commits: its own documents, into a partition of its own."""

    url: str
    turn: int
    worker: int
    workers: int
    size: int
    batches: int
    per_minute: int


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001 - what bench.py calls
    """Documents/s by history, batch size, density and workers; 10 million rows take minutes."""
    histories = (0, 5000) if quick else HISTORIES
    documents, rounds = (1024, 1) if quick else (24_576, 3)
    cases = [(512, DENSE)] if quick else [*((size, DENSE) for size in SIZES), (2048, SPARSE)]
    results: list[dict[str, Any]] = []
    seeding: dict[int, float] = {}
    after_checkpoint: dict[int, float] = {}
    with _server() as (url, settings), _workers() as pool:
        database = Database(url)
        database.migrate()
        opened = open_run(database, "live")
        for before, history in itertools.pairwise((0, *histories)):
            begun = time.monotonic()
            add_history(database, opened.id, before, history)
            seeding[history] = round(time.monotonic() - begun, 1)
            first = Work(
                url, -99 - history, 0, 2, 512 if quick else 2048, documents // 2048 or 1, SPARSE
            )
            after_checkpoint[history] = round(_committed(pool, first)[0], 1)
            for (size, per_minute), workers in itertools.product(cases, (1, 2)):
                work = Work(url, 0, 0, workers, size, documents // size, per_minute)
                turns = [replace(work, turn=history + turn) for turn in range(rounds)]
                found = [_committed(pool, turn) for turn in turns]
                results.append({"history": history, **_case(work, found)})
                print(results[-1], file=sys.stderr, flush=True)  # noqa: T201
        pruning = _pruned(database, opened, pool, replace(work, turn=-1, workers=1), quick=quick)
        database.close()
    return {
        "server": settings,
        "documents_a_worker": documents,
        "rounds": rounds,
        "seeding_seconds": seeding,
        "two_workers_just_after_a_checkpoint": after_checkpoint,
        "commits": results,
        "pruning": pruning,
    }


def _case(work: Work, found: Sequence[tuple[float, float]]) -> dict[str, Any]:
    rates, spent = zip(*found, strict=True)
    return {
        "batch": work.size,
        "documents_a_minute": work.per_minute,
        "workers": work.workers,
        "documents_per_second": summary(rates),
        "client_cpu_microseconds": summary(spent),
    }


def _pruned(
    database: Database, run: Run, pool: ProcessPoolExecutor, work: Work, *, quick: bool
) -> dict[str, Any]:
    """A tenth of the history pruned alone, then a tenth beside a worker; documents/s of both."""
    work = replace(work, size=512 if quick else 2048, per_minute=DENSE)
    before = [_committed(pool, replace(work, turn=-1 - turn))[0] for turn in range(3)]
    alone = _prune(database, run, 81)
    meanwhile: list[float] = []
    with ThreadPoolExecutor(1) as thread:
        pruning = thread.submit(_prune, database, run, 72)
        while not pruning.done():
            rate, _ = _committed(pool, replace(work, turn=-10 - len(meanwhile)))
            meanwhile.append(rate)
    return {
        "alone": alone,
        "beside_a_worker": pruning.result(),
        "worker_alone": summary(before),
        "worker_meanwhile": summary(meanwhile),
    }


def _prune(database: Database, run: Run, days: int) -> dict[str, float]:
    """Prune what is older than so many days before ``START``."""
    begun = time.monotonic()
    plan = Plan(cutoff(START - timedelta(days=days), {}), None, START)
    done = Prune(database, run, plan, 2000).go()
    seconds = time.monotonic() - begun
    rate = round(done.documents / seconds)
    return {**asdict(done), "seconds": round(seconds, 1), "documents_per_second": rate}


@contextmanager
def _workers() -> Iterator[ProcessPoolExecutor]:
    """Two processes, since to start one takes longer than to measure."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, _prepare, (context.Barrier(2),)) as pool:
        yield pool


@contextmanager
def _server() -> Iterator[tuple[str, dict[str, str]]]:
    """An embedded server in a folder that is removed, and the settings that matter."""
    folder = Path(tempfile.mkdtemp(prefix="tapewatch-bench-"))
    EmbeddedPostgres(folder).close()  # some of its settings need a second start
    server = EmbeddedPostgres(folder)
    names = (
        "server_version", "shared_buffers", "max_wal_size", "checkpoint_timeout", "fsync",
        "synchronous_commit", "full_page_writes",
    )  # fmt: skip
    try:
        database = Database(server.url)
        with database.transaction() as connection:
            shown = {name: str(connection.scalar(text(f"show {name}"))) for name in names}
        database.close()
        yield server.url, shown
    finally:
        server.close()
        shutil.rmtree(folder)


def _committed(pool: ProcessPoolExecutor, work: Work) -> tuple[float, float]:
    """Documents/s of all workers together, and the client's CPU time for one in microseconds."""
    works = [replace(work, worker=worker) for worker in range(work.workers)]
    found = list(pool.map(_work, works))
    documents = sum(work.size * work.batches for work in works)
    seconds = max(end for _, end, _ in found) - min(begun for begun, _, _ in found)
    return documents / seconds, sum(spent for _, _, spent in found) / documents * 1e6


def _prepare(both: Any) -> None:
    """Give a worker process what lets two of them begin together."""
    globals()["_both"] = both


def _work(work: Work) -> tuple[float, float, float]:
    """Make the batches, wait for the other worker, commit; begin, end and CPU time in seconds."""
    database = Database(work.url)
    sink = StoreSink(database, open_run(database, "live"))
    batches = [_batch(work, number) for number in range(work.batches + 1)]
    sink.commit(batches[0])  # connects and fills the caches
    gc.collect()
    gc.freeze()  # no worker holds as many batches
    if work.workers == 2:
        globals()["_both"].wait(120)  # not for ever: the other may have failed
    begun, spent = time.monotonic(), time.process_time()
    for batch in batches[1:]:
        sink.commit(batch)
    found = begun, time.monotonic(), time.process_time() - spent
    gc.unfreeze()
    database.close()
    return found


def _batch(work: Work, number: int) -> ScoredBatch[Prediction]:
    chance = random.Random(f"{work}/{number}")
    first = number * work.size
    documents = [_document(chance, first + i, work) for i in range(work.size)]
    step = Checkpoint(first + work.size, documents[-1].published_at)
    partition = Partition(f"{work.turn}/{work.size}/{work.per_minute}/{work.workers}", work.worker)
    advance = Advance(partition, first or None, step)
    return ScoredBatch(documents, [_prediction(chance) for _ in documents], [], [advance])


def _document(chance: random.Random, number: int, work: Work) -> Document:
    words = " ".join(chance.choices(_WORDS, k=chance.randint(6, 24)))
    headline = words[: chance.randint(30, 70)] if number % 2 else None
    seconds = number * 60 / work.per_minute + chance.random() * 60
    return Document(
        id=f"{chance.getrandbits(64):016x}",
        source=chance.choice(SOURCES),
        kind="news" if number % 2 else "comment",
        published_at=START + timedelta(seconds=seconds),
        text=words,
        title=headline,
        url=f"https://example.test/{number}",
        author=chance.choice(_WORDS),
        language="en",
        symbols=tuple(set(chance.choices(SYMBOLS, cum_weights=_WEIGHTS, k=chance.randint(0, 3)))),
    )


def _prediction(chance: random.Random) -> Prediction:
    topics = dict(zip(TOPICS, chance.choices(range(900), k=len(TOPICS)), strict=True))
    cuts = sorted(chance.choices(range(10_001), k=2))
    sure = (cuts[0], cuts[1] - cuts[0], 10_000 - cuts[1])
    return Prediction(topics, dict(zip(SENTIMENTS, sure, strict=True)), "benchmark", 25)
