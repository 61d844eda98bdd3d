"""What is known of receivers beyond the rules file: who is held back, and who is disabled.

A receiver without a row is well. Decides nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from store.outbox import DETAIL_LENGTH
from store.schema import receivers


@dataclass(frozen=True, slots=True)
class ReceiverState:
    """A receiver's troubles: failures in a row that concern it as a whole, and what came of them.

    Nothing is sent to it before ``held_until`` (wall clock), nor once it is disabled.
    """

    name: str
    failures: int = 0
    held_until: datetime | None = None
    disabled_at: datetime | None = None
    reason: str | None = None
    detail: str | None = None


_COLUMNS = (
    receivers.c.name,
    receivers.c.failures,
    receivers.c.held_until,
    receivers.c.disabled_at,
    receivers.c.reason,
    receivers.c.detail,
)


def read_receiver(connection: Connection, name: str) -> ReceiverState:
    """How the receiver of that name stands."""
    row = connection.execute(select(*_COLUMNS).where(receivers.c.name == name)).first()
    return ReceiverState(*row) if row else ReceiverState(name)


def hold(connection: Connection, state: ReceiverState) -> None:
    """Send nothing to the receiver before ``held_until``."""
    values = {
        "failures": state.failures,
        "held_until": state.held_until,
        "reason": state.reason,
        "detail": (state.detail or "")[:DETAIL_LENGTH],
    }
    statement = insert(receivers).values(name=state.name, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def disable(connection: Connection, name: str, at: datetime, reason: str, detail: str) -> None:
    """Send nothing to the receiver until it is enabled again."""
    values = {"disabled_at": at, "reason": reason, "detail": detail[:DETAIL_LENGTH]}
    statement = insert(receivers).values(name=name, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def enable(connection: Connection, name: str) -> ReceiverState:
    """Forget a receiver's troubles: it is sent to again at once. How it stood before."""
    before = read_receiver(connection, name)
    connection.execute(delete(receivers).where(receivers.c.name == name))
    return before


def release(connection: Connection, name: str) -> None:
    """The receiver answers again: it is not held back any more. It stays disabled if it was."""
    values = {"failures": 0, "held_until": None}
    where = (receivers.c.name == name, receivers.c.disabled_at.is_(None))
    connection.execute(update(receivers).where(*where).values(**values, reason=None, detail=None))
