import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

import ingest.line
from ingest.batch import Checkpoint, Committed, Partition, Record
from ingest.document import Reason
from ingest.gathering import Limits
from ingest.line import SinkConflictError, SinkUnavailableError
from ingest.pipeline import PartitionsMovedError, Pipeline

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEFT, RIGHT = Partition("left", 0), Partition("right", 1)


def at(minute):
    return NOON + minute * MINUTE


def good(identity, minute=0, **fields):
    content = {"id": str(identity), "text": f"text {identity}", "published_at": at(minute)}
    return msgspec.json.encode(content | fields)


def log_of(*payloads, partition=LEFT, first=0):
    return [Record(partition, first + i, payload) for i, payload in enumerate(payloads)]


class MemorySource:
    """Logs in memory, read partition by partition in turn of their records' offsets."""

    def __init__(self, records, checkpoints=None):
        self._all = sorted(records, key=lambda record: (record.offset, record.partition))
        self.checkpoints = {record.partition: None for record in records} | (checkpoints or {})
        self.closed, self.holds = False, 0
        self._begin()

    def _begin(self):
        starts = {p: c.next_offset if c else 0 for p, c in self.checkpoints.items()}
        self._left = [r for r in self._all if r.offset >= starts[r.partition]]

    def poll(self, limit):
        polled, self._left = self._left[:limit], self._left[limit:]
        return polled or None

    def committed(self, advances):
        for advance in advances:
            self.checkpoints[advance.partition] = advance.checkpoint

    def hold(self):
        self.holds += 1

    def lags(self):
        return {}

    def rewind(self, checkpoints):
        self.checkpoints = {p: checkpoints.get(p) for p in self.checkpoints}
        self._begin()

    def close(self):
        self.closed = True


class Shout:
    """Tokens are characters."""

    def tokenize(self, texts):
        return [tuple(text) for text in texts]

    def predict(self, tokenized):
        return ["".join(text).upper() for text in tokenized]


@dataclass
class MemorySink:
    """Commits as the store does; `errors` are raised one by one before it does anything."""

    errors: list = field(default_factory=list)
    stored: dict = field(default_factory=dict)
    letters: list = field(default_factory=list)
    advances: list = field(default_factory=list)
    positions: dict = field(default_factory=dict)

    def prepare(self, batch):
        return lambda: self.commit(batch)

    def commit(self, batch):
        if self.errors and (error := self.errors.pop(0)):
            raise error
        for advance in batch.advances:
            known = self.positions.get(advance.partition)
            if (known and known.next_offset) != advance.previous:
                raise SinkConflictError(f"{advance.partition} is at {known}")
        pairs = zip(batch.documents, batch.predictions, strict=True)
        new = {d.id: p for d, p in pairs if d.id not in self.stored}
        self.stored |= new
        self.letters += batch.dead_letters
        self.advances += batch.advances
        self.positions |= {a.partition: a.checkpoint for a in batch.advances}
        return Committed(len(new), len(batch.documents) - len(new), len(batch.dead_letters))

    def checkpoints(self):
        return dict(self.positions)


def pipeline(source, sink, scorer=None, records=512, tokens=10_000, seconds=0.0, **options):
    options = {"clock": lambda: at(1000)} | options
    return Pipeline(source, scorer or Shout(), sink, Limits(records, tokens, seconds), **options)


@pytest.fixture
def no_waits(monkeypatch):
    """Waits of no length, so that the tests need no time."""
    monkeypatch.setattr(ingest.line, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(ingest.line, "LONGEST_WAIT", 0.0)


def test_documents_are_scored_and_committed_to_the_end_of_the_feed():
    source, sink = MemorySource(log_of(good(1), good(2), good(3, title="Title"))), MemorySink()

    total = pipeline(source, sink, records=2).run()

    assert total == Committed(documents=3)
    assert sink.stored == {"1": "TEXT 1", "2": "TEXT 2", "3": "TITLE\nTEXT 3"}
    assert source.closed


def test_an_empty_feed_ends_at_once():
    source, sink = MemorySource([]), MemorySink()

    assert pipeline(source, sink).run() == Committed()
    assert (source.closed, sink.advances) == (True, [])


def test_polls_that_bring_nothing_are_no_end():
    class Hesitant(MemorySource):
        quiet = 2

        def poll(self, limit):
            if self.quiet:
                self.quiet -= 1
                return []
            return super().poll(limit)

    sink = MemorySink()

    assert pipeline(Hesitant(log_of(good(1))), sink).run() == Committed(1)


def test_each_partition_advances_from_its_own_checkpoint():
    left = log_of(good(1, 1), good(2, 5), good(3, 3))
    right = log_of(good(4, 2), partition=RIGHT, first=7)
    source = MemorySource(left + right, {RIGHT: Checkpoint(7, at(4))})
    sink = MemorySink(positions={RIGHT: Checkpoint(7, at(4))})

    pipeline(source, sink, records=2).run()

    steps = [(a.partition, a.previous, a.checkpoint) for a in sink.advances]
    assert steps == [
        (LEFT, None, Checkpoint(2, at(5))),
        (LEFT, 2, Checkpoint(3, at(5))),
        (RIGHT, 7, Checkpoint(8, at(4))),
    ]
    assert source.checkpoints == {LEFT: Checkpoint(3, at(5)), RIGHT: Checkpoint(8, at(4))}


@pytest.mark.parametrize(
    ("minutes", "lateness", "late"),
    [
        ([1, 2, 3], 1, 0),
        ([5, 4], 1, 0),
        ([5, 3], 1, 1),
        ([5, 3, 4, 2, 6, 5, 4], 1, 3),
        ([5, 0], 5, 0),
        ([6, 0], 5, 1),
        ([5, 4], 0, 1),
        ([5, 5], 0, 0),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_document_is_late_beyond_the_allowance_whatever_its_batch(minutes, lateness, late, size):
    payloads = [good(i, minute) for i, minute in enumerate(minutes)]
    sink = MemorySink()

    pipeline(
        MemorySource(log_of(*payloads)),
        sink,
        records=size,
        allowed_lateness=lateness * MINUTE,
    ).run()

    assert sum(advance.late for advance in sink.advances) == late
    assert sink.positions[LEFT].newest == at(max(minutes))


def test_a_partition_is_late_by_its_own_newest_document_only():
    records = log_of(good(1, 50)) + log_of(good(2, 1), good(3, 2), partition=RIGHT)
    sink = MemorySink()

    pipeline(MemorySource(records), sink).run()

    assert [(a.partition, a.late) for a in sink.advances] == [(LEFT, 0), (RIGHT, 0)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff", Reason.NOT_UTF8),
        (b"{", Reason.NOT_JSON),
        (good(1, text=""), Reason.EMPTY_TEXT),
        (good(1, text=None), Reason.MISSING_TEXT),
        (good(1, published_at=None), Reason.MISSING_DATE),
        (good(1, minute=1006), Reason.FUTURE_DATE),
        (b" " * (256 * 1024 + 1), Reason.TOO_LARGE),
        (None, Reason.TOMBSTONE),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_one_bad_record_harms_no_other(payload, reason, size):
    sink = MemorySink()
    source = MemorySource(log_of(good("a"), payload, good("b")))

    assert pipeline(source, sink, records=size).run() == Committed(2, 0, 1)

    ((letter,),) = [sink.letters]
    assert (letter.reason, letter.record) == (reason, Record(LEFT, 1, payload))
    assert set(sink.stored) == {"a", "b"}
    assert sink.positions[LEFT].next_offset == 3


def test_a_batch_of_bad_records_alone_still_advances():
    sink = MemorySink(positions={LEFT: Checkpoint(0, at(9))})
    source = MemorySource(log_of(b"x", None), {LEFT: Checkpoint(0, at(9))})

    assert pipeline(source, sink).run() == Committed(dead_letters=2)
    assert sink.positions == {LEFT: Checkpoint(2, at(9))}


def test_the_clock_tells_what_is_in_the_future():
    sink = MemorySink()
    source = MemorySource(log_of(good(1, 5), good(2, 6)))

    pipeline(source, sink, clock=lambda: NOON).run()

    assert list(sink.stored) == ["1"]
    assert [letter.reason for letter in sink.letters] == [Reason.FUTURE_DATE]


def test_a_sink_that_is_away_is_waited_for_and_nothing_is_lost(no_waits):
    sink = MemorySink(errors=[SinkUnavailableError("down")] * 3)
    source = MemorySource(log_of(good(1), good(2)))

    with capture_logs() as logs:
        total = pipeline(source, sink, records=1).run()

    assert (total, list(sink.stored)) == (Committed(2), ["1", "2"])
    waits = [entry for entry in logs if entry["event"] == "waiting_for_database"]
    assert [(w["log_level"], w["error"]) for w in waits] == [("warning", "down")] * 3


def test_the_pauses_double_up_to_the_longest(monkeypatch):
    monkeypatch.setattr(ingest.line, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(ingest.line, "LONGEST_WAIT", 0.010)
    sink = MemorySink(errors=[SinkUnavailableError("down")] * 6)

    with capture_logs() as logs:
        pipeline(MemorySource(log_of(good(1))), sink).run()

    waited = [entry["seconds"] for entry in logs if entry["event"] == "waiting_for_database"]
    assert waited == [0.001, 0.002, 0.004, 0.008, 0.010, 0.010]


def test_stopped_while_the_sink_is_away_it_ends_and_commits_nothing():
    class Away(MemorySink):
        def commit(self, batch):
            work.stop()
            raise SinkUnavailableError("down")

    sink, seen = Away(), []
    source = MemorySource(log_of(good(1), good(2)))
    work = pipeline(source, sink, records=1, on_commit=seen.append)

    assert work.run() == Committed()
    assert (sink.stored, seen, source.closed) == ({}, [], True)
    assert source.checkpoints == {LEFT: None}


def test_stopped_from_another_thread_it_ends_with_what_is_under_way_committed():
    scoring, go_on = threading.Event(), threading.Event()

    class Slow(Shout):
        def predict(self, tokenized):
            scoring.set()
            assert go_on.wait(30)
            return super().predict(tokenized)

    source, sink = MemorySource(log_of(*(good(i) for i in range(100)))), MemorySink()
    work = pipeline(source, sink, Slow(), records=1)
    thread = threading.Thread(target=work.run)
    thread.start()
    assert scoring.wait(30)
    work.stop()
    go_on.set()
    thread.join(30)

    assert not thread.is_alive()
    polled = 100 - len(source._left)
    assert list(sink.stored) == [str(i) for i in range(polled)]
    assert 1 <= polled < 10
    assert source.checkpoints == sink.positions


def test_after_a_conflict_it_reads_again_from_where_the_sink_stands():
    records = log_of(*(good(i) for i in range(6)))
    sink = MemorySink(positions={LEFT: Checkpoint(4)}, stored={str(i): "" for i in range(4)})

    with capture_logs() as logs:
        total = pipeline(MemorySource(records), sink, records=2).run()

    assert total == Committed(documents=2)
    assert list(sink.stored) == ["0", "1", "2", "3", "4", "5"]
    assert [entry["event"] for entry in logs] == ["batch_given_back"]


def test_a_commit_whose_answer_was_lost_is_not_made_twice(no_waits):
    class Unheard(MemorySink):
        lost = True

        def commit(self, batch):
            done = super().commit(batch)
            if self.lost:
                self.lost = False
                raise SinkUnavailableError("connection lost after the commit")
            return done

    sink = Unheard()
    pipeline(MemorySource(log_of(good(1), b"bad", good(2))), sink, records=2).run()

    assert list(sink.stored) == ["1", "2"]
    assert len(sink.letters) == 1
    assert [a.checkpoint.next_offset for a in sink.advances] == [2, 3]


def test_the_source_is_closed_when_something_breaks():
    source = MemorySource(log_of(good(1)))

    with pytest.raises(ZeroDivisionError):
        pipeline(source, MemorySink(errors=[ZeroDivisionError()])).run()
    assert source.closed


def test_each_commit_is_told_with_what_it_added():
    seen = []
    source = MemorySource(log_of(good(1), b"bad", good(1), good(2)))

    pipeline(source, MemorySink(), records=2, on_commit=seen.append).run()

    assert seen == [Committed(1, 0, 1), Committed(1, 1, 0)]


class Gate:
    """A stage's work that waits to be let through, call by call, and says when it has begun."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self._through = threading.Semaphore(0)

    def pass_by(self):
        self.begun.release()
        assert self._through.acquire(timeout=30)

    def open(self, times=10_000):
        self._through.release(times)

    def wait_until_begun(self):
        assert self.begun.acquire(timeout=30)


@contextmanager
def running(work):
    """The pipeline on a thread of its own; what it returned or raised is in the future."""
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(work.run)
        try:
            yield ended
        finally:
            work.stop()


def until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_while_one_batch_is_committed_the_next_is_predicted_and_another_tokenized():
    committing, predicting = Gate(), Gate()

    class GatedSink(MemorySink):
        def commit(self, batch):
            committing.pass_by()
            return super().commit(batch)

    class GatedScorer(Shout):
        def predict(self, tokenized):
            predicting.pass_by()
            return super().predict(tokenized)

    source, sink = MemorySource(log_of(*(good(i) for i in range(50)))), GatedSink()
    work = pipeline(source, sink, GatedScorer(), records=1)
    with running(work) as ended:
        predicting.open(1)
        committing.wait_until_begun()  # batch 0 is committing
        predicting.wait_until_begun()
        predicting.wait_until_begun()  # batch 1 is on the device
        until(lambda: work.depths == {"tokenize": 1, "predict": 1, "prepare": 0, "commit": 0})

        assert sink.stored == {}
        committing.open()
        predicting.open()
        assert ended.result(30) == Committed(50)

    assert list(sink.stored) == [str(i) for i in range(50)]
    assert [a.previous for a in sink.advances] == [None, *range(1, 50)]


def test_while_one_batch_is_committed_the_next_is_made_ready():
    committing, ready = Gate(), []

    class GatedSink(MemorySink):
        def prepare(self, batch):
            ready.append(len(batch.documents))
            return super().prepare(batch)

        def commit(self, batch):
            committing.pass_by()
            return super().commit(batch)

    sink = GatedSink()
    with running(pipeline(MemorySource(log_of(*map(good, range(6)))), sink, records=2)) as ended:
        committing.wait_until_begun()
        until(lambda: len(ready) > 1)
        assert sink.stored == {}
        committing.open()
        assert ended.result(30) == Committed(6)

    assert ready == [2, 2, 2]


def test_a_full_line_holds_the_source_and_reads_no_further():
    gate = Gate()

    class GatedSink(MemorySink):
        def commit(self, batch):
            gate.pass_by()
            return super().commit(batch)

    source, sink = MemorySource(log_of(*(good(i) for i in range(100)))), GatedSink()
    work = pipeline(source, sink, records=1)
    with running(work) as ended:
        gate.wait_until_begun()
        until(lambda: source.holds > 3)
        assert set(work.depths.values()) == {1}
        # committing; a batch before each of the four stages, one at each of the other three
        assert 100 - len(source._left) == 8

        gate.open()
        assert ended.result(30) == Committed(100)


def test_a_batch_that_has_waited_grows_while_the_device_is_busy():
    gate, sizes = Gate(), []

    class Counting(Shout):
        def predict(self, tokenized):
            sizes.append(len(tokenized))
            gate.pass_by()
            return super().predict(tokenized)

    class ByOne(MemorySource):
        def poll(self, limit):
            return super().poll(1)

    texts = [good(i, text="x" * 10) for i in range(24)]
    source = ByOne(log_of(*texts))
    work = pipeline(source, MemorySink(), Counting(), tokens=80)
    with running(work) as ended:
        gate.wait_until_begun()
        until(lambda: source.holds > 3)
        gate.open()
        assert ended.result(30) == Committed(24)

    assert sizes[:3] == [1, 8, 8]


@pytest.mark.parametrize("stage", ["tokenize", "predict", "commit", "on_commit"])
def test_what_a_stage_raises_comes_out_of_run_and_leaves_no_thread(stage):
    def broken(*_):
        raise ZeroDivisionError(stage)

    source, scorer, sink = MemorySource(log_of(*map(good, range(9)))), Shout(), MemorySink()
    work = pipeline(source, sink, scorer, records=1)
    owner = {"commit": sink, "on_commit": work}.get(stage, scorer)
    setattr(owner, stage, broken)
    before = set(threading.enumerate())

    with pytest.raises(ZeroDivisionError, match=stage):
        work.run()

    assert set(threading.enumerate()) <= before
    assert source.closed


def test_what_was_polled_before_the_source_broke_is_committed():
    class Damaged(MemorySource):
        def poll(self, limit):
            if not self._left:
                raise ZeroDivisionError
            return super().poll(limit)

    source, sink = Damaged(log_of(*map(good, range(9)))), MemorySink()

    with pytest.raises(ZeroDivisionError):
        pipeline(source, sink, records=1).run()

    assert len(sink.stored) == 9
    assert source.checkpoints == sink.positions


class Moving(MemorySource):
    """Says that partitions have moved at these polls, until it is rewound."""

    def __init__(self, records, moves):
        super().__init__(records)
        self.polls, self.moves, self.moved = 0, set(moves), False

    def poll(self, limit):
        self.polls += 1
        self.moved = self.moved or self.polls in self.moves
        if self.moved:
            raise PartitionsMovedError("again")
        return super().poll(limit)

    def rewind(self, checkpoints):
        super().rewind(checkpoints)
        self.moved = False


def test_when_partitions_move_what_is_under_way_is_dropped_and_read_again():
    gate = Gate()

    class GatedScorer(Shout):
        def predict(self, tokenized):
            gate.pass_by()
            return super().predict(tokenized)

    source, sink = Moving(log_of(*map(good, range(20))), [3]), MemorySink()
    work = pipeline(source, sink, GatedScorer(), records=2)
    with running(work) as ended:
        gate.wait_until_begun()
        until(lambda: source.moved)
        gate.open()
        assert ended.result(30) == Committed(20)

    # Of the four documents that were under way none was committed twice, nor in conflict.
    assert [(a.previous, a.checkpoint.next_offset) for a in sink.advances] == [
        (None if first == 0 else first, first + 2) for first in range(0, 20, 2)
    ]


def test_a_commit_under_way_when_partitions_move_is_waited_for():
    gate, read = Gate(), []

    class GatedSink(MemorySink):
        def commit(self, batch):
            gate.pass_by()
            return super().commit(batch)

        def checkpoints(self):
            read.append(dict(self.positions))
            return super().checkpoints()

    class Quiet(Moving):
        def poll(self, limit):
            quiet = self.polls and not self.moved and not read
            return [] if quiet else super().poll(limit)

    source, sink = Quiet(log_of(*map(good, range(6))), []), GatedSink()
    work = pipeline(source, sink, records=2)
    with running(work) as ended, capture_logs() as logs:
        gate.wait_until_begun()
        source.moved = True
        until(lambda: logs)
        assert read == []
        gate.open()
        assert ended.result(30) == Committed(6)

    assert read == [{LEFT: Checkpoint(2, at(0))}]
    assert [entry["event"] for entry in logs] == ["partitions_moved"]


def test_moved_while_the_sink_is_away_it_lets_go_of_the_batch():
    class Away(MemorySink):
        def commit(self, batch):
            if not source.moved and source.polls < 3:
                raise SinkUnavailableError("down")
            return super().commit(batch)

    source, sink = Moving(log_of(*map(good, range(6))), [2]), Away()

    assert pipeline(source, sink, records=2).run() == Committed(6)


def test_checkpoints_that_cannot_be_read_just_now_are_waited_for(no_waits):
    class Away(MemorySink):
        reads = 0

        def checkpoints(self):
            self.reads += 1
            if self.reads < 3:
                raise SinkUnavailableError("down")
            return super().checkpoints()

    sink = Away()

    assert pipeline(Moving(log_of(good(1)), [1]), sink).run() == Committed(1)
    assert sink.reads == 3


def test_the_source_is_touched_by_the_calling_thread_alone():
    threads = set()

    class Watched(Moving):
        def __getattribute__(self, name):
            if not name.startswith("_"):
                threads.add(threading.current_thread())
            return super().__getattribute__(name)

    source = Watched(log_of(*map(good, range(40))), [5])
    pipeline(source, MemorySink(errors=[None, SinkConflictError("lost")]), records=1).run()

    assert threads == {threading.current_thread()}


class Diary:
    """An observer that keeps what it is told."""

    def __init__(self):
        self.batches, self.lags = [], []

    def finished(self, batch):
        self.batches.append(batch)

    def lagging(self, records):
        self.lags.append(dict(records))


def test_the_stamps_of_a_batch_go_forward_and_say_why_it_went():
    class Lagging(MemorySource):
        def lags(self):
            return {LEFT: 7}

    diary = Diary()
    source = Lagging(log_of(*(good(i, text="x" * 5) for i in range(5)), b"bad"))
    pipeline(source, MemorySink(), tokens=10, seconds=60, observer=diary).run()

    assert [(str(b.batch.reason), b.batch.tokens, b.added) for b in diary.batches] == [
        ("budget", 10, Committed(2)),
        ("budget", 10, Committed(2)),
        ("drain", 5, Committed(1, 0, 1)),
    ]
    for told in diary.batches:
        polled = max(entry.polled for entry in told.batch.entries)
        stamps = [
            polled, told.batch.closed, told.predicting, told.scored, told.committing, told.committed
        ]  # fmt: skip
        assert stamps == sorted(stamps)
    assert diary.lags[0] == {LEFT: 7}


payloads = st.lists(
    st.one_of(
        st.builds(good, st.integers(0, 15), st.integers(0, 30)),
        st.sampled_from([None, b"bad", b"\xff"]),
    ),
    max_size=20,
)
failures = st.lists(
    st.sampled_from([None, SinkUnavailableError("away"), SinkConflictError("lost")]), max_size=8
)


@given(
    payloads,
    payloads,
    st.builds(Limits, st.integers(1, 7), st.integers(1, 60), st.sampled_from([0.0, 0.001, 60.0])),
    failures,
    st.sets(st.integers(1, 12), max_size=3),
)
@settings(max_examples=100, deadline=None)
def test_nothing_is_lost_or_counted_twice_whatever_the_batches_failures_and_moves(
    left, right, limits, errors, moves
):
    records = log_of(*left) + log_of(*right, partition=RIGHT)
    sink, calm = MemorySink(errors=list(errors)), MemorySink()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ingest.line, "FIRST_WAIT", 0.0)
        work = pipeline(Moving(records, moves), sink)
        work.limits = limits
        work.run()
    pipeline(MemorySource(records), calm, records=1).run()

    assert sink.stored == calm.stored
    assert positions(sink.letters) == positions(calm.letters)
    assert sink.positions == calm.positions
    assert late(sink) == late(calm)
    assert {p: c.next_offset for p, c in sink.positions.items()} == {
        p: len(log) for p, log in ((LEFT, left), (RIGHT, right)) if log
    }


def positions(letters):
    return sorted((letter.record.position, letter.reason) for letter in letters)


def late(sink):
    return sum(advance.late for advance in sink.advances)
