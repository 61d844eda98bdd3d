from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from store import runs
from store.alertlog import StateRow, lock_cursor, move_cursor, write_states
from store.commits import commit_batch
from store.errors import UnknownRunError
from store.preparing import prepare_batch
from store.retention import (
    Cutoff,
    HeldBy,
    Horizon,
    cutoff,
    hold_run,
    move_horizon,
    newest_event,
    read_cutoff,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        opened = runs.open_run(connection, "live")
    yield opened
    with database.transaction() as connection:
        runs.delete_run(connection, "live")


def reach_to(database, run, newest, number=0):
    step = Advance(Partition("topic", number), None, Checkpoint(1, newest))
    with database.transaction() as connection:
        commit_batch(connection, run.id, prepare_batch(ScoredBatch([], [], [], [step])))


@pytest.mark.parametrize(
    ("asked", "needed", "expected"),
    [
        (NOON, {}, Cutoff(NOON, HeldBy.AGE)),
        (NOON + HOUR - MINUTE, {}, Cutoff(NOON, HeldBy.AGE)),
        (NOON - timedelta.resolution, {}, Cutoff(NOON - HOUR, HeldBy.AGE)),
        (NOON, {HeldBy.ALERTER: NOON}, Cutoff(NOON, HeldBy.AGE)),
        (NOON, {HeldBy.ALERTER: NOON - MINUTE}, Cutoff(NOON - HOUR, HeldBy.ALERTER)),
        (
            NOON,
            {HeldBy.ALERTER: NOON - HOUR, HeldBy.OPEN_ALERT: NOON - 2 * HOUR},
            Cutoff(NOON - 2 * HOUR, HeldBy.OPEN_ALERT),
        ),
        (
            datetime.fromisoformat("2026-03-10T17:35:00+05:30"),
            {},
            Cutoff(NOON, HeldBy.AGE),
        ),
    ],
)
def test_the_earliest_limit_holds_at_the_whole_hour_before_it(asked, needed, expected):
    assert cutoff(asked, needed) == expected


def test_a_run_without_documents_has_no_cutoff(database, run):
    reach_to(database, run, None)

    with database.transaction() as connection:
        assert newest_event(connection, run.id) is None
        assert read_cutoff(connection, run.id, NOON, HOUR) is None


def test_what_is_needed_is_a_window_before_checkpoint_alerter_and_open_alert(database, run):
    asked = NOON + 90 * HOUR
    reach_to(database, run, NOON - 5 * HOUR, number=0)
    reach_to(database, run, NOON, number=1)
    with database.transaction() as connection:
        held = read_cutoff(connection, run.id, asked, HOUR)
        assert held == Cutoff(NOON - HOUR, HeldBy.NEWEST_CHECKPOINT)
        move_cursor(connection, run.id, NOON - 2 * HOUR)
        held = read_cutoff(connection, run.id, asked, HOUR)
        assert held == Cutoff(NOON - 3 * HOUR, HeldBy.ALERTER)
        pending = StateRow("rule", "KEY", "pending", NOON - 4 * HOUR, None)
        firing = StateRow("rule", "OTHER", "firing", NOON - 3 * HOUR, NOON - 5 * HOUR)
        write_states(connection, run.id, [pending, firing], [])
        held = read_cutoff(connection, run.id, asked, HOUR)
        assert held == Cutoff(NOON - 6 * HOUR, HeldBy.OPEN_ALERT)
        write_states(connection, run.id, [], [("rule", "KEY"), ("rule", "OTHER")])
        held = read_cutoff(connection, run.id, asked, HOUR)
        assert held == Cutoff(NOON - 3 * HOUR, HeldBy.ALERTER)


def test_a_horizon_never_moves_back(database, run):
    for documents_from, hours_from, expected in (
        (NOON, None, Horizon(NOON, None)),
        (NOON - HOUR, NOON - 9 * HOUR, Horizon(NOON, NOON - 9 * HOUR)),
        (NOON + HOUR, None, Horizon(NOON + HOUR, NOON - 9 * HOUR)),
    ):
        with database.transaction() as connection:
            assert move_horizon(connection, run.id, documents_from, hours_from) == expected
        with database.transaction() as connection:
            assert hold_run(connection, run.id) == expected


def test_a_run_that_was_deleted_cannot_be_held(database, run):
    with database.transaction() as connection:
        runs.delete_run(connection, run.name)

    with (
        database.transaction() as connection,
        pytest.raises(UnknownRunError, match="was deleted meanwhile"),
    ):
        hold_run(connection, run.id)


def test_the_horizon_moves_only_when_nobody_holds_the_run(database, run):
    with database.transaction() as worker, database.transaction() as other:
        hold_run(worker, run.id)
        hold_run(other, run.id)  # workers do not wait for each other
        with database.transaction() as pruner:
            pruner.execute(text("set local lock_timeout = '200ms'"))
            with pytest.raises(Exception, match="lock timeout"):
                move_horizon(pruner, run.id, NOON, None)
            pruner.rollback()


def test_who_holds_the_run_does_not_wait_for_an_alerter(database, run):
    with database.transaction() as alerter, database.transaction() as worker:
        lock_cursor(alerter, run.id)
        worker.execute(text("set local lock_timeout = '500ms'"))

        assert hold_run(worker, run.id) == Horizon()
