"""The log of messages: what went to whom, what did not, when and why. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from store.schema import deliveries, outbox


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt at a message."""

    attempt: int
    at: datetime
    outcome: str
    reason: str
    status_code: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """One message with all attempts at it. ``reason`` is why it stands as it does, if it was
    attempted or suppressed."""

    id: UUID
    receiver: str
    status: str
    reason: str | None
    posted_at: datetime
    next_attempt_at: datetime | None
    dedup_key: str
    about: UUID | None
    payload: dict[str, Any]
    deliveries: tuple[Delivery, ...]


def read_messages(
    connection: Connection, receiver: str | None = None, limit: int = 50
) -> list[LoggedMessage]:
    """The newest ``limit`` messages, the newest first; ``receiver`` None: of every one."""
    table = outbox.c
    statement = (
        select(
            table.id,
            table.receiver,
            table.status,
            table.reason,
            table.created_at,
            table.next_attempt_at,
            table.dedup_key,
            table.about,
            table.payload,
        )
        .order_by(table.created_at.desc(), table.seq.desc())
        .limit(limit)
    )
    if receiver is not None:
        statement = statement.where(table.receiver == receiver)
    rows = connection.execute(statement).all()
    attempts = _deliveries(connection, [row.id for row in rows])
    return [
        LoggedMessage(
            id=row.id,
            receiver=row.receiver,
            status=row.status,
            reason=row.reason,
            posted_at=row.created_at,
            next_attempt_at=row.next_attempt_at if row.status == "pending" else None,
            dedup_key=row.dedup_key,
            about=row.about,
            payload=row.payload,
            deliveries=tuple(attempts.get(row.id, ())),
        )
        for row in rows
    ]


def count_by_receiver(connection: Connection) -> dict[str, dict[str, int]]:
    """How many messages of each receiver there are of each status."""
    columns = (outbox.c.receiver, outbox.c.status)
    counted: dict[str, dict[str, int]] = {}
    statement = select(*columns, func.count()).group_by(*columns).order_by(*columns)
    for receiver, status, count in connection.execute(statement):
        counted.setdefault(receiver, {})[status] = count
    return counted


def _deliveries(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, list[Delivery]]:
    table = deliveries.c
    statement = (
        select(
            table.outbox_id,
            table.attempt,
            table.at,
            table.outcome,
            table.reason,
            table.status_code,
            table.detail,
        )
        .where(table.outbox_id.in_(ids))
        .order_by(table.outbox_id, table.id)
    )
    found: dict[UUID, list[Delivery]] = {}
    for identity, *columns in connection.execute(statement):
        found.setdefault(identity, []).append(Delivery(*columns))
    return found
