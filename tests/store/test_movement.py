"""Keys side by side, and what a subject is made of, on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from classifier.labels import SENTIMENTS, TOPICS, Labels
from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store.buckets import Sums, widest
from store.commits import commit_batch, register_model
from store.movement import Change, Part, read_changes, read_parts
from store.preparing import prepare_batch
from store.runs import open_run
from store.views import Slice, read_bins

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

SCENE = [
    # minute, topic, sentiment, source, kind, symbols
    (0, "Macro", "negative", "wire", "news", ("AAA", "BBB")),
    (5, "Macro", "positive", "chat", "comment", ()),
    (59, "Macro", "negative", "chat", "comment", ("AAA",)),
    (60, "Earnings", "neutral", "wire", "news", ("AAA",)),
    (119, "Macro", "negative", "wire", "news", ("BBB",)),
    (120, "Earnings", "negative", "wire", "news", ()),
]


@pytest.fixture
def run_id(connection) -> int:
    run = open_run(connection, "replay", "feed")
    register_model(connection, "model-1", Labels())
    posts = [
        Document(
            id=f"d{number}",
            source=source,
            kind=kind,
            published_at=NOON + minute * MINUTE,
            text=f"text {number}",
            symbols=symbols,
        )
        for number, (minute, _, _, source, kind, symbols) in enumerate(SCENE)
    ]
    said = [
        Prediction(
            {name: 10_000 if name == topic else 0 for name in TOPICS},
            {name: 8000 if name == sentiment else 1000 for name in SENTIMENTS},
            "model-1",
            5,
        )
        for _, topic, sentiment, *_ in SCENE
    ]
    commit_batch(connection, run.id, prepare_batch(ScoredBatch(posts, said, [], [])))
    return run.id


def test_a_key_is_summed_before_a_moment_and_from_it_on(connection, run_id):
    part = Slice(run_id, "topic", NOON, NOON + 3 * HOUR)
    assert read_changes(connection, part, NOON + HOUR) == [
        Change("Macro", Sums(3, 2, 0, 1, -7000), Sums(1, 1, 0, 0, -7000)),
        Change("Earnings", Sums(), Sums(2, 1, 1, 0, -7000)),
    ]


@pytest.mark.parametrize("minutes", [0, 1, 59, 60, 61, 119, 120, 180])
@pytest.mark.parametrize("scope", ["all", "topic", "symbol", "source"])
def test_both_sides_together_are_the_bins_of_the_slice(connection, run_id, scope, minutes):
    part = Slice(run_id, scope, NOON, NOON + 3 * HOUR)
    since = NOON + minutes * MINUTE
    sums: dict[tuple[str, bool], Sums] = {}
    for found in read_bins(connection, part, MINUTE):
        place = (found.key, found.start >= since)
        sums[place] = sums.get(place, Sums()) + found.sums
    changes = read_changes(connection, part, since)
    assert {each.key for each in changes} == {key for key, _ in sums}
    for each in changes:
        assert each.before == sums.get((each.key, False), Sums())
        assert each.now == sums.get((each.key, True), Sums())


@pytest.mark.parametrize("width", ["minute", "hour", "day"])
def test_the_width_of_the_buckets_changes_no_sum(connection, run_id, width):
    """The same documents, cut between them where the cut falls into a minute, hour or day."""
    off = {"minute": MINUTE, "hour": HOUR, "day": 0 * HOUR}[width]
    midnight = NOON - 12 * HOUR
    part = Slice(run_id, "topic", midnight - 9 * DAY - off, midnight + 9 * DAY + off)
    sums = {"Macro": Sums(4, 3, 0, 1, -14_000), "Earnings": Sums(2, 1, 1, 0, -7000)}
    assert widest(part.start, part.end) == width
    for since, later in ((midnight - DAY + off, True), (midnight + DAY + off, False)):
        assert read_changes(connection, part, since) == [
            Change(key, *((Sums(), found) if later else (found, Sums())))
            for key, found in sums.items()
        ]
    for size in (DAY, 7 * DAY):
        assert {found.key: found.sums for found in read_bins(connection, part, size)} == sums


def test_the_largest_keys_come_first_and_the_rest_is_left_out(connection, run_id):
    part = Slice(run_id, "symbol", NOON, NOON + 3 * HOUR)
    changes = read_changes(connection, part, NOON + HOUR)
    assert [each.key for each in changes] == ["AAA", "BBB"]
    assert [each.key for each in read_changes(connection, part, NOON, limit=1)] == ["AAA"]


def test_changes_of_one_kind_only(connection, run_id):
    part = Slice(run_id, "all", NOON, NOON + 3 * HOUR, kind="comment")
    (found,) = read_changes(connection, part, NOON + 30 * MINUTE)
    assert (found.before.documents, found.now.documents) == (1, 1)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (
            Slice(0, "all", NOON, NOON + 3 * HOUR),
            [("wire", "news", 4, 3, 1, 0, -21_000), ("chat", "comment", 2, 1, 0, 1, 0)],
        ),
        (
            Slice(0, "topic", NOON, NOON + 2 * HOUR, key="Macro"),
            [("chat", "comment", 2, 1, 0, 1, 0), ("wire", "news", 2, 2, 0, 0, -14_000)],
        ),
        (
            Slice(0, "symbol", NOON, NOON + 2 * HOUR, key="AAA"),
            [("wire", "news", 2, 1, 1, 0, -7000), ("chat", "comment", 1, 1, 0, 0, -7000)],
        ),
        (
            Slice(0, "symbol", NOON, NOON + 2 * HOUR, kind="comment", key="AAA"),
            [("chat", "comment", 1, 1, 0, 0, -7000)],
        ),
        (
            Slice(0, "source", NOON + HOUR, NOON + 3 * HOUR, key="wire"),
            [("wire", "news", 3, 2, 1, 0, -14_000)],
        ),
        (Slice(0, "symbol", NOON, NOON + HOUR, key="'; drop table runs --"), []),
    ],
    ids=["all", "topic", "symbol", "comments", "source", "none"],
)
def test_a_subject_is_split_by_source_and_kind(connection, run_id, part, said):
    part = Slice(run_id, part.scope, part.start, part.end, part.kind, part.key)
    expected = [Part(source, kind, Sums(*numbers)) for source, kind, *numbers in said]
    assert read_parts(connection, part) == expected


def test_a_split_is_of_the_newest_documents(connection, run_id):
    part = Slice(run_id, "all", NOON, NOON + 3 * HOUR)
    assert read_parts(connection, part, read=2) == [Part("wire", "news", Sums(2, 2, 0, 0, -14_000))]


def test_a_run_sees_nothing_of_another(connection, run_id):
    other = open_run(connection, "other", "feed")
    part = Slice(other.id, "all", NOON, NOON + 3 * HOUR)
    assert read_changes(connection, part, NOON + HOUR) == []
    assert read_parts(connection, part) == []
