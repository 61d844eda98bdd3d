"""The log of messages: what went to whom, what did not, when and why. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, func, or_, select

from store.schema import deliveries, notifications, outbox


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
    statement = _select().order_by(table.created_at.desc(), table.seq.desc()).limit(limit)
    if receiver is not None:
        statement = statement.where(table.receiver == receiver)
    return _read(connection, statement)


def read_messages_of_alert(
    connection: Connection, run_id: int, alert: tuple[str, str], dedup_key: str, limit: int = 50
) -> list[LoggedMessage]:
    """The messages that tell of one (rule, key), alone or among others, the newest first.

    Of the alert's last ``limit`` notifications: a message is posted in the transaction that logs
    them, so that both have the same moment.
    """
    log, table = notifications.c, outbox.c
    last = (
        select(log.recorded_at)
        .where(log.run_id == run_id, log.rule == alert[0], log.key == alert[1], log.told)
        .order_by(log.id.desc())
        .limit(limit)
    ).subquery()
    told = {"dedup_key": dedup_key}
    statement = (
        _select()
        .where(table.created_at.in_(select(last.c.recorded_at)))
        .where(or_(table.payload.contains(told), table.payload.contains({"alerts": [told]})))
        .order_by(table.created_at.desc(), table.seq.desc())
        .limit(limit)
    )
    return _read(connection, statement)


def _select() -> Select[Any]:
    names = (
        "id", "receiver", "status", "reason", "created_at", "next_attempt_at", "dedup_key",
        "about", "payload",
    )  # fmt: skip
    return select(*(outbox.c[name] for name in names))


def _read(connection: Connection, statement: Select[Any]) -> list[LoggedMessage]:
    rows = connection.execute(statement).mappings().all()
    attempts = _deliveries(connection, [row["id"] for row in rows])
    return [_logged(row, tuple(attempts.get(row["id"], ()))) for row in rows]


def _logged(row: RowMapping, attempts: tuple[Delivery, ...]) -> LoggedMessage:
    return LoggedMessage(
        id=row["id"],
        receiver=row["receiver"],
        status=row["status"],
        reason=row["reason"],
        posted_at=row["created_at"],
        next_attempt_at=row["next_attempt_at"] if row["status"] == "pending" else None,
        dedup_key=row["dedup_key"],
        about=row["about"],
        payload=row["payload"],
        deliveries=attempts,
    )


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
