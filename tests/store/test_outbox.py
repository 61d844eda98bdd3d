from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from store import alertlog, outbox, runs
from store.alertlog import EventRow
from store.outbox import DEAD, DELIVERED, PENDING, SUPPRESSED, Attempt, Message
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


def post(database, event_id, *numbers, receiver="hook", key=None):
    """Put messages into the outbox, due at noon."""
    messages = [Message(UUID(int=n), event_id, receiver, {"n": n}, dedup_key=key) for n in numbers]
    with database.transaction() as connection:
        outbox.post(connection, messages, NOON)


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
        number = message.attempts + 1
        attempt = Attempt(message, number, status, "timeout", detail, now, 504, again)
        outbox.record(connection, [attempt])


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
def test_what_was_posted_first_is_claimed_first_whenever_it_is_due(
    database, event_id, limit, expected
):
    post(database, event_id, 3, 1, 2)
    due_at(database, 2, NOON - SECOND)
    due_at(database, 3, NOON + SECOND)

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
            select(
                log.outbox_id,
                log.attempt,
                log.outcome,
                log.detail,
                log.at,
                log.reason,
                log.status_code,
            )
        ).all()
    assert rows == [(UUID(int=1), 1, outcome, "answered", NOON, "timeout", 504)]
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
        outbox.record(connection, [Attempt(message, 1, DELIVERED, "accepted", "", NOON)])

    assert counted(database) == {"delivered": 1, "pending": 2}


def test_the_same_message_is_not_posted_twice(database, event_id):
    post(database, event_id, 1)

    with pytest.raises(IntegrityError):
        post(database, event_id, 1)
    assert counted(database) == {"pending": 1}


def test_what_shares_a_key_is_claimed_together_and_in_order(database, event_id):
    post(database, event_id, 1, key="a")
    post(database, event_id, 2, key="b")
    post(database, event_id, 3, 4, key="a")

    with database.transaction() as connection:
        assert claim(connection, limit=3) == [1, 2, 3]
    with database.transaction() as connection:
        assert claim(connection) == [1, 2, 3, 4]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_waits_holds_back_the_younger_of_its_key_alone(database, event_id, number):
    post(database, event_id, 1, 2, 3, key="a")
    post(database, event_id, 4, key="b")
    post(database, event_id, 5, key="a", receiver="other")
    due_at(database, number, NOON + SECOND)

    with database.transaction() as connection:
        assert claim(connection) == [*range(1, number), 4, 5]


def test_what_is_held_by_one_sender_is_not_overtaken_by_another(database, event_id):
    post(database, event_id, 1, 2, key="a")
    post(database, event_id, 3, key="b")

    with database.transaction() as one, database.transaction() as other:
        assert claim(one, limit=1) == [1]
        assert claim(other) == [3]


@pytest.mark.parametrize("status", [DELIVERED, DEAD])
def test_what_is_done_with_lets_the_younger_go(database, event_id, status):
    post(database, event_id, 1, 2, key="a")
    with database.transaction() as connection:
        message = outbox.claim(connection, NOON, 1)[0]
        outbox.record(connection, [Attempt(message, 1, status, "x", "", NOON)])

    with database.transaction() as connection:
        assert claim(connection) == [2]


@pytest.mark.parametrize(
    ("step", "expected"),
    [(outbox.LONGEST_WAIT, []), (outbox.LONGEST_WAIT + SECOND / 1000, [1])],
)
def test_a_clock_that_steps_back_does_not_put_a_message_off(database, event_id, step, expected):
    post(database, event_id, 1)

    with database.transaction() as connection:
        assert claim(connection, NOON - step) == expected
        due = outbox.due_receivers(connection, NOON - step)
    assert due == (["hook"] if expected else [])


def test_a_suppressed_message_is_recorded_and_never_sent(database, event_id):
    message = Message(UUID(int=1), event_id, "hook", {}, suppressed="maintenance:night")
    with database.transaction() as connection:
        outbox.post(connection, [message], NOON)

    with database.transaction() as connection:
        assert outbox.claim(connection, NOON + 10**6 * SECOND, 9) == []
        assert connection.scalar(select(table.c.reason)) == "maintenance:night"
    assert counted(database) == {SUPPRESSED: 1}


@pytest.mark.parametrize(
    ("key", "payload", "stored"),
    [
        ("mine", {"dedup_key": "of the payload"}, "mine"),
        (None, {"dedup_key": "of the payload"}, "of the payload"),
        (None, {}, str(UUID(int=1))),
        ("x" * 255, {}, "x" * 255),
        ("x" * 256, {}, "x" * 255),
    ],
)
def test_the_dedup_key_is_the_payloads_unless_one_is_given(
    database, event_id, key, payload, stored
):
    message = Message(UUID(int=1), event_id, "hook", payload, dedup_key=key)
    with database.transaction() as connection:
        outbox.post(connection, [message], NOON)

        assert outbox.claim(connection, NOON)[0].dedup_key == stored


def test_what_ends_without_an_attempt_is_logged_as_none(database, event_id):
    post(database, event_id, 1)
    record(database, PENDING, again=NOON)
    with database.transaction() as connection:
        (message,) = outbox.claim(connection, NOON)
        outbox.record(connection, [Attempt(message, 0, DEAD, "receiver_disabled", "", NOON)])

    with database.transaction() as connection:
        numbers = list(connection.scalars(select(deliveries.c.attempt).order_by(deliveries.c.id)))
        row = connection.execute(select(table.c.status, table.c.reason, table.c.attempts)).one()
    assert numbers == [1, 0]
    assert row == (DEAD, "receiver_disabled", 1)


@pytest.mark.parametrize(("posted", "expected"), [(NOON - SECOND, []), (NOON, [1, 2])])
def test_what_is_old_is_claimed_whether_it_is_due_or_not(database, event_id, posted, expected):
    post(database, event_id, 1, 2, key="a")
    due_at(database, 1, NOON + SECOND)

    with database.transaction() as connection:
        found = outbox.claim_posted_by(connection, posted, 10, "hook")
        assert [message.payload["n"] for message in found] == expected
        assert outbox.claim_posted_by(connection, posted, 10, "other") == []


def test_what_has_not_failed_may_come_first_and_an_alert_stays_together(database, event_id):
    post(database, event_id, 1, 2, key="a")
    post(database, event_id, 3, key="b")
    with database.transaction() as connection:
        first = outbox.claim(connection, NOON)[0]
        outbox.record(connection, [Attempt(first, 1, PENDING, "x", "", NOON, None, NOON)])

    with database.transaction() as connection:
        found = outbox.claim(connection, NOON, 9, "hook", untried_first=True)
        assert [message.payload["n"] for message in found] == [3, 1, 2]
        assert claim(connection) == [1, 2, 3]
