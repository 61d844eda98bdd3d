"""The outbox: what is to be told to whom, written with the change of state that caused it.

A sender claims due messages with skip locked and records every attempt. Messages that share a
receiver and a dedup key go out one after the other, in the order in which they were posted: while
an older one is pending, a younger one is claimed with it or not at all. Knows no receiver.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    false,
    func,
    insert,
    or_,
    select,
    update,
)

from store.schema import deliveries, outbox

PENDING, DELIVERED, DEAD, SUPPRESSED = "pending", "delivered", "dead", "suppressed"

LONGEST_WAIT = timedelta(hours=2)
"""No message is made to wait as long as this, so one that seems to was put off by a clock that has
stepped back since: it is due."""

DEDUP_KEY_LENGTH = 255
DETAIL_LENGTH = 2000


@dataclass(frozen=True, slots=True)
class Message:
    """One notification for one receiver. Its ``id`` is the same on every attempt.

    ``dedup_key`` ties together what is told of one alert; by default it is the payload's, else the
    id. ``suppressed`` says why the message is recorded without being sent. ``about`` is the message
    whose fate this one tells. ``event_id`` is None where no event is behind it.
    """

    id: UUID
    event_id: int | None
    receiver: str
    payload: dict[str, Any]
    attempts: int = 0
    created_at: datetime | None = None
    dedup_key: str | None = None
    suppressed: str | None = None
    about: UUID | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a message, at a moment of the wall clock; ``status`` is its status then.

    ``due`` is when a message that stays pending is tried again. ``number`` counts from 1; 0 is for
    a message that ends without having been tried this time.
    """

    message: Message
    number: int
    status: str
    reason: str
    detail: str
    at: datetime
    status_code: int | None = None
    due: datetime | None = None


def post(connection: Connection, messages: Sequence[Message], now: datetime | None = None) -> None:
    """Put messages into the outbox, within the transaction of their cause.

    They are due, and their age counts, from ``now``; by default from the database's own clock.
    """
    clock = {} if now is None else {"created_at": now, "next_attempt_at": now}
    rows = [
        {
            "id": m.id,
            "event_id": m.event_id,
            "receiver": m.receiver,
            "payload": m.payload,
            "status": SUPPRESSED if m.suppressed else PENDING,
            "dedup_key": _dedup_key(m),
            "reason": m.suppressed,
            "about": m.about,
            **clock,
        }
        for m in messages
    ]
    if rows:
        connection.execute(insert(outbox), rows)


def claim(
    connection: Connection,
    now: datetime,
    limit: int = 1,
    receiver: str | None = None,
    *,
    untried_first: bool = False,
) -> list[Message]:
    """Due messages in the order of their posting, locked until the caller's transaction ends.

    A message comes only with all older ones of its receiver and dedup key that are pending.
    ``untried_first``: those of which nothing has failed yet before the others.
    """
    return _claim(connection, _is_due(now), limit, receiver, untried_first=untried_first)


def claim_posted_by(
    connection: Connection, posted: datetime, limit: int, receiver: str
) -> list[Message]:
    """The same of what was posted by a moment, whether it is due or not."""
    return _claim(connection, outbox.c.created_at <= posted, limit, receiver)


def _claim(
    connection: Connection,
    wanted: ColumnElement[bool],
    limit: int,
    receiver: str | None,
    *,
    untried_first: bool = False,
) -> list[Message]:
    table = outbox.c
    alert = (table.receiver, table.dedup_key)
    pending = select(
        table.id,
        table.seq,
        func.row_number().over(partition_by=alert, order_by=table.seq).label("place"),
        func.bool_and(wanted).over(partition_by=alert, order_by=table.seq).label("ready"),
        func.max(table.attempts).over(partition_by=alert, order_by=table.seq).label("tried"),
    ).where(table.status == PENDING)
    if receiver is not None:
        pending = pending.where(table.receiver == receiver)
    ranked = pending.subquery()
    turn = ranked.c.tried > 0 if untried_first else false()
    ready = select(ranked.c.id, ranked.c.seq, ranked.c.place, turn.label("turn"))
    ready = ready.where(ranked.c.ready).order_by("turn", ranked.c.seq).limit(limit)
    chosen = ready.cte("chosen")
    statement = (
        select(*_COLUMNS, chosen.c.place)
        .join(chosen, chosen.c.id == table.id)
        .where(table.status == PENDING, wanted)
        .order_by(chosen.c.turn, chosen.c.seq)
        .with_for_update(of=outbox, skip_locked=True)
    )
    claimed: list[Message] = []
    places: Counter[tuple[str, str | None]] = Counter()
    for *columns, place in connection.execute(statement):
        message = Message(*columns)
        key = message.receiver, message.dedup_key
        # Where another sender holds an older one, or has just put it off, this one must wait.
        if place == places[key] + 1:
            claimed.append(message)
            places[key] += 1
    return claimed


def due_receivers(connection: Connection, now: datetime) -> list[str]:
    """The receivers that a due message waits for."""
    statement = select(outbox.c.receiver).where(outbox.c.status == PENDING, _is_due(now))
    return sorted(connection.scalars(statement.distinct()))


def record(connection: Connection, attempts: Sequence[Attempt]) -> None:
    """Log attempts, and move each message to the status that came of its own."""
    rows = [
        {
            "outbox_id": a.message.id,
            "attempt": a.number,
            "outcome": "failed" if a.status == PENDING else a.status,
            "reason": a.reason,
            "detail": a.detail[:DETAIL_LENGTH],
            "status_code": a.status_code,
            "at": a.at,
        }
        for a in attempts
    ]
    if rows:
        connection.execute(insert(deliveries), rows)
        connection.execute(
            update(outbox)
            .where(outbox.c.id == bindparam("message"))
            .values(
                status=bindparam("new_status"),
                reason=bindparam("new_reason"),
                attempts=bindparam("tried"),
                next_attempt_at=func.coalesce(bindparam("due"), outbox.c.next_attempt_at),
            ),
            [
                {
                    "message": a.message.id,
                    "new_status": a.status,
                    "new_reason": a.reason,
                    "tried": a.number or a.message.attempts,
                    "due": a.due,
                }
                for a in attempts
            ],
        )


def count_by_status(connection: Connection) -> dict[str, int]:
    """How many messages are pending, delivered, dead and suppressed."""
    statement = select(outbox.c.status, func.count()).group_by(outbox.c.status)
    return {row.status: row[1] for row in connection.execute(statement)}


_COLUMNS = (
    outbox.c.id,
    outbox.c.event_id,
    outbox.c.receiver,
    outbox.c.payload,
    outbox.c.attempts,
    outbox.c.created_at,
    outbox.c.dedup_key,
    outbox.c.reason,
    outbox.c.about,
)


def _is_due(now: datetime) -> ColumnElement[bool]:
    due = outbox.c.next_attempt_at
    return or_(due <= now, due > now + LONGEST_WAIT)


def _dedup_key(message: Message) -> str:
    key = message.dedup_key or message.payload.get("dedup_key") or message.id
    return str(key)[:DEDUP_KEY_LENGTH]
