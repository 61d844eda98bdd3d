"""The dashboard's queries, on a real PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from classifier.labels import SENTIMENTS, TOPICS, Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Document, Reason
from store import views
from store.buckets import Sums
from store.commits import commit_batch, register_model
from store.preparing import prepare_batch
from store.runs import finish_run, open_run
from store.views import (
    MONDAY,
    Bin,
    Slice,
    largest_keys,
    left_out_until,
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


@pytest.mark.parametrize(
    ("scope", "key", "kind", "ids", "most", "minute"),
    [
        ("all", None, None, ["d3", "d5", "d4"], 3, 5),
        ("all", None, "comment", [], 3, 5),
        ("all", None, None, ["d3", "d1", "d5", "d4", "d2"], 5, None),
        ("topic", "Macro", None, ["d3", "d5"], 2, 5),
        ("topic", "Macro", None, ["d3", "d1", "d5", "d2"], 4, None),
        ("source", "chat", None, [], 2, 59),
        ("source", "chat", None, ["d3"], 3, 5),
        ("symbol", "AAA", None, ["d4"], 1, 0),
        ("symbol", "AAA", None, ["d1", "d4"], 2, None),
    ],
)
def test_a_list_looks_at_the_latest_documents_and_says_which(
    connection, run_id, monkeypatch, scope, key, kind, ids, most, minute
):
    limit = "EXAMINED_OF_SYMBOL" if scope == "symbol" else "EXAMINED"
    monkeypatch.setattr(views, limit, most)
    part = Slice(run_id, scope, NOON, NOON + 3 * HOUR, kind, key)
    newest_first = sorted(ids, reverse=True)

    assert [row.id for row in read_documents(connection, part, negative_first=True)] == ids
    assert [row.id for row in read_documents(connection, part)] == newest_first
    left_out = None if minute is None else NOON + timedelta(minutes=minute)
    assert left_out_until(connection, part) == left_out


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


def test_keys_of_a_long_time_are_all_there_by_name_or_the_largest_of_its_last_week(
    connection, run_id
):
    symbols = {"B": 3, "C": 2, "D": 1, "A": 0}
    posts = [
        document(f"{name}{number}", 60 * 24 * 20 + number, symbols=(name,), kind="comment")
        for name, count in symbols.items()
        for number in range(count)
    ]
    said = [prediction("Dividend", "neutral")] * len(posts)
    commit_batch(connection, run_id, prepare_batch(ScoredBatch(posts, said, [], [])))
    month = Slice(run_id, "symbol", NOON, NOON + 21 * 24 * HOUR)

    assert largest_keys(connection, month) == ["AAA", "B", "BBB", "C", "D"]
    assert largest_keys(connection, month, limit=5) == ["AAA", "B", "BBB", "C", "D"]
    assert largest_keys(connection, month, limit=4) == ["B", "C", "D", "AAA"]
    assert largest_keys(connection, month, limit=2) == ["B", "C"]
    assert largest_keys(connection, replace(month, kind="comment")) == ["B", "C", "D"]
    later = replace(month, start=NOON + 25 * HOUR)
    assert largest_keys(connection, later) == ["B", "C", "D"]
    assert largest_keys(connection, replace(month, scope="topic")) == [
        "Dividend", "Earnings", "Macro"
    ]  # fmt: skip


def test_bins_of_any_size_hold_what_their_buckets_hold(connection, run_id):
    part = Slice(run_id, "topic", NOON + timedelta(minutes=5), NOON + 2 * HOUR)
    for minutes in (1, 5, 7, 15, 55):
        bins = read_bins(connection, part, timedelta(minutes=minutes))
        assert sum(found.sums.documents for found in bins if found.key == "Macro") == 2
        assert all(
            (found.start - MONDAY) % timedelta(minutes=minutes) == 0 * HOUR for found in bins
        )
    for days in (1, 2, 7, 30):
        whole = Slice(run_id, "topic", NOON - 200 * 24 * HOUR, NOON + 200 * 24 * HOUR)
        bins = read_bins(connection, whole, timedelta(days=days))
        assert [(found.key, found.sums.documents) for found in bins] == [
            ("Earnings", 1), ("Macro", 4)
        ]  # fmt: skip


def test_a_run_sees_nothing_of_another(connection, run_id):
    other = open_run(connection, "other", "feed")
    part = Slice(other.id, "all", NOON, NOON + 3 * HOUR)
    assert read_documents(connection, part) == []
    assert read_bins(connection, part, HOUR) == []
