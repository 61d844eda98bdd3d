"""What people do about alerts, for commands and the dashboard alike. Changes no event.

An alert is named by its rule and key, or by its id: both are the same for every firing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alerts.common.links import alert_id
from alerts.common.phrases import Code, Phrase, phrase
from alerts.common.reasons import Why
from alerts.conditions.lifecycle import State
from alerts.telling.messages import dedup_key
from alerts.telling.silences import silencing
from store import alertlog
from store.alert_actions import (
    Action,
    ActionRow,
    add_action,
    read_acknowledged,
    read_actions,
    storable,
)
from store.alertlog import EventRow
from store.cards import CardRow, read_cards_of_alert
from store.database import Connection
from store.delivery_log import LoggedMessage, read_messages_of_alert
from store.errors import AlertActionError
from store.notifications import NotificationRow, read_notifications
from store.runs import LIVE, Run
from store.silences import Silence, add_silence, end_silence, read_silences
from store.tellings import Telling, read_telling


@dataclass(frozen=True, slots=True)
class AlertView:
    """One alert with everything that is known of it; the lists are the latest first."""

    id: str
    run: str
    rule: str
    key: str
    state: str
    since: datetime | None
    active: bool
    acknowledged: bool
    silenced_by: int | None
    flapping: bool
    told_state: str | None
    why_not_told: Phrase
    events: list[EventRow]
    notifications: list[NotificationRow]
    actions: list[ActionRow]
    cards: list[CardRow]
    messages: list[LoggedMessage]


def find_alert(connection: Connection, run: Run, rule: str, key: str | None) -> tuple[str, str]:
    """The (rule, key) that is meant by a rule with a key, or by an id. Raises AlertActionError."""
    known = alertlog.known_alerts(connection, run.id)
    if (rule, key or "") in known:
        return rule, key or ""
    if key is None:
        for alert in known:
            if alert_id(run.name, *alert) == rule:
                return alert
    keys = ", ".join(repr(k) for name, k in known if name == rule) if key or rule else ""
    hint = f"{rule} has {keys}" if keys else "`tapewatch alerts list` and `show` name them"
    raise AlertActionError(
        f"the run {run.name!r} has no alert {rule!r}{f' {key!r}' if key else ''}: {hint}"
    )


def acknowledge(  # noqa: PLR0913 - an alert, who and why
    connection: Connection,
    run: Run,
    rule: str,
    key: str | None,
    author: str,
    comment: str | None,
) -> ActionRow:
    """Acknowledge the firing that lasts. Raises AlertActionError where none does."""
    alert = find_alert(connection, run, rule, key)
    telling = _active(connection, run, alert)
    done = _action(Action.ACKNOWLEDGE, alert, telling.began_at, author, comment)
    add_action(connection, run.id, done)
    return done


def unacknowledge(  # noqa: PLR0913 - an alert, who and why
    connection: Connection,
    run: Run,
    rule: str,
    key: str | None,
    author: str,
    comment: str | None,
) -> ActionRow:
    """Take the acknowledgement of the firing that lasts back. Raises AlertActionError."""
    alert = find_alert(connection, run, rule, key)
    telling = _active(connection, run, alert)
    if (*alert, telling.began_at) not in read_acknowledged(connection, run.id):
        raise AlertActionError(f"{alert[0]} {alert[1]!r} is not acknowledged")
    done = _action(Action.UNACKNOWLEDGE, alert, telling.began_at, author, comment)
    add_action(connection, run.id, done)
    return done


def comment_on(  # noqa: PLR0913 - an alert, who and what
    connection: Connection, run: Run, rule: str, key: str | None, author: str, comment: str
) -> ActionRow:
    """Say something about an alert, active or not. Raises AlertActionError."""
    if not storable(comment):
        raise AlertActionError("a comment says something: --comment TEXT")
    alert = find_alert(connection, run, rule, key)
    telling = read_telling(connection, run.id, *alert)
    began_at = telling.began_at if telling else None
    done = _action(Action.COMMENT, alert, began_at, author, comment)
    add_action(connection, run.id, done)
    return done


def silence_now(  # noqa: PLR0913 - a silence, who and why
    connection: Connection,
    run: Run,
    matchers: Mapping[str, str],
    span: tuple[datetime, datetime],
    author: str,
    comment: str | None,
) -> Silence:
    """Keep a silence from ``span``'s first moment to its second. Raises AlertActionError."""
    author, comment = storable(author), storable(comment or "")
    starts_at, ends_at = span
    number = add_silence(connection, run.id, matchers, starts_at, ends_at, author, comment)
    action = ActionRow(Action.SILENCE, author, comment, silence_id=number)
    add_action(connection, run.id, action)
    return next(s for s in read_silences(connection, run.id) if s.id == number)


def expire_silence(  # noqa: PLR0913 - a silence, who and why
    connection: Connection,
    run: Run,
    number: int,
    now: datetime,
    author: str,
    comment: str | None,
) -> None:
    """End a silence with the grid point that is judged next. Raises AlertActionError."""
    end_silence(connection, run.id, number, min(now, run.evaluated_until or now))
    add_action(connection, run.id, ActionRow(Action.EXPIRE, author, comment, silence_id=number))


def present(run: Run, now: datetime) -> datetime:
    """The run's present: the clock for the live run, what is judged for any other."""
    return now if run.name == LIVE else (run.evaluated_until or now).astimezone(UTC)


def span_of_silence(
    run: Run,
    now: datetime,
    start: datetime | None,
    end: datetime | None,
    length: timedelta | None,
) -> tuple[datetime, datetime]:
    """From when to when; without a start, from the next grid point that is judged."""
    current = present(run, now)
    begin = start or min(current, run.evaluated_until or current)
    if end is not None:
        return begin, end
    return begin, (start or current) + (length or timedelta(0))


def view_alert(connection: Connection, run: Run, rule: str, key: str | None) -> AlertView:
    """Everything about one alert. Raises AlertActionError."""
    alert = find_alert(connection, run, rule, key)
    standing = alertlog.read_state(connection, run.id, *alert)
    telling = read_telling(connection, run.id, *alert)
    began_at = telling.began_at if telling else None
    acknowledged = (*alert, began_at) in read_acknowledged(connection, run.id)
    silence = _silence(connection, run, telling)
    events = alertlog.read_history(connection, run.id, *alert)
    return AlertView(
        id=alert_id(run.name, *alert),
        run=run.name,
        rule=alert[0],
        key=alert[1],
        state=standing.state if standing else State.INACTIVE,
        since=standing.since if standing else None,
        active=telling is not None and telling.state is not None,
        acknowledged=acknowledged,
        silenced_by=silence.id if silence else None,
        flapping=bool(telling and telling.flapping),
        told_state=telling.told_state if telling else None,
        why_not_told=_why_not_told(telling),
        events=events,
        notifications=read_notifications(connection, run.id, alert),
        actions=read_actions(connection, run.id, alert),
        cards=read_cards_of_alert(connection, run.id, *alert),
        messages=_messages(connection, run, events),
    )


def _messages(connection: Connection, run: Run, events: list[EventRow]) -> list[LoggedMessage]:
    # The event that ends an alert whose rule is gone has no scope any more.
    scoped = next((event for event in events if event.scope), None)
    if scoped is None:
        return []
    alert, key = (scoped.rule, scoped.key), dedup_key(scoped, run.name)
    return read_messages_of_alert(connection, run.id, alert, key)


def _silence(connection: Connection, run: Run, telling: Telling | None) -> Silence | None:
    if telling is None or run.evaluated_until is None:
        return None
    now = run.evaluated_until.astimezone(UTC)
    return silencing(read_silences(connection, run.id, now), telling, now)


def _why_not_told(telling: Telling | None) -> Phrase:
    """In a line: whether receivers know how the alert stands."""
    if telling is None or (telling.state is None and telling.told_state is None):
        return phrase("It is not active: there is nothing to tell.")
    if telling.held is not None:
        return phrase("It is held back: {why}.", why=Code(telling.held))
    if telling.quiet:
        return phrase("Nobody was told: {why}.", why=Code(Why.REPLAY_NOT_NOTIFIED))
    state = Code(telling.told_state or State.RESOLVED)
    return phrase("It was told as {state} at {at}.", state=state, at=telling.told_at)


def _active(connection: Connection, run: Run, alert: tuple[str, str]) -> Telling:
    telling = read_telling(connection, run.id, *alert)
    if telling is None or telling.state is None:
        raise AlertActionError(
            f"{alert[0]} {alert[1]!r} is not active: there is nothing to acknowledge; "
            "`tapewatch alerts silence` keeps what may come from being told"
        )
    return telling


def _action(
    action: Action,
    alert: tuple[str, str],
    began_at: datetime | None,
    author: str,
    comment: str | None,
) -> ActionRow:
    rule, key = alert
    return ActionRow(action, author, comment, rule, key, began_at)
