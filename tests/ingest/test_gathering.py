"""The gatherer on drawn timelines: one column is one tick, and the tick is the injected clock.

``a`` to ``z`` arrive at their column. The numbers below are their tokens. A batch that is taken
is written below the moment of it, with the reason.
"""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.batch import DeadLetter, Partition, Record
from ingest.decoding import Entry
from ingest.document import Document, Reason
from ingest.gathering import Flush, Gatherer, Limits

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
LEFT, RIGHT = Partition("left", 0), Partition("right", 1)


def entry(name, polled=0.0, partition=LEFT, offset=0, *, bad=False):
    record = Record(partition, offset, name.encode())
    if bad:
        return Entry(record, DeadLetter(record, Reason.NOT_JSON, ""), polled)
    document = Document(id=name, source="s", kind="news", published_at=NOON, text=name)
    return Entry(record, document, polled)


def names(batch):
    return "".join(entry.record.payload.decode() for entry in batch.entries)


def played(arrivals, tokens="", ready="", *, records=100, budget=10, wait=5, drain=False):
    """What goes at which tick: the batches as ``(tick, names, reason)``.

    ``ready`` draws at which ticks somebody asks; without it, at every tick. Capital letters
    arrive as dead letters.
    """
    gatherer = Gatherer(Limits(records, budget, wait))
    sizes = iter(tokens.replace(" ", ""))
    taken = []
    for tick in range(max(len(arrivals), len(ready))):
        name = arrivals[tick : tick + 1].strip(" .")
        if name.isupper():
            gatherer.add(entry(name, tick, bad=True))
        elif name:
            gatherer.add(entry(name, tick), "x" * int(next(sizes)))
        last = drain and tick == len(arrivals) - 1
        while not ready or ready[tick : tick + 1] == "|":
            reason = gatherer.due(tick, drain=last)
            if reason is None:
                break
            batch = gatherer.take(reason, tick)
            assert batch.closed == tick
            taken.append((tick, names(batch), str(reason)))
    return taken


def test_a_lone_document_goes_when_it_has_waited_long_enough():
    assert played(
        "..a.......",
        "  3       ",
    ) == [(7, "a", "wait")]  # fmt: skip


def test_the_oldest_document_decides_not_the_newest():
    assert played(
        "a..b.c.......",
        "1  1 1       ",
    ) == [(5, "abc", "wait")]  # fmt: skip


def test_those_that_come_after_a_batch_wait_for_their_own_time():
    assert played(
        "a...bc.d......",
        "1   11 1      ",
    ) == [(5, "abc", "wait"), (12, "d", "wait")]  # fmt: skip


def test_a_full_budget_waits_for_nobody():
    assert played(
        "abc.......",
        "433       ",
    ) == [(2, "abc", "budget")]  # fmt: skip


def test_what_does_not_fit_begins_the_next_batch():
    assert played(
        "abc.......",
        "444       ",
    ) == [(2, "ab", "budget"), (7, "c", "wait")]  # fmt: skip


def test_one_token_less_than_the_budget_waits():
    assert played(
        "ab........",
        "54        ",
    ) == [(5, "ab", "wait")]  # fmt: skip


def test_a_document_larger_than_the_budget_goes_alone():
    assert played(
        "abc...........",
        "191           ",
        budget=5,
    ) == [(1, "a", "budget"), (1, "b", "budget"), (7, "c", "wait")]  # fmt: skip


def test_so_many_records_are_a_batch_however_few_their_tokens():
    assert played(
        "abcd......",
        "1111      ",
        records=3,
    ) == [(2, "abc", "budget"), (8, "d", "wait")]  # fmt: skip


def test_dead_letters_have_no_tokens_and_keep_their_place():
    assert played(
        "AbCd......",
        " 5 5      ",
    ) == [(3, "AbCd", "budget")]  # fmt: skip


def test_a_dead_letter_alone_goes_after_its_wait():
    assert played("A.......") == [(5, "A", "wait")]


def test_at_the_end_nothing_is_waited_for():
    assert played(
        "ab",
        "12",
        drain=True,
    ) == [(1, "ab", "drain")]  # fmt: skip


def test_at_the_end_full_batches_are_still_cut_by_the_budget():
    assert played(
        "abc",
        "666",
        ready="  |",
        drain=True,
    ) == [(2, "a", "budget"), (2, "b", "budget"), (2, "c", "drain")]  # fmt: skip


def test_a_batch_that_is_due_grows_until_it_is_taken():
    assert played(
        "ab......c.d......",
        "22      2 2      ",
        "               | ",
    ) == [(15, "abcd", "wait")]  # fmt: skip


def test_with_no_wait_at_all_each_goes_at_once():
    assert played(
        "a.b",
        "1 1",
        wait=0,
    ) == [(0, "a", "wait"), (2, "b", "wait")]  # fmt: skip


@pytest.mark.parametrize("drain", [False, True])
def test_an_empty_gatherer_is_never_due(drain):
    gatherer = Gatherer(Limits())
    assert gatherer.due(1e9, drain=drain) is None
    assert gatherer.seconds_left(1e9) is None


def test_it_says_how_long_the_oldest_may_still_wait():
    gatherer = Gatherer(Limits(seconds=5))
    gatherer.add(entry("a", 100.0), "x")
    gatherer.add(entry("b", 103.0), "x")
    assert [gatherer.seconds_left(now) for now in (100.0, 104.0, 105.0, 200.0)] == [5, 1, 0, 0]


def test_a_batch_keeps_documents_and_their_tokens_in_step():
    gatherer = Gatherer(Limits())
    for name in "aBc":
        gatherer.add(
            entry(name, bad=name.isupper()), None if name.isupper() else (name, name)
        )  # fmt: skip

    batch = gatherer.take(Flush.DRAIN, 0.0)

    assert [document.id for document in batch.documents] == ["a", "c"]
    assert batch.tokenized == [("a", "a"), ("c", "c")]
    assert [letter.record.payload for letter in batch.dead_letters] == [b"B"]
    assert batch.tokens == 4


arrivals = st.lists(
    st.tuples(
        st.floats(0, 3),  # ticks since the one before
        st.sampled_from([LEFT, RIGHT]),
        st.one_of(st.none(), st.integers(0, 15)),  # tokens; None: a dead letter
        st.booleans(),  # whether somebody asks now
    ),
    max_size=40,
)


@given(arrivals, st.integers(1, 8), st.integers(1, 12), st.floats(0, 6))
def test_nothing_is_lost_or_reordered_and_no_batch_is_over_its_limits(
    arrivals, records, budget, wait
):
    gatherer, limits, now = (
        Gatherer(Limits(records, budget, wait)),
        Limits(records, budget, wait),
        0,
    )
    put, batches = {LEFT: [], RIGHT: []}, []
    for step, partition, tokens, asks in arrivals:
        now += step
        put[partition].append(tokens)
        waits = entry("x", now, partition, len(put[partition]) - 1, bad=tokens is None)
        gatherer.add(waits, None if tokens is None else "x" * tokens)
        while asks and (reason := gatherer.due(now)):
            oldest = gatherer._waiting[0][0].polled
            batches.append(gatherer.take(reason, now))
            assert reason is Flush.BUDGET or now - oldest >= wait - 1e-9
        if asks:
            left = gatherer.seconds_left(now)
            assert left is None or left > 0
    while reason := gatherer.due(now, drain=True):
        batches.append(gatherer.take(reason, now))

    assert len(gatherer) == 0
    for partition, sizes in put.items():
        offsets = [
            e.record.offset for b in batches for e in b.entries if e.partition == partition
        ]  # fmt: skip
        assert offsets == list(range(len(sizes)))
    for batch in batches:
        assert 1 <= len(batch.entries) <= limits.records
        assert batch.tokens <= limits.tokens or len(batch.entries) == 1
        assert len(batch.tokenized) == len(batch.documents)
