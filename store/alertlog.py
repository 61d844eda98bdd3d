"""The alert log: states, events and the evaluation cursor of each run. Decides nothing.

States, reasons and rules are plain text here; their meaning is in ``alerts``.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from store.schema import alert_events, alert_states, checkpoints, runs


@dataclass(frozen=True, slots=True)
class StateRow:
    """The state of one rule for one key; absent means inactive."""

    rule: str
    key: str
    state: str
    since: datetime
    fired_at: datetime | None = None
    thin_since: datetime | None = None
    severity: int | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """One change of state, at a moment of event time, with the window that was judged."""

    rule: str
    key: str
    scope: str
    at: datetime
    previous: str
    state: str
    reason: str
    severity: int
    fired_at: datetime | None
    value: float | None
    documents: int
    window_start: datetime
    window_end: datetime
    detail: str | None = None


_EVENT_COLUMNS = [field.name for field in fields(EventRow)]


# From one alert to the next along the index: an alert may have very many events.
_KNOWN = text("""
with recursive known as (
    (select rule, key from alert_events where run_id = :run_id order by rule, key limit 1)
    union all
    select following.rule, following.key from known cross join lateral (
        select rule, key from alert_events
        where run_id = :run_id and (rule, key) > (known.rule, known.key)
        order by rule, key limit 1
    ) following
)
select rule, key from known
""")


@dataclass(frozen=True, slots=True)
class Alert:
    """One firing of a rule for a key; ``resolved_at`` None while it lasts. Times are event time.

    ``severity`` is the greatest that it had.
    """

    run: str
    rule: str
    key: str
    scope: str
    severity: int
    value: float | None
    documents: int
    fired_at: datetime
    resolved_at: datetime | None


def lock_cursor(connection: Connection, run_id: int) -> datetime | None:
    """How far the run is evaluated; holds the run's row, so that one alerter moves it at a time."""
    # NO KEY UPDATE: workers, whose rows refer to the run, need not wait.
    statement = select(runs.c.evaluated_until).where(runs.c.id == run_id)
    statement = statement.with_for_update(key_share=True)
    return connection.scalar(statement)


def move_cursor(connection: Connection, run_id: int, until: datetime) -> None:
    """Record that the run is evaluated up to and including the grid point ``until``."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(evaluated_until=until))


def read_progress(connection: Connection, run_id: int) -> list[tuple[datetime | None, datetime]]:
    """For each partition its newest event time, if any, and when it last moved (wall clock)."""
    table = checkpoints.c
    statement = select(table.newest_event_at, table.updated_at).where(table.run_id == run_id)
    return [(newest, moved) for newest, moved in connection.execute(statement)]


def read_states(connection: Connection, run_id: int) -> list[StateRow]:
    """Every state of the run that is not inactive."""
    rows = connection.execute(_select_states(run_id))
    return [StateRow(*row) for row in rows]


def read_state(connection: Connection, run_id: int, rule: str, key: str) -> StateRow | None:
    """The state of one rule for one key; None: inactive."""
    table = alert_states.c
    statement = _select_states(run_id).where(table.rule == rule, table.key == key)
    row = connection.execute(statement).one_or_none()
    return None if row is None else StateRow(*row)


def _select_states(run_id: int) -> Select[Any]:
    table = alert_states.c
    columns = [table[field.name] for field in fields(StateRow)]
    return select(*columns).where(table.run_id == run_id)


def write_states(
    connection: Connection,
    run_id: int,
    states: Sequence[StateRow],
    cleared: Sequence[tuple[str, str]],
) -> None:
    """Keep ``states``, and forget those of the (rule, key) pairs that are inactive again."""
    if states:
        statement = insert(alert_states)
        names = ("state", "since", "fired_at", "thin_since", "severity")
        replaced = {name: statement.excluded[name] for name in names}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["run_id", "rule", "key"], set_=replaced
            ),
            [{"run_id": run_id, **asdict(state)} for state in states],
        )
    if cleared:
        table = alert_states.c
        connection.execute(
            delete(alert_states).where(
                table.run_id == run_id,
                table.rule == bindparam("old_rule"),
                table.key == bindparam("old_key"),
            ),
            [{"old_rule": rule, "old_key": key} for rule, key in cleared],
        )


def append_events(connection: Connection, run_id: int, events: Sequence[EventRow]) -> list[int]:
    """Write the events in order; their ids."""
    if not events:
        return []
    # In order, so that ids follow the order of the events; batched by SQLAlchemy.
    statement = insert(alert_events).returning(alert_events.c.id, sort_by_parameter_order=True)
    rows = [{"run_id": run_id, **asdict(event)} for event in events]
    return list(connection.scalars(statement, rows))


def read_events(connection: Connection, ids: Collection[int]) -> dict[int, EventRow]:
    """The events of these ids."""
    if not ids:
        return {}
    table = alert_events.c
    columns = [table[name] for name in _EVENT_COLUMNS]
    rows = connection.execute(select(table.id, *columns).where(table.id.in_(list(ids))))
    return {row.id: EventRow(*row[1:]) for row in rows}


def read_history(
    connection: Connection, run_id: int, rule: str, key: str, limit: int = 1000
) -> list[EventRow]:
    """What became of one alert, the latest first."""
    table = alert_events.c
    statement = (
        select(*(table[name] for name in _EVENT_COLUMNS))
        .where(table.run_id == run_id, table.rule == rule, table.key == key)
        .order_by(table.at.desc(), table.id.desc())
        .limit(limit)
    )
    return [EventRow(*row) for row in connection.execute(statement)]


def known_alerts(connection: Connection, run_id: int) -> list[tuple[str, str]]:
    """Every (rule, key) of which the run has an event."""
    return sorted((rule, key) for rule, key in connection.execute(_KNOWN, {"run_id": run_id}))


def read_alerts(connection: Connection, run_name: str | None = None) -> list[Alert]:
    """Every alert that fired, with its end, the newest first; ``run_name`` None: of every run."""
    fired, ended = alert_events.alias(), alert_events.alias()
    same = and_(
        ended.c.run_id == fired.c.run_id,
        ended.c.rule == fired.c.rule,
        ended.c.key == fired.c.key,
        ended.c.at > fired.c.at,
        ended.c.state == "resolved",
    )
    end = select(func.min(ended.c.at)).where(same).correlate(fired).scalar_subquery()
    grown = alert_events.alias()
    graver = (
        select(func.max(grown.c.severity))
        .where(
            grown.c.run_id == fired.c.run_id,
            grown.c.rule == fired.c.rule,
            grown.c.key == fired.c.key,
            grown.c.fired_at == fired.c.at,
            grown.c.reason == literal_column("'graver'"),
        )
        .correlate(fired)
        .scalar_subquery()
    )
    statement = (
        select(
            runs.c.name,
            fired.c.rule,
            fired.c.key,
            fired.c.scope,
            func.greatest(fired.c.severity, graver),
            fired.c.value,
            fired.c.documents,
            fired.c.at,
            end,
        )
        .join(runs, runs.c.id == fired.c.run_id)
        # A firing that goes on after a recovery or a silence is no other firing.
        .where(fired.c.state == "firing", fired.c.at == fired.c.fired_at)
        .order_by(fired.c.at.desc(), fired.c.rule, fired.c.key)
    )
    if run_name is not None:
        statement = statement.where(runs.c.name == run_name)
    return [Alert(*row) for row in connection.execute(statement)]
