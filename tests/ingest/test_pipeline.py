import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

import ingest.pipeline
from ingest.batch import Checkpoint, Committed, Partition, Record
from ingest.document import Reason
from ingest.pipeline import Pipeline, SinkConflictError, SinkUnavailableError

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
        self.closed = False
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

    def rewind(self, checkpoints):
        self.checkpoints = {p: checkpoints.get(p) for p in self.checkpoints}
        self._begin()

    def close(self):
        self.closed = True


class Shout:
    def __init__(self):
        self.texts = []

    def score(self, texts):
        self.texts += texts
        return [text.upper() for text in texts]


@dataclass
class MemorySink:
    """Commits as the store does; `errors` are raised one by one before it does anything."""

    errors: list = field(default_factory=list)
    stored: dict = field(default_factory=dict)
    letters: list = field(default_factory=list)
    advances: list = field(default_factory=list)
    positions: dict = field(default_factory=dict)

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


def pipeline(source, sink, **options):
    options = {"clock": lambda: at(1000)} | options
    return Pipeline(source, Shout(), sink, **options)


@pytest.fixture
def no_waits(monkeypatch):
    """Waits of no length, so that the tests need no time."""
    monkeypatch.setattr(ingest.pipeline, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(ingest.pipeline, "LONGEST_WAIT", 0.0)


def test_documents_are_scored_and_committed_to_the_end_of_the_feed():
    source, sink = MemorySource(log_of(good(1), good(2), good(3, title="Title"))), MemorySink()

    total = pipeline(source, sink, batch_documents=2).run()

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

    pipeline(source, sink, batch_documents=2).run()

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
        batch_documents=size,
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

    assert pipeline(source, sink, batch_documents=size).run() == Committed(2, 0, 1)

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
        total = pipeline(source, sink, batch_documents=1).run()

    assert (total, list(sink.stored)) == (Committed(2), ["1", "2"])
    waits = [entry for entry in logs if entry["event"] == "waiting_for_database"]
    assert [(w["log_level"], w["error"]) for w in waits] == [("warning", "down")] * 3


def test_the_pauses_double_up_to_the_longest(monkeypatch):
    waited = []
    work = pipeline(MemorySource(log_of(good(1))), MemorySink(
        errors=[SinkUnavailableError("down")] * 7
    ))  # fmt: skip
    monkeypatch.setattr(work._stop, "wait", waited.append)

    work.run()

    assert waited == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_source_that_needs_the_sink_is_waited_for_too(no_waits):
    class Needy(MemorySource):
        errors = 2

        def poll(self, limit):
            if self.errors:
                self.errors -= 1
                raise SinkUnavailableError("no checkpoints")
            return super().poll(limit)

    assert pipeline(Needy(log_of(good(1))), MemorySink()).run() == Committed(1)


def test_stopped_while_the_sink_is_away_it_ends_and_commits_nothing():
    class Away(MemorySink):
        def commit(self, batch):
            work.stop()
            raise SinkUnavailableError("down")

    sink, seen = Away(), []
    source = MemorySource(log_of(good(1), good(2)))
    work = pipeline(source, sink, batch_documents=1, on_commit=seen.append)

    assert work.run() == Committed()
    assert (sink.stored, seen, source.closed) == ({}, [], True)
    assert source.checkpoints == {LEFT: None}


def test_stopped_from_another_thread_it_ends_after_the_batch_under_way():
    scoring, go_on = threading.Event(), threading.Event()

    class Slow(Shout):
        def score(self, texts):
            scoring.set()
            assert go_on.wait(30)
            return super().score(texts)

    sink = MemorySink()
    work = Pipeline(MemorySource(log_of(good(1), good(2))), Slow(), sink, 1)
    thread = threading.Thread(target=work.run)
    thread.start()
    assert scoring.wait(30)
    work.stop()
    go_on.set()
    thread.join(30)

    assert not thread.is_alive()
    assert list(sink.stored) == ["1"]


def test_after_a_conflict_it_reads_again_from_where_the_sink_stands():
    records = log_of(*(good(i) for i in range(6)))
    sink = MemorySink(positions={LEFT: Checkpoint(4)}, stored={str(i): "" for i in range(4)})

    with capture_logs() as logs:
        total = pipeline(MemorySource(records), sink, batch_documents=2).run()

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
    pipeline(MemorySource(log_of(good(1), b"bad", good(2))), sink, batch_documents=2).run()

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

    pipeline(source, MemorySink(), batch_documents=2, on_commit=seen.append).run()

    assert seen == [Committed(1, 0, 1), Committed(1, 1, 0)]


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


@given(payloads, payloads, st.integers(1, 7), failures)
@settings(max_examples=100, deadline=None)
def test_nothing_is_lost_or_counted_twice_whatever_the_batches_and_failures(
    left, right, size, errors
):
    records = log_of(*left) + log_of(*right, partition=RIGHT)
    sink, calm = MemorySink(errors=list(errors)), MemorySink()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ingest.pipeline, "FIRST_WAIT", 0.0)
        pipeline(MemorySource(records), sink, batch_documents=size).run()
    pipeline(MemorySource(records), calm, batch_documents=1).run()

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
