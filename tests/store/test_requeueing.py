"""Dead letters tried again: counted once, whoever tries, and kept where they stay what they are."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest

from classifier.labels import SENTIMENTS, TOPICS, Labels
from classifier.prediction import Prediction
from ingest.batch import Committed, DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Document, Reason
from store.commits import KEPT_PAYLOAD, commit_batch, register_model
from store.deadletters import (
    BEGINNING,
    count_by_reason,
    find_dead_letter,
    list_dead_letters,
    next_dead_letters,
)
from store.errors import UnknownDeadLetterError, UnknownRunError
from store.preparing import prepare_batch
from store.requeueing import Mended, Replayed, StillRejected, commit_replays
from store.runs import delete_run, open_run, read_counters

DAY = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.fixture
def run(database):
    """A run with three dead letters at the offsets 1, 2 and 3 of one partition."""
    with database.transaction() as connection:
        register_model(connection, "m", Labels())
        made = open_run(connection, "replay")
        add(connection, made, 1, 2, 3)
    yield made
    with database.transaction() as connection:
        delete_run(connection, "replay")


def add(connection, run, *offsets, source="news", reason=Reason.BAD_DATE, payload=b"{}"):
    letters = [
        DeadLetter(Record(Partition(source, 0), offset, payload), reason, "old")
        for offset in offsets
    ]
    commit_batch(connection, run.id, prepare_batch(ScoredBatch([], [], letters, [])))


def letters(database, run):
    with database.transaction() as connection:
        return next_dead_letters(connection, run.id, BEGINNING, 100)


def mended(letter, identity=None):
    said = Prediction(
        dict.fromkeys(TOPICS, 500),
        dict.fromkeys(SENTIMENTS, 0) | {"negative": 10_000},
        "m",
        3,
    )
    document = Document(
        id=identity or f"d{letter.offset}",
        source="wire",
        kind="news",
        published_at=DAY,
        text="text",
    )
    return Mended(letter, document, said)


def commit(database, run, *tried):
    with database.transaction() as connection:
        return commit_replays(connection, run.id, tried)


def counters(database, run):
    with database.transaction() as connection:
        return read_counters(connection, run.id)


def test_a_mended_letter_becomes_a_document_and_goes(database, run):
    first, second, third = letters(database, run)

    done = commit(database, run, mended(first), StillRejected(second, "not_json", "new"))

    assert done == Replayed(documents=1, rejected=1)
    assert counters(database, run) == Committed(1, 0, 2)
    kept, untouched = letters(database, run)
    assert (kept.key, kept.reason, kept.detail, kept.replays) == (second.key, "not_json", "new", 1)
    assert kept.replayed_at is not None
    assert untouched == third


def test_a_letter_that_holds_a_known_document_is_a_repeat(database, run):
    first, second, _ = letters(database, run)

    done = commit(database, run, mended(first, "same"), mended(second, "same"))

    assert done == Replayed(documents=1, repeats=1)
    assert counters(database, run) == Committed(1, 1, 1)


def test_what_somebody_else_changed_meanwhile_is_left_alone(database, run):
    first, second, _ = letters(database, run)
    commit(database, run, mended(first), StillRejected(second, "bad_date", "old"))

    done = commit(database, run, mended(first), mended(second))

    assert done == Replayed(taken=2)
    assert counters(database, run) == Committed(1, 0, 2)


def test_of_two_who_try_the_same_one_counts(database, run):
    tried = [mended(letter) for letter in letters(database, run)]
    together = Barrier(2)

    def work(order):
        together.wait(30)
        return commit(database, run, *order)

    with ThreadPoolExecutor(2) as pool:
        done = sum(pool.map(work, (tried, tried[::-1])), Replayed())

    assert (done.documents, done.taken) == (3, 3)
    assert counters(database, run) == Committed(3, 0, 0)
    assert letters(database, run) == []


def test_nothing_is_written_where_the_transaction_fails(database, run):
    first, *_ = letters(database, run)
    with database.engine.connect() as connection:
        commit_replays(connection, run.id, [mended(first)])
        connection.rollback()

    assert counters(database, run) == Committed(0, 0, 3)
    assert len(letters(database, run)) == 3


def test_a_run_that_is_gone_takes_nothing(database, run):
    first, *_ = letters(database, run)
    with database.transaction() as connection:
        delete_run(connection, "replay")

    with pytest.raises(UnknownRunError):
        commit(database, run, mended(first))


def test_letters_are_read_in_the_order_of_their_keys_and_by_reason(database, run):
    with database.transaction() as connection:
        add(connection, run, 1, source="comments", reason=Reason.TOMBSTONE, payload=None)
        first = next_dead_letters(connection, run.id, BEGINNING, 2)
        rest = next_dead_letters(connection, run.id, first[-1].key, 9)
        dated = next_dead_letters(connection, run.id, BEGINNING, 9, ["bad_date"])
        newest = list_dead_letters(connection, run.id, reason="tombstone")
        assert count_by_reason(connection, run.id) == {"bad_date": 3, "tombstone": 1}

    assert [letter.position for letter in first + rest] == [
        "comments[0]@1", "news[0]@1", "news[0]@2", "news[0]@3",
    ]  # fmt: skip
    assert [letter.offset for letter in dated] == [1, 2, 3]
    assert [letter.source for letter in newest] == ["comments"]


def test_one_letter_is_found_by_its_position(database, run):
    with database.transaction() as connection:
        assert find_dead_letter(connection, run.id, ("news", 0, 2)).offset == 2
        with pytest.raises(UnknownDeadLetterError, match=r"news\[1\]@2"):
            find_dead_letter(connection, run.id, ("news", 1, 2))


@pytest.mark.parametrize(("size", "whole"), [(KEPT_PAYLOAD, True), (KEPT_PAYLOAD + 1, False)])
def test_a_letter_says_whether_all_of_it_was_kept(database, run, size, whole):
    with database.transaction() as connection:
        add(connection, run, 9, payload=b"x" * size)
        assert find_dead_letter(connection, run.id, ("news", 0, 9)).is_whole is whole
        (cut,) = [
            d for d in list_dead_letters(connection, run.id, payload_bytes=9) if d.offset == 9
        ]
        assert cut.payload == b"x" * 9
