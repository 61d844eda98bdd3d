"""What receivers know of each alert and group of a run. Written with the events; decides nothing.

Times are event time, except where an alert is of the pipeline.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from store.schema import alert_groups, alert_tellings


@dataclass(frozen=True, slots=True)
class Telling:
    """One alert as it stands and as it was last told.

    ``state`` None: it is not active; ``told_state`` None: receivers do not think that it is.
    ``told_severity``: how grave it was told to be; ``told_to``: everybody who was told of it since
    it began. ``quiet``: it counts as told though nobody was notified. ``held``: why it was last
    held back. ``changes``: when it last began and ended.
    """

    rule: str
    key: str
    scope: str
    severity: int
    state: str | None = None
    began_at: datetime | None = None
    event_id: int | None = None
    told_state: str | None = None
    told_began_at: datetime | None = None
    told_at: datetime | None = None
    told_severity: int | None = None
    told_to: tuple[str, ...] = ()
    quiet: bool = False
    held: str | None = None
    flapping: bool = False
    changes: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupRow:
    """What is known of a group of alerts: since when it waits, when it was told, when again."""

    name: str
    waiting_since: datetime | None = None
    told_at: datetime | None = None
    repeat_at: datetime | None = None


def read_tellings(connection: Connection, run_id: int) -> list[Telling]:
    """Everything that is active, told as active, or changed lately."""
    table = alert_tellings.c
    columns = [table[field.name] for field in fields(Telling)]
    rows = connection.execute(select(*columns).where(table.run_id == run_id))
    return [Telling(*(_in_utc(value) for value in row)) for row in rows]


def read_telling(connection: Connection, run_id: int, rule: str, key: str) -> Telling | None:
    """What is known of one alert; None: it is neither active nor told as active."""
    table = alert_tellings.c
    columns = [table[field.name] for field in fields(Telling)]
    statement = select(*columns).where(table.run_id == run_id, table.rule == rule, table.key == key)
    row = connection.execute(statement).one_or_none()
    return None if row is None else Telling(*(_in_utc(value) for value in row))


def write_tellings(
    connection: Connection,
    run_id: int,
    changed: Sequence[Telling],
    gone: Collection[tuple[str, str]],
) -> None:
    """Keep ``changed``; forget those of the (rule, key) pairs ``gone``."""
    arrays = ("changes", "told_to")
    rows = [asdict(t) | {name: list(getattr(t, name)) for name in arrays} for t in changed]
    _upsert(connection, alert_tellings, run_id, ["rule", "key"], rows)
    if gone:
        table = alert_tellings.c
        same = and_(table.rule == bindparam("old_rule"), table.key == bindparam("old_key"))
        connection.execute(
            delete(alert_tellings).where(table.run_id == run_id, same),
            [{"old_rule": rule, "old_key": key} for rule, key in sorted(gone)],
        )


def read_groups(connection: Connection, run_id: int) -> list[GroupRow]:
    """Every group that waits or was told."""
    table = alert_groups.c
    columns = [table[field.name] for field in fields(GroupRow)]
    rows = connection.execute(select(*columns).where(table.run_id == run_id))
    return [GroupRow(*(_in_utc(value) for value in row)) for row in rows]


def write_groups(
    connection: Connection, run_id: int, changed: Sequence[GroupRow], gone: Collection[str]
) -> None:
    """Keep ``changed``; forget the groups ``gone``."""
    _upsert(connection, alert_groups, run_id, ["name"], [asdict(group) for group in changed])
    if gone:
        table = alert_groups.c
        statement = delete(alert_groups).where(
            table.run_id == run_id, table.name == bindparam("old_name")
        )
        connection.execute(statement, [{"old_name": name} for name in sorted(gone)])


def _upsert(
    connection: Connection, table: Table, run_id: int, key: list[str], rows: list[dict[str, Any]]
) -> None:
    if not rows:
        return
    statement = insert(table)
    replaced = {name: statement.excluded[name] for name in rows[0] if name not in key}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["run_id", *key], set_=replaced),
        [{"run_id": run_id, **row} for row in rows],
    )


def _in_utc(value: Any) -> Any:  # noqa: ANN401 - a column of any type
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, list):
        return tuple(_in_utc(item) for item in value)
    return value
