"""The retention horizon of a run: what is older is gone, and stays gone.

Documents before ``documents_from`` count as known: delivered again, they add nothing, and no
minute bucket before it comes back; ``hours_from`` is the same for hour and day buckets. A horizon
stands at a whole hour, that of hours at a whole day, and never moves back. Whoever writes documents
or buckets holds the run, so that a horizon moves between transactions only. Knows not what is
deleted, nor when.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, func, select, text, update

from store.alertlog import lock_cursor
from store.errors import UnknownRunError
from store.schema import alert_states, checkpoints, runs

_LOCK = 0x7461_7077

# Plans are made anew each time: one that was kept from when the tables were small would read
# them whole when they are large.
_SHARE = text("""
select pg_advisory_xact_lock_shared(:lock, :run_id),
    set_config('plan_cache_mode', 'force_custom_plan', true)
""")
_HORIZON = text("select documents_from, hours_from from runs where id = :run_id for key share")
_EXCLUDE = text("select pg_advisory_xact_lock(:lock, :run_id)")


@dataclass(frozen=True, slots=True)
class Horizon:
    """What a run keeps: documents and minutes from one moment on, hours and days from another on.

    None: everything.
    """

    documents_from: datetime | None = None
    hours_from: datetime | None = None


class HeldBy(StrEnum):
    """What a cutoff stands at: the age that was asked for, or what would miss what is older."""

    AGE = "age"
    NEWEST_CHECKPOINT = "newest_checkpoint"
    ALERTER = "alerter"
    OPEN_ALERT = "open_alert"


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Up to where a run may be pruned, and what holds it there."""

    before: datetime
    held_by: HeldBy


def hold_run(connection: Connection, run_id: int) -> Horizon:
    """Keep the run and its horizon as they are until the transaction ends; the horizon.

    Others may hold it too. Raises UnknownRunError if the run was deleted.
    """
    connection.execute(_SHARE, {"lock": _LOCK, "run_id": run_id})
    row = connection.execute(_HORIZON, {"run_id": run_id}).one_or_none()
    if row is None:
        raise UnknownRunError(f"the run with the number {run_id} was deleted meanwhile")
    return Horizon(*row)


def move_horizon(
    connection: Connection, run_id: int, documents_from: datetime, hours_from: datetime | None
) -> Horizon:
    """Move the run's horizon forward, once those who hold the run are done; where it is then.

    In a transaction of its own: meanwhile nobody can commit into the run.
    """
    lock_cursor(connection, run_id)
    connection.execute(_EXCLUDE, {"lock": _LOCK, "run_id": run_id})
    table = runs.c
    moved = (
        update(runs)
        .where(table.id == run_id)
        .values(
            documents_from=func.greatest(table.documents_from, documents_from),
            hours_from=func.greatest(table.hours_from, hours_from),
        )
        .returning(table.documents_from, table.hours_from)
    )
    return Horizon(*connection.execute(moved).one())


def newest_event(connection: Connection, run_id: int) -> datetime | None:
    """The event time of the newest checkpoint; None before the first document."""
    newest = func.max(checkpoints.c.newest_event_at)
    found: datetime | None = connection.scalar(select(newest).where(checkpoints.c.run_id == run_id))
    return found


def read_cutoff(
    connection: Connection, run_id: int, asked: datetime, reach: timedelta
) -> Cutoff | None:
    """How far the run may be pruned where ``asked`` is wished for; None: it holds nothing yet.

    Kept is what the windows of rules, of which the longest is ``reach``, look back on: from the
    newest checkpoint, from where the alerter is, and from the beginning of an alert that is open.
    """
    newest = newest_event(connection, run_id)
    if newest is None:
        return None
    evaluated = connection.scalar(select(runs.c.evaluated_until).where(runs.c.id == run_id))
    table = alert_states.c
    began = func.min(func.least(table.since, table.fired_at, table.thin_since))
    # What merely has no data, or could not be judged, needs no documents; it may stay so for ever.
    open_states = table.state.in_(("pending", "firing", "recovering"))
    opened = connection.scalar(select(began).where(table.run_id == run_id, open_states))
    needed = {
        HeldBy.NEWEST_CHECKPOINT: newest,
        HeldBy.ALERTER: evaluated,
        HeldBy.OPEN_ALERT: opened,
    }
    return cutoff(asked, {who: at - reach for who, at in needed.items() if at is not None})


def cutoff(asked: datetime, needed: Mapping[HeldBy, datetime]) -> Cutoff:
    """The earliest of ``asked`` and what is ``needed``, at the whole hour before it. Pure."""
    limits = {HeldBy.AGE: asked, **needed}
    held_by = min(limits, key=limits.__getitem__)
    before = limits[held_by].astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Cutoff(before, held_by)
