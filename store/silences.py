"""Silences: who asked that what is not told, from when to when. Never deleted, only ended early.

Matchers are plain data here; what they match is for ``alerts.rules.matchers``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select, update

from store.errors import AlertActionError
from store.schema import silences


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence of a run. It is in force from ``starts_at`` on, and no more at ``ends_at``."""

    id: int
    matchers: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime
    author: str
    comment: str
    created_at: datetime


def add_silence(  # noqa: PLR0913 - what a silence is made of
    connection: Connection,
    run_id: int,
    matchers: Mapping[str, str],
    starts_at: datetime,
    ends_at: datetime,
    author: str,
    comment: str,
) -> int:
    """Keep a silence; its number. Raises AlertActionError where it would never be in force."""
    if ends_at <= starts_at:
        raise AlertActionError(
            f"a silence must end after it begins: {starts_at:%Y-%m-%d %H:%M} UTC is not before "
            f"{ends_at:%Y-%m-%d %H:%M} UTC"
        )
    statement = insert(silences).values(
        run_id=run_id,
        matchers=dict(matchers),
        starts_at=starts_at,
        ends_at=ends_at,
        author=author,
        comment=comment,
    )
    return int(connection.execute(statement.returning(silences.c.id)).scalar_one())


def read_silences(
    connection: Connection, run_id: int, ending_after: datetime | None = None
) -> list[Silence]:
    """The silences of a run in order of their numbers, or those that end after a moment."""
    table = silences.c
    columns = (
        table.id, table.matchers, table.starts_at, table.ends_at, table.author, table.comment,
        table.created_at,
    )  # fmt: skip
    statement = select(*columns).where(table.run_id == run_id).order_by(table.id)
    if ending_after is not None:
        statement = statement.where(table.ends_at > ending_after)
    return [
        Silence(
            row.id,
            row.matchers,
            row.starts_at.astimezone(UTC),
            row.ends_at.astimezone(UTC),
            row.author,
            row.comment,
            row.created_at,
        )
        for row in connection.execute(statement)
    ]


def end_silence(connection: Connection, run_id: int, silence_id: int, at: datetime) -> None:
    """Have a silence end at ``at`` unless it ends earlier. Raises AlertActionError."""
    table = silences.c
    statement = (
        update(silences)
        .where(table.run_id == run_id, table.id == silence_id)
        .values(ends_at=func.least(table.ends_at, at))
        .returning(table.id)
    )
    if connection.scalar(statement) is None:
        raise AlertActionError(
            f"the run has no silence {silence_id}; `tapewatch alerts silences` lists them"
        )
