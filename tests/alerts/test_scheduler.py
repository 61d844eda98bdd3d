import time
from datetime import timedelta
from threading import Event, Thread
from uuid import uuid4

import pytest
from structlog.testing import capture_logs
from support.commands import wait_until

from alerts.alerter import Alerter
from alerts.rules.ruleset import RuleSet
from alerts.scheduler import AlertSchedule, guarded_tick
from alerts.sending.sender import Sender
from store import alertlog, outbox, runs
from store.alertlog import EventRow
from store.database import Database
from store.errors import DatabaseUnavailableError

NOWHERE = "postgresql://127.0.0.1:1/nothing"


@pytest.fixture(autouse=True)
def free(database):
    """No test leaves the lock to a job that is still ending."""
    yield
    deadline = time.monotonic() + 30
    while not guarded_tick(database, Work()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Work:
    def __init__(self, error=None):
        self.times = 0
        self._error = error

    def __call__(self):
        self.times += 1
        if self._error:
            raise self._error


def schedule(database, alerter, seconds=3600):
    return AlertSchedule(database, alerter, Sender(database, RuleSet()), seconds)


class Judge:
    """An alerter that says when it was asked to advance, and waits until it may go on."""

    def __init__(self):
        self.asked, self.go_on, self.done = Event(), Event(), Event()

    def advance(self, now):
        self.asked.set()
        assert self.go_on.wait(30)
        self.done.set()


def test_a_tick_does_the_work_and_says_so(database):
    work = Work()

    assert guarded_tick(database, work) is True
    assert guarded_tick(database, work) is True
    assert work.times == 2


def test_a_second_holder_stands_by_until_the_first_is_done(database):
    standby = Work()

    def while_held():
        assert guarded_tick(database, standby) is False

    assert guarded_tick(database, while_held) is True
    assert standby.times == 0
    assert guarded_tick(database, standby) is True


def test_the_lock_is_let_go_when_the_work_fails(database):
    with pytest.raises(ZeroDivisionError):
        guarded_tick(database, Work(ZeroDivisionError()))

    assert guarded_tick(database, Work()) is True


def test_a_second_process_takes_over_when_the_first_is_gone(database):
    first = Database(database.url)
    with first.engine.connect() as connection:
        connection.exec_driver_sql("select pg_advisory_lock(%s)", (0x616C_6572,))
        connection.commit()
        assert guarded_tick(database, Work()) is False
        connection.invalidate()
    first.close()

    # The server lets go of the lock when it notices that the connection is gone.
    wait_until(lambda: guarded_tick(database, Work()), 10)


def test_a_database_that_is_away_is_waited_for_and_logged():
    away, work = Database(NOWHERE), Work()

    with capture_logs() as logs:
        assert guarded_tick(away, work) is False

    assert work.times == 0
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("waiting_for_database", "warning")
    ]
    assert "PostgreSQL is away" in logs[0]["error"]


def test_a_database_that_goes_away_at_work_is_waited_for(database):
    with capture_logs() as logs:
        assert guarded_tick(database, Work(DatabaseUnavailableError("gone"))) is False

    assert [entry["event"] for entry in logs] == ["waiting_for_database"]


def test_a_schedule_evaluates_at_once_and_runs_until_stopped(database):
    judge = Judge()
    judge.go_on.set()
    running = schedule(database, judge)
    thread = Thread(target=running.run)
    thread.start()

    assert judge.done.wait(30)
    running.stop()
    thread.join(30)

    assert not thread.is_alive()


def test_a_schedule_that_is_stopped_ends_after_the_job_under_way(database):
    judge = Judge()
    running = schedule(database, judge)
    thread = Thread(target=running.run)
    thread.start()
    assert judge.asked.wait(30)

    running.stop()
    thread.join(0.5)
    ended_early = not thread.is_alive()
    judge.go_on.set()
    thread.join(30)

    assert judge.done.wait(30)
    assert not thread.is_alive()
    assert not ended_early


class Teller:
    """An alerter that finds one event and posts its message."""

    def __init__(self, database):
        self._database = database

    def advance(self, now):
        at = now.replace(second=0, microsecond=0)
        event = EventRow(
            rule="r", key="k", scope="topic", at=at, previous="inactive", state="firing",
            reason="x", severity=5, fired_at=at, value=None, documents=4, window_start=at,
            window_end=at,
        )  # fmt: skip
        with self._database.transaction() as connection:
            run = runs.open_run(connection, "live")
            (event_id,) = alertlog.append_events(connection, run.id, [event])
            message = outbox.Message(uuid4(), event_id, "console", {"summary": "told"})
            outbox.post(connection, [message])


def test_a_tick_sends_what_it_has_just_found(database, capsys):
    assert schedule(database, Teller(database)).tick() is True

    assert capsys.readouterr().out == "told\n"


def test_a_tick_judges_and_sends(database):
    with database.transaction() as connection:
        run = runs.open_run(connection, "live")
    alerter = Alerter(database, run, RuleSet(), timedelta(0))

    assert schedule(database, alerter).tick() is True
