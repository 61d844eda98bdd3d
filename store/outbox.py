"""The outbox: what is to be told to whom, written with the change of state that caused it.

A sender claims due rows with skip locked, so two senders never deliver one row at the same time,
and records every attempt. Knows no receiver.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from store.schema import deliveries, outbox

PENDING, DELIVERED, DEAD = "pending", "delivered", "dead"


@dataclass(frozen=True, slots=True)
class Message:
    """One notification for one receiver. Its ``id`` is the same on every attempt."""

    id: UUID
    event_id: int
    receiver: str
    payload: dict[str, Any]
    attempts: int = 0
    created_at: datetime | None = None


def post(connection: Connection, messages: Sequence[Message]) -> None:
    """Put messages into the outbox, within the transaction of their cause."""
    rows = [
        {"id": m.id, "event_id": m.event_id, "receiver": m.receiver, "payload": m.payload}
        for m in messages
    ]
    if rows:
        connection.execute(insert(outbox), rows)


def claim(connection: Connection, now: datetime, limit: int = 1) -> list[Message]:
    """Due messages, oldest first, locked until the caller's transaction ends."""
    table = outbox.c
    statement = (
        select(
            table.id,
            table.event_id,
            table.receiver,
            table.payload,
            table.attempts,
            table.created_at,
        )
        .where(table.status == PENDING, table.next_attempt_at <= now)
        .order_by(table.next_attempt_at, table.event_id, table.receiver)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [Message(*row) for row in connection.execute(statement)]


def record_attempt(  # noqa: PLR0913 - one row of the log and the state that follows from it
    connection: Connection,
    message: Message,
    status: str,
    detail: str,
    now: datetime,
    next_attempt_at: datetime | None = None,
) -> None:
    """Log an attempt and its outcome; a message that stays pending is due at the given time."""
    attempt = message.attempts + 1
    outcome = "failed" if status == PENDING else status
    connection.execute(
        insert(deliveries).values(
            outbox_id=message.id, attempt=attempt, outcome=outcome, detail=detail[:2000], at=now
        )
    )
    connection.execute(
        update(outbox)
        .where(outbox.c.id == message.id)
        .values(
            status=status,
            attempts=attempt,
            next_attempt_at=next_attempt_at or outbox.c.next_attempt_at,
        )
    )


def count_by_status(connection: Connection) -> dict[str, int]:
    """How many messages are pending, delivered and dead."""
    statement = select(outbox.c.status, func.count()).group_by(outbox.c.status)
    return {row.status: row[1] for row in connection.execute(statement)}
