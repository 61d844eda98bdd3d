"""How fast scored documents are committed into the embedded PostgreSQL, and whether that lasts.

Worker processes run the line of `tapewatch worker` with documents that are decoded and scored
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
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from history import add_history
from measuring import ratio, summary
from sqlalchemy import text

from classifier.labels import SENTIMENTS, TOPICS
from classifier.prediction import Prediction
from ingest.batch import Checkpoint, Partition, Record
from ingest.decoding import Entry
from ingest.document import Document
from ingest.gathering import Limits
from ingest.line import Line, Parts
from ingest.observing import Unobserved
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
    """Documents/s by history, batch size, density and workers; to make 10 million takes minutes.

    Each history has a database of its own in one server. They take turns, and what is compared is
    taken within a round, since the machine is not equally fast all the time.
    """
    histories = (0, 5000) if quick else HISTORIES
    documents, rounds = (1024, 2) if quick else (24_576, 5)
    cases = [(512, DENSE)] if quick else [*((size, DENSE) for size in SIZES), (2048, SPARSE)]
    with _server() as (server, settings), _workers() as pool:
        urls, seeding = {}, {}
        for history in histories:
            begun = time.monotonic()
            urls[history] = _seeded(server, history)
            seeding[history] = round(time.monotonic() - begun, 1)
        for history, url in urls.items():  # each page's first change since the load costs more
            _committed(pool, Work(url, -1 - history, 0, 2, 512, documents // 512, SPARSE))
        results = []
        for (size, per_minute), workers in itertools.product(cases, (1, 2)):
            contestants = {
                history: Work(url, 0, 0, workers, size, documents // size, per_minute)
                for history, url in urls.items()
            }
            results.append(_case(pool, contestants, rounds))
            print(results[-1], file=sys.stderr, flush=True)  # noqa: T201
        pruning = _pruned(pool, urls[histories[-1]], documents)
    return {
        "server": settings,
        "documents_a_worker": documents,
        "rounds": rounds,
        "seeding_seconds": seeding,
        "commits": results,
        "pruning": {"history": histories[-1], **pruning},
    }


def _seeded(server: EmbeddedPostgres, history: int) -> str:
    """The address of a new database with a run of so many documents."""
    url = server.database(f"history_{history}")
    database = Database(url)
    database.migrate()
    add_history(database, open_run(database, "live").id, history)
    database.close()
    return url


def _case(
    pool: ProcessPoolExecutor, contestants: Mapping[int, Work], rounds: int
) -> dict[str, Any]:
    found: dict[int, list[tuple[float, float]]] = {history: [] for history in contestants}
    for turn in range(rounds):
        for history, work in contestants.items():
            found[history].append(_committed(pool, replace(work, turn=turn)))
    rates = {history: [rate for rate, _ in of] for history, of in found.items()}
    (empty, *_), work = rates, next(iter(contestants.values()))
    return {
        "batch": work.size,
        "documents_a_minute": work.per_minute,
        "workers": work.workers,
        "documents_per_second": {history: summary(of) for history, of in rates.items()},
        "of_the_empty_one": {history: ratio(of, rates[empty]) for history, of in rates.items()},
        "client_cpu_microseconds": summary([spent for of in found.values() for _, spent in of]),
    }


def _pruned(pool: ProcessPoolExecutor, url: str, documents: int) -> dict[str, Any]:
    """A tenth of the history pruned alone, then a tenth beside a worker; documents/s of both."""
    size = min(2048, documents)
    work = Work(url, 0, 0, 1, size, documents // size, 2 * DENSE)
    database = Database(url)
    run = open_run(database, "live")
    before = [_committed(pool, replace(work, turn=turn))[0] for turn in range(3)]
    alone = _prune(database, run, 81)
    meanwhile: list[float] = []
    with ThreadPoolExecutor(1) as thread:
        pruning = thread.submit(_prune, database, run, 72)
        while not pruning.done():
            meanwhile.append(_committed(pool, replace(work, turn=3 + len(meanwhile)))[0])
    after = [_committed(pool, replace(work, turn=-1 - turn))[0] for turn in range(3)]
    database.close()
    return {
        "alone": alone,
        "beside_a_worker": pruning.result(),
        "worker_alone": summary([*before, *after]),
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
def _server() -> Iterator[tuple[EmbeddedPostgres, dict[str, str]]]:
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
        yield server, shown
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


class _Said:
    """A text that was scored before; it is as long as a usual one."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction

    def __len__(self) -> int:
        return 25


class _Remembering:
    """A scorer that only remembers: what it says of each text is made beforehand."""

    def __init__(self, said: Mapping[str, _Said]) -> None:
        self._said = said

    def tokenize(self, texts: Sequence[str]) -> list[_Said]:
        return [self._said[text] for text in texts]

    def predict(self, tokenized: Sequence[_Said]) -> list[Prediction]:
        return [text.prediction for text in tokenized]


def _work(work: Work) -> tuple[float, float, float]:
    """Make the documents, wait for the other worker, commit; begin, end and CPU time in seconds."""
    database = Database(work.url)
    sink = StoreSink(database, open_run(database, "live"))
    entries = [_entries(work, number) for number in range(work.batches + 1)]
    chance = random.Random(f"{work}")
    texts = (e.document.content for batch in entries for e in batch if e.document is not None)
    scorer = _Remembering({text: _Said(_prediction(chance)) for text in texts})
    parts = Parts(
        scorer, sink, Limits(work.size, 10**9), timedelta(minutes=1), lambda _: None, Unobserved()
    )
    reached = _through(parts, entries[:1], {_partition(work): None})  # connects, fills the caches
    gc.collect()
    gc.freeze()  # no worker holds as many batches
    if work.workers == 2:
        globals()["_both"].wait(120)  # not for ever: the other may have failed
    begun, spent = time.monotonic(), time.process_time()
    _through(parts, entries[1:], reached)
    found = begun, time.monotonic(), time.process_time() - spent
    gc.unfreeze()
    database.close()
    return found


def _through(
    parts: Parts[_Said, Prediction],
    entries: Sequence[Sequence[Entry]],
    checkpoints: Mapping[Partition, Checkpoint | None],
) -> dict[Partition, Checkpoint | None]:
    """Feed a line as a pipeline does and see it end; the checkpoints after it."""
    line = Line(parts, checkpoints)
    line.start()
    for batch in entries:
        while not line.has_room(1.0):
            pass
        line.feed(batch)
    line.finish()
    while not line.join(1.0):
        pass
    line.raise_error()
    assert not line.conflict
    assert line.total.documents == sum(map(len, entries))
    return {advance.partition: advance.checkpoint for advance in line.newly_committed()}


def _partition(work: Work) -> Partition:
    return Partition(f"{work.turn}/{work.size}/{work.per_minute}/{work.workers}", work.worker)


def _entries(work: Work, number: int) -> list[Entry]:
    chance, partition = random.Random(f"{work}/{number}"), _partition(work)
    places = range(number * work.size, (number + 1) * work.size)
    return [
        Entry(Record(partition, place, b""), _document(chance, place, work), time.monotonic())
        for place in places
    ]


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
