"""Dead letters: what was turned away, and why. They are written by ``store.commits``.

``store.requeueing`` takes away those that became documents after all.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_

from ingest.batch import Partition
from store.errors import UnknownDeadLetterError
from store.schema import dead_letters


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """One record that is no document. ``payload`` holds at most its first MiB.

    ``replays`` counts how often it was tried again, ``replayed_at`` says when last.
    """

    source: str
    partition: int
    offset: int
    reason: str
    detail: str
    payload: bytes | None
    size: int
    received_at: datetime
    replays: int = 0
    replayed_at: datetime | None = None

    @property
    def position(self) -> str:
        """Where people find it: ``source[partition]@offset``."""
        return f"{Partition(self.source, self.partition)}@{self.offset}"

    @property
    def key(self) -> tuple[str, int, int]:
        """Its key within the run."""
        return self.source, self.partition, self.offset

    @property
    def is_whole(self) -> bool:
        """Whether all of its bytes were kept."""
        return len(self.payload or b"") == self.size


BEGINNING = ("", -1, -1)
"""A key before all others."""


def list_dead_letters(
    connection: Connection,
    run_id: int,
    limit: int = 100,
    *,
    reason: str | None = None,
    payload_bytes: int | None = None,
) -> list[DeadLetterRow]:
    """The newest dead letters of a run, or those of one reason; payloads may be cut."""
    table = dead_letters.c
    statement = _rows(run_id, payload_bytes).order_by(
        table.received_at.desc(), table.source, table.partition, table.offset.desc()
    )
    if reason is not None:
        statement = statement.where(table.reason == reason)
    return [DeadLetterRow(*row) for row in connection.execute(statement.limit(limit))]


def find_dead_letter(
    connection: Connection, run_id: int, key: tuple[str, int, int]
) -> DeadLetterRow:
    """The dead letter at a position. Raises UnknownDeadLetterError."""
    row = connection.execute(_rows(run_id).where(_key() == key)).one_or_none()
    if row is None:
        source, partition, offset = key
        raise UnknownDeadLetterError(
            f"the run has no dead letter at {Partition(source, partition)}@{offset}; "
            "`tapewatch dead-letters list` shows them"
        )
    return DeadLetterRow(*row)


def next_dead_letters(
    connection: Connection,
    run_id: int,
    after: tuple[str, int, int],
    limit: int,
    reasons: Collection[str] | None = None,
) -> list[DeadLetterRow]:
    """The dead letters whose key comes after a key, in the order of the keys; None: any reason."""
    statement = _rows(run_id).where(_key() > after)
    if reasons is not None:
        statement = statement.where(dead_letters.c.reason.in_(sorted(reasons)))
    table = dead_letters.c
    statement = statement.order_by(table.source, table.partition, table.offset).limit(limit)
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


def _key() -> ColumnElement[Any]:
    return tuple_(dead_letters.c.source, dead_letters.c.partition, dead_letters.c.offset)


def _rows(run_id: int, payload_bytes: int | None = None) -> Select[Any]:
    table = dead_letters.c
    payload = (
        table.payload if payload_bytes is None else func.substring(table.payload, 1, payload_bytes)
    )
    return select(
        table.source,
        table.partition,
        table.offset,
        table.reason,
        table.detail,
        payload,
        table.size,
        table.received_at,
        table.replays,
        table.replayed_at,
    ).where(table.run_id == run_id)
