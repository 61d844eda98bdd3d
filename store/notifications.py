"""The notification log: every notification and every suppression, each with its reason.

Apart from the state of alerts, and never read to decide anything.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from sqlalchemy import Connection, insert, select

from store.schema import notifications


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """One alert in one notification, or held back from one. ``at`` is event time.

    ``state`` None: what was to be told is that it ended.
    """

    rule: str
    key: str
    at: datetime
    state: str | None
    told: bool
    reason: str
    detail: str | None = None
    group_name: str | None = None
    receivers: tuple[str, ...] = ()
    event_id: int | None = None
    recorded_at: datetime | None = None


_COLUMNS = [notifications.c[field.name] for field in fields(NotificationRow)]


def append_notifications(
    connection: Connection, run_id: int, rows: Sequence[NotificationRow]
) -> None:
    """Log the rows in order; their ``recorded_at`` is now."""
    plain = [{"run_id": run_id, **asdict(row), "receivers": list(row.receivers)} for row in rows]
    for row in plain:
        del row["recorded_at"]
    if plain:
        connection.execute(insert(notifications), plain)


def read_notifications(
    connection: Connection,
    run_id: int,
    alert: tuple[str, str] | None = None,
    limit: int = 1000,
) -> list[NotificationRow]:
    """The log of a run, or of one (rule, key) of it, the latest first."""
    table = notifications.c
    statement = select(*_COLUMNS).where(table.run_id == run_id)
    if alert is not None:
        statement = statement.where(table.rule == alert[0], table.key == alert[1])
    found = connection.execute(statement.order_by(table.id.desc()).limit(limit)).mappings()
    return [NotificationRow(**{**row, "receivers": tuple(row["receivers"])}) for row in found]
