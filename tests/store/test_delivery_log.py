from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete

from store import outbox
from store.delivery_log import Delivery, count_by_receiver, read_messages
from store.outbox import DEAD, DELIVERED, PENDING, Attempt, Message
from store.schema import outbox as table

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def connection(database):
    """An outbox of four messages: delivered at the second attempt, dead, suppressed, waiting."""
    with database.transaction() as opened:
        opened.execute(delete(table))
        for number, receiver in ((1, "desk"), (2, "pager"), (3, "desk"), (4, "desk")):
            suppressed = "maintenance:night" if number == 3 else None
            message = Message(
                UUID(int=number), None, receiver, {"n": number}, suppressed=suppressed
            )
            outbox.post(opened, [message], NOON + number * SECOND)
        first, second, _ = outbox.claim(opened, NOON + 9 * SECOND, 9)
        outbox.record(
            opened,
            [
                Attempt(first, 1, PENDING, "timeout", "slow", NOON, None, NOON),
                Attempt(second, 1, DEAD, "gone", "answered 410", NOON, 410),
            ],
        )
        outbox.record(opened, [Attempt(first, 2, DELIVERED, "accepted", "yes", NOON, 204)])
        yield opened
        opened.execute(delete(table))


def test_every_message_is_there_with_its_attempts_and_reasons(connection):
    found = {n.payload["n"]: n for n in read_messages(connection)}

    assert list(found) == [4, 3, 2, 1]
    assert {n: (told.status, told.reason) for n, told in found.items()} == {
        1: ("delivered", "accepted"),
        2: ("dead", "gone"),
        3: ("suppressed", "maintenance:night"),
        4: ("pending", None),
    }
    assert found[1].deliveries == (
        Delivery(1, NOON, "failed", "timeout", None, "slow"),
        Delivery(2, NOON, "delivered", "accepted", 204, "yes"),
    )
    assert [n for n, told in found.items() if told.next_attempt_at] == [4]


@pytest.mark.parametrize(
    ("receiver", "limit", "expected"),
    [(None, 2, [4, 3]), ("desk", 2, [4, 3]), ("desk", 9, [4, 3, 1]), ("nobody", 9, [])],
)
def test_the_newest_of_a_receiver_come_first(connection, receiver, limit, expected):
    found = read_messages(connection, receiver, limit)

    assert [told.payload["n"] for told in found] == expected


def test_messages_are_counted_by_receiver_and_status(connection):
    assert count_by_receiver(connection) == {
        "desk": {"delivered": 1, "pending": 1, "suppressed": 1},
        "pager": {"dead": 1},
    }
