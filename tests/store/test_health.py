"""What the store tells of the system: positions, lag, reasons, sizes, models, deliveries."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from classifier.labels import SENTIMENTS, TOPICS, Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Document, Reason
from store import health
from store.alertlog import EventRow, append_events
from store.commits import commit_batch, register_model
from store.outbox import DELIVERED, PENDING, Attempt, Message, post, record
from store.preparing import prepare_batch
from store.runs import delete_run, open_run

DAY, MINUTE = datetime(2026, 3, 9, tzinfo=UTC), timedelta(minutes=1)


@pytest.fixture
def connection(database):
    """A transaction with the run ``replay``, which is rolled back."""
    with database.engine.connect() as opened:
        opened.execute(text("set local time zone 'UTC'"))
        for version in ("m1", "m2"):
            register_model(opened, version, Labels())
        yield opened
        opened.rollback()


@pytest.fixture
def run(connection):
    return open_run(connection, "replay")


def commit(connection, run, *, models=(), letters=(), advances=()):
    documents, predictions = [], []
    for number, model in enumerate(models):
        identity, at = f"d{number}", DAY + number * MINUTE
        documents.append(
            Document(id=identity, source="wire", kind="news", published_at=at, text="x")
        )
        sure = dict.fromkeys(SENTIMENTS, 0) | {"neutral": 10_000}
        predictions.append(Prediction(dict.fromkeys(TOPICS, 500), sure, model, 1))
    batch = ScoredBatch(documents, predictions, letters, advances)
    commit_batch(connection, run.id, prepare_batch(batch))


def test_partitions_are_told_with_what_was_late(connection, run):
    steps = [
        Advance(Partition("news", 1), None, Checkpoint(7, DAY), late=2),
        Advance(Partition("news", 0), None, Checkpoint(3, None)),
    ]
    commit(connection, run, advances=steps)

    first, second = health.read_partitions(connection, run.id)

    assert (first.partition, first.next_offset, first.newest_event_at, first.late) == (
        0, 3, None, 0,
    )  # fmt: skip
    assert (second.partition, second.next_offset, second.newest_event_at, second.late) == (
        1, 7, DAY, 2,
    )  # fmt: skip
    assert second.updated_at.tzinfo is not None


def test_the_lag_is_that_of_the_newest_documents(connection, run, monkeypatch):
    assert health.read_publish_lag(connection, run.id) is None
    commit(connection, run, models=["m1"] * 5)
    connection.execute(
        text("update documents set ingested_at = published_at + interval '1 second' "
             "* (10 + extract(minute from published_at)) where run_id = :run"),
        {"run": run.id},
    )  # fmt: skip

    lag = health.read_publish_lag(connection, run.id)
    assert (lag.documents, lag.median) == (5, timedelta(seconds=12))
    assert timedelta(seconds=13) < lag.high <= timedelta(seconds=14)
    monkeypatch.setattr(health, "NEWEST", 1)
    assert health.read_publish_lag(connection, run.id).median == timedelta(seconds=14)


def test_reasons_come_with_their_counts_the_commonest_first(connection, run):
    partition = Partition("news", 0)
    reasons = [Reason.BAD_DATE, Reason.NOT_JSON, Reason.NOT_JSON]
    letters = [
        DeadLetter(Record(partition, offset, b"x"), reason, "")
        for offset, reason in enumerate(reasons)
    ]
    commit(connection, run, letters=letters)

    found = health.read_reasons(connection, run.id)

    assert [(each.reason, each.count) for each in found] == [("not_json", 2), ("bad_date", 1)]


def test_models_are_told_with_the_span_that_they_scored(connection, run):
    commit(connection, run, models=["m1", "m1", "m2"])

    newer, older = health.read_models_used(connection, run.id)

    assert (newer.version, newer.documents, newer.first) == ("m2", 1, DAY + 2 * MINUTE)
    assert (older.version, older.documents, older.first, older.last) == (
        "m1", 2, DAY, DAY + MINUTE,
    )  # fmt: skip
    assert older.registered_at is not None


def test_every_table_of_ours_is_told_with_its_size(connection, run):
    sizes = health.read_table_sizes(connection)

    assert {size.name for size in sizes} >= {"documents", "time_buckets", "dead_letters"}
    totals = [size.table_bytes + size.index_bytes for size in sizes]
    assert totals == sorted(totals, reverse=True)
    assert all(size.index_bytes > 0 for size in sizes if size.name == "documents")


def test_deliveries_are_counted_by_outcome_since_a_moment(connection, run):
    event = EventRow("rule", "", "all", DAY, "pending", "firing", "r", 5, DAY, 1.0, 1, DAY, DAY)
    (event_id,) = append_events(connection, run.id, [event])
    message = Message(uuid4(), event_id, "desk", {})
    post(connection, [message])
    record(connection, [Attempt(message, 1, PENDING, "timeout", "timeout", DAY)])
    record(connection, [Attempt(message, 2, DELIVERED, "accepted", "ok", DAY + MINUTE)])

    def counted(since):
        return [(c.outcome, c.count, c.newest) for c in health.count_by_outcome(connection, since)]

    assert counted(DAY) == [("delivered", 1, DAY + MINUTE), ("failed", 1, DAY)]
    assert counted(DAY + MINUTE) == [("delivered", 1, DAY + MINUTE)]


def test_an_empty_run_has_nothing_to_tell(connection, run):
    assert health.read_partitions(connection, run.id) == []
    assert health.read_reasons(connection, run.id) == []
    assert health.read_models_used(connection, run.id) == []
    delete_run(connection, "replay")
