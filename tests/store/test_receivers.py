from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete

from store import receivers
from store.receivers import ReceiverState
from store.schema import receivers as table

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HELD = ReceiverState("desk", 3, NOON + HOUR, reason="timeout", detail="ReadTimeout")


@pytest.fixture
def connection(database):
    with database.transaction() as opened:
        opened.execute(delete(table))
        yield opened
        opened.execute(delete(table))


def read(connection, name="desk"):
    return receivers.read_receiver(connection, name)


def test_a_receiver_without_a_row_is_well(connection):
    assert read(connection) == ReceiverState("desk")


def test_a_receiver_is_held_back_and_let_go(connection):
    receivers.hold(connection, HELD)
    assert read(connection) == HELD
    assert read(connection, "other") == ReceiverState("other")

    receivers.release(connection, "desk")
    assert read(connection) == ReceiverState("desk")


def test_a_disabled_receiver_stays_so_until_it_is_enabled(connection):
    receivers.hold(connection, HELD)
    receivers.disable(connection, "desk", NOON, "gone", "x" * 3000)
    receivers.release(connection, "desk")

    state = read(connection)
    assert (state.disabled_at, state.reason, len(state.detail)) == (NOON, "gone", 2000)
    assert receivers.enable(connection, "desk") == state
    assert read(connection) == ReceiverState("desk")
    assert receivers.enable(connection, "desk") == ReceiverState("desk")
