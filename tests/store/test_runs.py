from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import func, select

from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Committed, DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Document, Reason
from store import alertlog, outbox, receivers, runs
from store.alert_actions import ActionRow, add_action
from store.alertlog import EventRow, StateRow
from store.cards import NewCard, write_cards
from store.commits import commit_batch, register_model
from store.corrections import Correction, add_correction
from store.database import Database
from store.drift import DriftReport, save_report
from store.errors import RunConflictError, StoreError, UnknownRunError
from store.notifications import NotificationRow, append_notifications
from store.preparing import prepare_batch
from store.receivers import ReceiverState
from store.rescoring import StoredText, replace_scores
from store.schema import metadata
from store.silences import add_silence
from store.tellings import GroupRow, Telling, write_groups, write_tellings

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def connection(database):
    """A transaction that is rolled back, so that each test finds no run."""
    with database.engine.connect() as opened:
        yield opened
        opened.rollback()


def fill(connection, run):
    """Something of the run in every table."""
    register_model(connection, "m", Labels(("Macro",)))
    document = Document(
        id="1", source="s", kind="news", published_at=NOON, text="x", symbols=("A",)
    )
    prediction = Prediction(
        {"Macro": 10_000}, {"negative": 10_000, "neutral": 0, "positive": 0}, "m", 1
    )
    part = Partition("topic", 0)
    letter = DeadLetter(Record(part, 1, b"x"), Reason.NOT_JSON, "broken")
    advance = Advance(part, None, Checkpoint(2, NOON))
    batch = ScoredBatch([document, document], [prediction] * 2, [letter], [advance])
    commit_batch(connection, run.id, prepare_batch(batch))
    alertlog.write_states(connection, run.id, [StateRow("r", "k", "firing", NOON)], [])
    (event_id,) = alertlog.append_events(connection, run.id, [event()])
    write_cards(connection, [NewCard(event_id, {"drivers": []})])
    message = outbox.Message(uuid4(), event_id, "console", {"a": 1})
    outbox.post(connection, [message])
    (claimed,) = outbox.claim(connection, datetime.now(UTC))
    write_tellings(connection, run.id, [Telling("r", "k", "topic", 5, event_id=event_id)], [])
    write_groups(connection, run.id, [GroupRow("g", NOON)], [])
    row = NotificationRow("r", "k", NOON, "firing", told=True, reason="x", event_id=event_id)
    append_notifications(connection, run.id, [row])
    end = NOON.replace(hour=14)
    silence = add_silence(connection, run.id, {"key": "k"}, NOON, end, "ann", "why")
    add_action(connection, run.id, ActionRow("silence", "ann", silence_id=silence))
    done = outbox.Attempt(claimed, 1, outbox.DELIVERED, "accepted", "done", NOON)
    outbox.record(connection, [done])
    receivers.hold(connection, ReceiverState("console", 1, NOON))
    add_correction(connection, Correction(run.id, "1", "Macro", None, "ann"))
    register_model(connection, "n", Labels(("Macro",)))
    other = msgspec.structs.replace(prediction, model="n")
    replace_scores(connection, run.id, [StoredText("1", "x")], [other])
    save_report(
        connection, DriftReport(run.id, "n", NOON, NOON, 1, 0.1, 0.1, 0.1, 0.1, "stable", {})
    )


def event(minute=0, state="firing", **fields):
    at = NOON.replace(minute=minute)
    return EventRow(**{
        "rule": "r", "key": "k", "scope": "topic", "at": at, "previous": "inactive",
        "state": state, "reason": "x", "severity": 5, "fired_at": at, "value": 0.5,
        "documents": 4, "window_start": at, "window_end": at,
    } | fields)  # fmt: skip


def rows_of(connection):
    return {
        table.name: connection.scalar(select(func.count()).select_from(table))
        for table in metadata.sorted_tables
    }


def test_a_run_is_made_once_and_found_again(connection):
    made = runs.open_run(connection, "replay", "feed.jsonl")

    assert (made.name, made.feed, made.finished_at, made.evaluated_until) == (
        "replay",
        "feed.jsonl",
        None,
        None,
    )
    assert runs.open_run(connection, "replay", "feed.jsonl") == made
    assert runs.find_run(connection, "replay") == made


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("a.jsonl", "b.jsonl", "made from a.jsonl, not from b.jsonl"),
        (None, "b.jsonl", "made from Kafka, not from b.jsonl"),
        ("a.jsonl", None, "made from a.jsonl, not from Kafka"),
    ],
)
def test_a_run_of_another_feed_is_not_opened(connection, first, second, told):
    runs.open_run(connection, "replay", first)

    with pytest.raises(RunConflictError, match=told):
        runs.open_run(connection, "replay", second)


def test_a_run_that_is_not_there_is_told_with_those_that_are(connection):
    with pytest.raises(UnknownRunError, match="no run called 'x'; runs: none yet"):
        runs.find_run(connection, "x")
    runs.open_run(connection, "live")
    runs.open_run(connection, "replay")

    with pytest.raises(UnknownRunError, match="runs: replay, live"):
        runs.find_run(connection, "x")


def test_runs_are_listed_the_newest_first(connection):
    for name in ("b", "a", "c"):
        runs.open_run(connection, name)

    assert [run.name for run in runs.list_runs(connection)] == ["c", "a", "b"]


def test_a_run_is_finished_at_a_moment(connection):
    run = runs.open_run(connection, "replay")

    runs.finish_run(connection, run.id)

    assert runs.find_run(connection, "replay").finished_at.tzinfo is not None


def test_deleting_a_run_takes_everything_of_it_and_nothing_else(connection):
    kept, gone = runs.open_run(connection, "kept"), runs.open_run(connection, "gone")
    fill(connection, kept)
    before = rows_of(connection)
    fill(connection, gone)
    assert all(count > 0 for count in before.values())
    assert {name for name, count in rows_of(connection).items() if count == before[name]} == {
        "runs",
        "models",
        "counters",
        "receivers",
    }

    runs.delete_run(connection, "gone")
    runs.delete_run(connection, "never was")

    after = rows_of(connection)
    assert after == before | {"runs": 1, "counters": 1}
    assert [run.name for run in runs.list_runs(connection)] == ["kept"]


def test_a_deleted_run_begins_again_from_nothing(connection):
    run = runs.open_run(connection, "replay", "a.jsonl")
    fill(connection, run)
    runs.delete_run(connection, "replay")

    again = runs.open_run(connection, "replay", "b.jsonl")

    assert again.id != run.id
    assert runs.read_counters(connection, again.id) == Committed()
    assert runs.read_checkpoints(connection, again.id) == {}


def test_the_counters_are_those_of_the_run(connection):
    one, other = runs.open_run(connection, "one"), runs.open_run(connection, "other")
    fill(connection, one)

    assert runs.read_counters(connection, one.id) == Committed(1, 1, 1)
    assert runs.read_counters(connection, other.id) == Committed()
    assert runs.read_counters(connection, other.id + 1) == Committed()


def test_the_versions_that_scored_a_run_are_those_of_its_documents(connection):
    filled, empty = (runs.open_run(connection, name) for name in ("filled", "empty"))
    fill(connection, filled)

    assert runs.read_versions(connection, filled.id) == ["n"]
    assert runs.read_versions(connection, empty.id) == []


def test_partitions_are_registered_at_their_beginning_and_only_once(connection):
    run = runs.open_run(connection, "live")
    fill(connection, run)

    for _ in range(2):
        runs.register_partitions(connection, run.id, [Partition("topic", 1), Partition("topic", 0)])
    runs.register_partitions(connection, run.id, [])

    assert runs.read_checkpoints(connection, run.id) == {
        Partition("topic", 0): Checkpoint(2, NOON),
        Partition("topic", 1): Checkpoint(0),
    }


def test_only_postgresql_is_taken():
    with pytest.raises(StoreError, match="only PostgreSQL is supported, not 'sqlite'"):
        Database("sqlite://")


def test_alerts_are_paired_with_their_ends_the_newest_first(connection):
    run = runs.open_run(connection, "live")
    alertlog.append_events(
        connection,
        run.id,
        [
            event(0, "pending"),
            event(1),
            event(2, key="other"),
            event(3, "resolved"),
            event(4),
            event(5, "resolved", rule="another"),
            event(6, "resolved"),
            event(7),
        ],
    )

    found = alertlog.read_alerts(connection, "live")

    times = [(a.key, a.fired_at.minute, a.resolved_at and a.resolved_at.minute) for a in found]
    assert times == [("k", 7, None), ("k", 4, 6), ("other", 2, None), ("k", 1, 3)]


def test_alerts_are_read_of_one_run_or_of_all(connection):
    for name in ("one", "other"):
        alertlog.append_events(connection, runs.open_run(connection, name).id, [event()])

    assert [a.run for a in alertlog.read_alerts(connection, "other")] == ["other"]
    assert sorted(a.run for a in alertlog.read_alerts(connection)) == ["one", "other"]
    assert alertlog.read_alerts(connection, "absent") == []


def test_states_are_replaced_and_forgotten_by_rule_and_key(connection):
    run = runs.open_run(connection, "live")
    first, second = StateRow("r", "a", "pending", NOON), StateRow("r", "b", "firing", NOON, NOON)
    alertlog.write_states(connection, run.id, [first, second], [])

    changed = StateRow("r", "a", "firing", NOON, NOON, NOON)
    alertlog.write_states(connection, run.id, [changed], [("r", "b"), ("x", "a")])

    (left,) = alertlog.read_states(connection, run.id)
    assert left == changed
