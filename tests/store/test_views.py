"""The dashboard's queries, on a real PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from classifier.labels import SENTIMENTS, TOPICS, Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Document, Reason
from store.buckets import Sums
from store.commits import commit_batch, register_model
from store.database import Database
from store.preparing import prepare_batch
from store.runs import finish_run, open_run
from store.views import (
    Bin,
    Slice,
    largest_keys,
    read_bins,
    read_documents,
    read_text,
    summarize_runs,
)

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PARTITION = Partition("feed", 0)


def document(number, minute, **fields):
    fields = {"kind": "news", "source": "wire", "text": f"text {number}", **fields}
    at = NOON + timedelta(minutes=minute)
    return Document(id=f"d{number}", published_at=at, **fields)


def prediction(topic, sentiment, probability=8000):
    rest = (10_000 - probability) // 2
    return Prediction(
        {name: 10_000 if name == topic else 0 for name in TOPICS},
        {name: probability if name == sentiment else rest for name in SENTIMENTS},
        "model-1",
        5,
    )


SCENE = [
    (document(1, 0, symbols=("AAA", "BBB"), title="First"), prediction("Macro", "negative")),
    (document(2, 5, kind="comment"), prediction("Macro", "positive")),
    (document(3, 59, source="chat"), prediction("Macro", "negative", 9000)),
    (document(4, 60, symbols=("AAA",)), prediction("Earnings", "neutral")),
    (document(5, 120), prediction("Macro", "negative", 6000)),
]


@pytest.fixture
def connection(database_url) -> Iterator[Connection]:
    database = Database(database_url)
    database.migrate()
    with database.transaction() as connection:
        yield connection
    database.close()


@pytest.fixture
def run_id(connection) -> int:
    run = open_run(connection, "replay", "feed")
    register_model(connection, "model-1", Labels())
    documents, predictions = zip(*SCENE, strict=True)
    letter = DeadLetter(Record(PARTITION, 9, b"?"), Reason.NOT_JSON, "no JSON")
    advance = Advance(PARTITION, None, Checkpoint(10, documents[-1].published_at))
    commit_batch(
        connection, run.id, prepare_batch(ScoredBatch(documents, predictions, [letter], [advance]))
    )
    return run.id


def test_runs_are_summarized_with_their_counters_the_newest_first(connection, run_id):
    finish_run(connection, run_id)
    open_run(connection, "live")
    live, replay = sorted(summarize_runs(connection), key=lambda run: run.name)
    assert (live.name, live.documents, live.finished_at) == ("live", 0, None)
    assert (replay.documents, replay.dead_letters) == (5, 1)
    assert replay.finished_at is not None


def test_hours_are_summed_by_topic(connection, run_id):
    found = read_bins(connection, Slice(run_id, "topic", NOON, NOON + 2 * HOUR), HOUR)
    assert found == [
        Bin("Earnings", NOON + HOUR, Sums(1, 0, 1, 0, 0)),
        Bin("Macro", NOON, Sums(3, 2, 0, 1, -7000 + 7000 - 8500)),
    ]


def test_a_slice_ends_before_its_end(connection, run_id):
    part = Slice(run_id, "all", NOON, NOON + 2 * HOUR)
    found = read_bins(connection, part, 2 * HOUR)
    assert [(each.start, each.sums.documents) for each in found] == [(NOON, 4)]


def test_a_quarter_of_an_hour_comes_from_the_minutes(connection, run_id):
    part = Slice(run_id, "all", NOON, NOON + HOUR)
    found = read_bins(connection, part, timedelta(minutes=15))
    assert [(each.start, each.sums.documents) for each in found] == [
        (NOON, 2),
        (NOON + timedelta(minutes=45), 1),
    ]


def test_days_begin_at_midnight_utc(connection, run_id):
    part = Slice(run_id, "all", NOON - 12 * HOUR, NOON + 12 * HOUR)
    (day,) = read_bins(connection, part, timedelta(days=1))
    assert (day.start, day.sums.documents) == (datetime(2026, 3, 9, tzinfo=UTC), 5)


@pytest.mark.parametrize(
    ("scope", "key", "kind", "ids"),
    [
        ("all", None, None, ["d5", "d4", "d3", "d2", "d1"]),
        ("all", None, "comment", ["d2"]),
        ("topic", "Macro", None, ["d5", "d3", "d2", "d1"]),
        ("topic", "Macro", "news", ["d5", "d3", "d1"]),
        ("source", "chat", None, ["d3"]),
        ("symbol", "AAA", None, ["d4", "d1"]),
        ("symbol", "'; drop table runs --", None, []),
    ],
)
def test_documents_and_bins_of_a_slice_agree(connection, run_id, scope, key, kind, ids):
    part = Slice(run_id, scope, NOON, NOON + 3 * HOUR, kind, key)
    assert [row.id for row in read_documents(connection, part)] == ids
    counted = sum(found.sums.documents for found in read_bins(connection, part, HOUR))
    assert counted == len(ids)


def test_the_most_negative_documents_may_come_first(connection, run_id):
    part = Slice(run_id, "all", NOON, NOON + 3 * HOUR)
    rows = read_documents(connection, part, negative_first=True, limit=3)
    assert [(row.id, row.score) for row in rows] == [("d3", -8500), ("d1", -7000), ("d5", -4000)]


def test_a_document_carries_its_symbols_and_a_cut_text(connection, run_id):
    part = Slice(run_id, "symbol", NOON, NOON + HOUR, key="BBB")
    (row,) = read_documents(connection, part, text_length=4)
    assert (row.title, row.text, row.symbols) == ("First", "text", ("AAA", "BBB"))
    assert read_text(connection, run_id, row.id) == "text 1"
    assert read_text(connection, run_id, "unknown") is None


def test_the_largest_keys_come_first(connection, run_id):
    part = Slice(run_id, "topic", NOON, NOON + 3 * HOUR)
    assert largest_keys(connection, part) == ["Macro", "Earnings"]
    assert largest_keys(connection, part, limit=1) == ["Macro"]
    assert largest_keys(connection, Slice(run_id, "topic", NOON + 4 * HOUR, NOON + 5 * HOUR)) == []


def test_a_run_sees_nothing_of_another(connection, run_id):
    other = open_run(connection, "other", "feed")
    part = Slice(other.id, "all", NOON, NOON + 3 * HOUR)
    assert read_documents(connection, part) == []
    assert read_bins(connection, part, HOUR) == []
