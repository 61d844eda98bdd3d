import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import make_url, text

from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from store import alertlog, runs
from store.alertlog import EventRow
from store.commits import commit_batch, register_model
from store.database import Database
from store.digest import digest
from store.preparing import prepare_batch

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def database(postgres):
    with postgres.database() as url:
        opened = Database(url)
        opened.migrate()
        with opened.transaction() as connection:
            register_model(connection, "m", Labels(("Macro", "Oil")))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def reference(database):
    return filled(database, "reference")


@pytest.fixture(scope="module")
def other(database, reference):
    """A run of the same documents: each test changes it in a transaction that is rolled back."""
    return filled(database, "other")


@pytest.fixture
def connection(database):
    with database.engine.connect() as opened:
        yield opened
        opened.rollback()


def document(number):
    return Document(
        id=f"{'aBcé'[number % 4]}{number}",
        source="Ab"[number % 2],
        kind="news" if number % 3 else "comment",
        published_at=NOON + number * MINUTE / 7,
        title=None if number % 2 else f"Title {number}",
        text=f"text {number}",
        symbols=tuple("Aa_Z"[: number % 5]),
    )


def predicted(number):
    share = number * 997 % 10_000
    return Prediction(
        {"Macro": share, "Oil": 10_000 - share},
        {"negative": share, "neutral": 0, "positive": 10_000 - share},
        "m",
        1,
    )


def event(minute, key="k"):
    at = NOON + minute * MINUTE
    return EventRow(
        rule="r", key=key, scope="topic", at=at, previous="inactive", state="firing",
        reason="x", severity=5, fired_at=at, value=1 / 3, documents=4, window_start=at,
        window_end=at,
    )  # fmt: skip


def filled(database, name, numbers=range(20), size=20):
    """A run of these documents, committed in batches of a size; its id."""
    numbers, part, done = list(numbers), Partition(name, 0), None
    with database.transaction() as connection:
        run = runs.open_run(connection, name, f"{name}.jsonl")
        alertlog.append_events(connection, run.id, [event(1), event(2), event(2, "K")])
    for first in range(0, len(numbers), size):
        some = numbers[first : first + size]
        advance = Advance(part, done, Checkpoint((done or 0) + len(some), NOON))
        done = advance.checkpoint.next_offset
        documents, predictions = [document(n) for n in some], [predicted(n) for n in some]
        with database.transaction() as connection:
            commit_batch(
                connection,
                run.id,
                prepare_batch(ScoredBatch(documents, predictions, [], [advance])),
            )
    return run.id


def shuffled(seed):
    numbers = list(range(20))
    random.Random(seed).shuffle(numbers)
    return numbers


def differing(connection, one, other):
    """The parts in which two runs differ."""
    mine, theirs = digest(connection, one), digest(connection, other)
    return {name for name in mine if mine[name] != theirs[name]}


@pytest.mark.parametrize(("seed", "size"), [(0, 1), (0, 7), (1, 7), (1, 20)])
def test_it_depends_on_neither_batches_nor_order_nor_name(
    database, connection, reference, seed, size
):
    run = filled(database, f"seed {seed} size {size}", shuffled(seed), size)

    assert differing(connection, reference, run) == set()


def test_a_repeat_changes_nothing(database, connection, reference):
    run = filled(database, "repeats", [*range(20), 3, 5], 10)

    assert differing(connection, reference, run) == set()


def test_the_order_in_which_events_were_written_changes_nothing(connection):
    one, two = (runs.open_run(connection, name) for name in ("one", "two"))
    alertlog.append_events(connection, one.id, [event(1), event(2)])
    alertlog.append_events(connection, two.id, [event(2), event(1)])

    assert differing(connection, one.id, two.id) == set()


def test_it_hashes_each_part_and_the_whole(connection, reference):
    found = digest(connection, reference)

    assert set(found) == {"documents", "buckets", "alerts", "run"}
    assert len(set(found.values())) == 4
    assert all(len(value) == 64 and int(value, 16) for value in found.values())


def test_a_run_without_anything_differs_in_every_part(connection, reference):
    empty = runs.open_run(connection, "empty").id

    assert differing(connection, reference, empty) == {"documents", "buckets", "alerts", "run"}


def test_one_document_more_changes_documents_and_buckets(database, connection, reference):
    run = filled(database, "more", range(21))

    assert differing(connection, reference, run) == {"documents", "buckets", "run"}


def test_it_does_not_depend_on_the_time_zone_of_the_server(database, reference):
    url = make_url(database.url).update_query_dict({"options": "-c TimeZone=Asia/Kolkata"})
    elsewhere = Database(url.render_as_string(hide_password=False))

    with database.transaction() as here, elsewhere.transaction() as there:
        assert digest(there, reference) == digest(here, reference)
    elsewhere.close()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        *((f"update documents set {column}", "documents") for column in (
            "text = text || ' '", "title = coalesce(title, '') || 'x'", "source = 'x'",
            "kind = 'x'", "published_at = published_at + interval '1 microsecond'",
            "url = 'x'", "author = 'x'", "language = 'x'", "topic = 'x'", "sentiment = 'x'",
            "score = score + 1", "truncated = not truncated", "id = id || 'x'",
            "topic_probabilities = '{1}'", "sentiment_probabilities = '{1}'",
        )),
        *((f"update time_buckets set {column}", "buckets") for column in (
            "documents = documents + 1", "negative = negative + 1", "neutral = neutral + 1",
            "positive = positive + 1", "score_sum = score_sum + 1", "key = key || 'x'",
            "start = start + interval '1 second'",
        )),
        *((f"update alert_events set {column}", "alerts") for column in (
            "at = at + interval '1 second'", "rule = 'x'", "key = key || 'x'", "state = 'x'",
            "reason = 'y'", "severity = 6", "value = value + 0.001", "documents = 5",
            "previous = 'x'", "scope = 'x'", "fired_at = null",
        )),
        ("update documents set symbols = symbols || '{x}'", "documents"),
        ("delete from alert_events", "alerts"),
        ("delete from time_buckets", "buckets"),
    ],
)  # fmt: skip
def test_any_change_of_one_row_changes_its_part(connection, reference, other, change, part):
    table = change.split()[2 if change.startswith("delete") else 1]
    counted = "and width <> 'day'" if table == "time_buckets" else ""
    one_row = f"ctid = (select min(ctid) from {table} where run_id = :run_id {counted})"

    changed = connection.execute(text(f"{change} where {one_row}"), {"run_id": other})

    assert changed.rowcount == 1
    assert differing(connection, reference, other) == {part, "run"}


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("documents", "ingested_at = ingested_at + interval '1 day'"),
        ("checkpoints", "next_offset = next_offset + 1"),
        ("alert_events", "recorded_at = recorded_at + interval '1 day'"),
        ("counters", "repeats = repeats + 1"),
        ("time_buckets", "documents = documents + (width = 'day')::integer"),
    ],
)
def test_what_differs_between_runs_by_nature_is_left_out(
    connection, reference, other, table, change
):
    statement = text(f"update {table} set {change} where run_id = :run_id")

    assert connection.execute(statement, {"run_id": other}).rowcount > 0
    assert differing(connection, reference, other) == set()
