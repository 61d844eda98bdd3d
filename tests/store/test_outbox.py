from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from store import alertlog, outbox, runs
from store.alertlog import EventRow
from store.outbox import DEAD, DELIVERED, PENDING, Message
from store.schema import deliveries
from store.schema import outbox as table

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def event_id(database):
    """An event to tell of; it and its messages are gone after the test."""
    event = EventRow(
        rule="r", key="k", scope="topic", at=NOON, previous="inactive", state="firing",
        reason="x", severity=5, fired_at=NOON, value=None, documents=4, window_start=NOON,
        window_end=NOON,
    )  # fmt: skip
    with database.transaction() as connection:
        run = runs.open_run(connection, "live")
        (identity,) = alertlog.append_events(connection, run.id, [event])
    yield identity
    with database.transaction() as connection:
        runs.delete_run(connection, "live")


def post(database, event_id, *numbers, receiver="hook"):
    """Put messages into the outbox, due at noon."""
    messages = [Message(UUID(int=n), event_id, receiver, {"n": n}) for n in numbers]
    with database.transaction() as connection:
        outbox.post(connection, messages)
        connection.execute(update(table).values(next_attempt_at=NOON))


def due_at(database, number, moment):
    with database.transaction() as connection:
        connection.execute(
            update(table).where(table.c.id == UUID(int=number)).values(next_attempt_at=moment)
        )


def claim(connection, now=NOON, limit=10):
    return [message.payload["n"] for message in outbox.claim(connection, now, limit)]


def record(database, status, detail="", now=NOON, again=None):
    """Claim the one message that is due and record an attempt of it."""
    with database.transaction() as connection:
        (message,) = outbox.claim(connection, now)
        outbox.record_attempt(connection, message, status, detail, now, again)


def counted(database):
    with database.transaction() as connection:
        return outbox.count_by_status(connection)


def test_a_message_comes_back_as_it_was_posted(database, event_id):
    content = {"text": 'é "quoted" 📉', "none": None, "list": [1, 2.5], "n": 1}
    message = Message(UUID(int=7), event_id, "hook", content)
    with database.transaction() as connection:
        outbox.post(connection, [message])
        outbox.post(connection, [])

    with database.transaction() as connection:
        (claimed,) = outbox.claim(connection, datetime.now(UTC))

    assert (claimed.id, claimed.event_id, claimed.receiver) == (UUID(int=7), event_id, "hook")
    assert (claimed.payload, claimed.attempts) == (content, 0)
    assert claimed.created_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("now", "expected"), [(NOON - SECOND / 1000, []), (NOON, [1]), (NOON + SECOND, [1])]
)
def test_a_message_is_claimed_from_its_time_on(database, event_id, now, expected):
    post(database, event_id, 1)

    with database.transaction() as connection:
        assert claim(connection, now) == expected


@pytest.mark.parametrize(("limit", "expected"), [(1, [3]), (2, [3, 1]), (9, [3, 1, 2])])
def test_the_longest_due_are_claimed_first(database, event_id, limit, expected):
    post(database, event_id, 1, 2, 3)
    due_at(database, 3, NOON - SECOND)
    due_at(database, 2, NOON + SECOND)

    with database.transaction() as connection:
        assert claim(connection, NOON + SECOND, limit) == expected


def test_what_one_sender_has_claimed_another_passes_over(database, event_id):
    post(database, event_id, 1, 2, 3)

    with database.transaction() as one, database.transaction() as other:
        first, second = claim(one, limit=2), claim(other)
        assert sorted(first + second) == [1, 2, 3]
        assert len(first) == 2
    with database.transaction() as later:
        assert sorted(claim(later)) == [1, 2, 3]


def test_a_sender_that_breaks_off_gives_its_claim_back(database, event_id):
    post(database, event_id, 1)

    def break_off():
        with database.transaction() as connection:
            assert claim(connection) == [1]
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        break_off()
    with database.transaction() as connection:
        assert claim(connection) == [1]


@pytest.mark.parametrize(
    ("status", "outcome"), [(DELIVERED, "delivered"), (DEAD, "dead"), (PENDING, "failed")]
)
def test_an_attempt_is_logged_with_its_outcome(database, event_id, status, outcome):
    post(database, event_id, 1)

    record(database, status, "answered", again=NOON + SECOND)

    log = deliveries.c
    with database.transaction() as connection:
        rows = connection.execute(
            select(log.outbox_id, log.attempt, log.outcome, log.detail, log.at)
        ).all()
    assert rows == [(UUID(int=1), 1, outcome, "answered", NOON)]
    assert counted(database) == {status: 1}


@pytest.mark.parametrize("status", [DELIVERED, DEAD])
def test_a_message_that_is_done_is_never_claimed_again(database, event_id, status):
    post(database, event_id, 1)
    record(database, status)

    with database.transaction() as connection:
        assert claim(connection, NOON + 10**6 * SECOND) == []


def test_a_failed_message_waits_and_counts_its_attempts(database, event_id):
    post(database, event_id, 1)
    record(database, PENDING, again=NOON + 5 * SECOND)

    with database.transaction() as connection:
        assert claim(connection, NOON + 4 * SECOND) == []
        (again,) = outbox.claim(connection, NOON + 5 * SECOND)
    assert again.attempts == 1

    record(database, DELIVERED, now=NOON + 5 * SECOND)
    with database.transaction() as connection:
        attempts = list(connection.scalars(select(deliveries.c.attempt).order_by(deliveries.c.id)))
    assert attempts == [1, 2]


@pytest.mark.parametrize(("length", "kept"), [(2000, 2000), (2001, 2000)])
def test_a_long_detail_is_cut(database, event_id, length, kept):
    post(database, event_id, 1)
    record(database, DEAD, "x" * length)

    with database.transaction() as connection:
        assert len(connection.scalar(select(deliveries.c.detail))) == kept


def test_messages_are_counted_by_status(database, event_id):
    post(database, event_id, 1, 2, 3)
    due_at(database, 1, NOON - SECOND)
    with database.transaction() as connection:
        (message,) = outbox.claim(connection, NOON - SECOND)
        outbox.record_attempt(connection, message, DELIVERED, "", NOON)

    assert counted(database) == {"delivered": 1, "pending": 2}


def test_the_same_message_is_not_posted_twice(database, event_id):
    post(database, event_id, 1)

    with pytest.raises(IntegrityError):
        post(database, event_id, 1)
    assert counted(database) == {"pending": 1}
