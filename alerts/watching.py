"""Watching the pipeline of a live run: what ``alerts.telling.health`` says of it, told once.

Its events are of the wall clock and stand apart from those of rules: the digest leaves them out.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from alerts.common.reasons import Why
from alerts.rules.ruleset import RuleSet
from alerts.telling.health import NAME, SCOPE, Health, PipelineState, Vitals, examine
from alerts.telling.messages import pipeline_messages
from store import alertlog, outbox
from store.alertlog import EventRow, StateRow
from store.buckets import count_documents
from store.database import Connection
from store.notifications import NotificationRow, append_notifications
from store.runs import Run

_HOUR = timedelta(hours=1)
_KEY = (NAME, "")


def watch(  # noqa: PLR0913 - one look at one pipeline
    connection: Connection,
    run: Run,
    rules: RuleSet,
    watermark: datetime | None,
    now: datetime,
    idle: timedelta,
    *,
    notify: bool,
) -> list[EventRow]:
    """Examine the pipeline at ``now`` by the wall clock; the event, if its state changed."""
    progress = alertlog.read_progress(connection, run.id)
    before = _state(connection, run.id)
    health = examine(
        _vitals(connection, run.id, progress, watermark, now, idle), before, rules.pipeline, now
    )
    if health.state is before:
        return []
    event = _event(health, before, rules.pipeline.severity, now)
    (event_id,) = alertlog.append_events(connection, run.id, [event])
    calm = health.state is PipelineState.CURRENT
    kept = [] if calm else [StateRow(*_KEY, health.state, now)]
    alertlog.write_states(connection, run.id, kept, [_KEY] if calm else [])
    _tell(connection, run, rules, event_id, event, notify=notify)
    return [event]


def _state(connection: Connection, run_id: int) -> PipelineState:
    row = alertlog.read_state(connection, run_id, *_KEY)
    return PipelineState.CURRENT if row is None else PipelineState(row.state)


def _vitals(  # noqa: PLR0913 - what was read, and what is to be read
    connection: Connection,
    run_id: int,
    progress: Sequence[tuple[datetime | None, datetime]],
    watermark: datetime | None,
    now: datetime,
    idle: timedelta,
) -> Vitals:
    known = [(newest.astimezone(UTC), moved) for newest, moved in progress if newest is not None]
    if not known:
        return Vitals(None, watermark)
    newest, moved = max(event for event, _ in known), max(at for _, at in known)
    documents = count_documents(connection, run_id, newest - _HOUR, newest + _HOUR)
    return Vitals(moved, watermark, now - moved >= idle, documents)


def _event(health: Health, before: PipelineState, severity: int, now: datetime) -> EventRow:
    return EventRow(
        rule=NAME,
        key="",
        scope=SCOPE,
        at=now,
        previous=before,
        state=health.state,
        reason=health.reason,
        severity=severity,
        fired_at=None,
        value=None,
        documents=0,
        window_start=now,
        window_end=now,
        detail=health.detail or None,
    )


def _tell(  # noqa: PLR0913 - one event and whom to tell
    connection: Connection,
    run: Run,
    rules: RuleSet,
    event_id: int,
    event: EventRow,
    *,
    notify: bool,
) -> None:
    receivers = rules.pipeline_receivers
    told = notify and bool(receivers)
    why = Why.PIPELINE if told else Why.NO_RECEIVERS if notify else Why.REPLAY_NOT_NOTIFIED
    row = NotificationRow(
        NAME, "", event.at, event.state, told, why, event.detail, None, receivers, event_id
    )
    append_notifications(connection, run.id, [row])
    if told:
        outbox.post(connection, pipeline_messages(event_id, event, run.name, rules))
