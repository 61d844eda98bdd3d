"""Dead letters: what was turned away, and why. They are written by ``store.commits``."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from store.schema import dead_letters


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """One record that is no document. ``payload`` holds at most its first MiB."""

    source: str
    partition: int
    offset: int
    reason: str
    detail: str
    payload: bytes | None
    size: int
    received_at: datetime


def list_dead_letters(connection: Connection, run_id: int, limit: int = 100) -> list[DeadLetterRow]:
    """The newest dead letters of a run."""
    table = dead_letters.c
    statement = (
        select(
            table.source,
            table.partition,
            table.offset,
            table.reason,
            table.detail,
            table.payload,
            table.size,
            table.received_at,
        )
        .where(table.run_id == run_id)
        .order_by(table.received_at.desc(), table.source, table.partition, table.offset.desc())
        .limit(limit)
    )
    return [DeadLetterRow(*row) for row in connection.execute(statement)]


def count_by_reason(connection: Connection, run_id: int) -> dict[str, int]:
    """How many records were turned away for each reason."""
    statement = (
        select(dead_letters.c.reason, func.count())
        .where(dead_letters.c.run_id == run_id)
        .group_by(dead_letters.c.reason)
        .order_by(dead_letters.c.reason)
    )
    return {row.reason: row[1] for row in connection.execute(statement)}
