"""What is said of a change of state: a line for people, a payload for programs, rows to send.

A key comes from a feed. For programs it stands as it is stored; in the line for people it is made
inert. Feed text otherwise enters a message only as the few headlines of ``card``, inert for
programs too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from alerts.cards.wording import brief
from alerts.common.links import alert_link, subject_link
from alerts.common.reasons import Why
from alerts.common.text import inert
from alerts.conditions.lifecycle import State
from alerts.rules.routing import receivers_of, suppression
from alerts.rules.ruleset import RuleSet
from alerts.telling import health
from alerts.telling.book import ACTIVE, Notice
from store.alertlog import EventRow
from store.cards import CardRow
from store.outbox import Message
from store.tellings import Telling

_NAMESPACE = UUID("6f1f6a0e-6f0b-4c59-9d1c-7d5d2a0b9a11")
_TOLD = (*ACTIVE.keys() - {State.RECOVERING}, State.RESOLVED)
_LISTED = 3
"""Alerts of a group that its summary names."""

_EXPLAINED = 10
"""Alerts of a group that come with their cards."""

_NO_CARDS: Mapping[int, CardRow] = {}


def messages_for(  # noqa: PLR0913 - an event, and to whom it is told
    event_id: int,
    event: EventRow,
    run: str,
    rules: RuleSet,
    cards: Mapping[int, CardRow] = _NO_CARDS,
    receivers: Sequence[str] | None = None,
) -> list[Message]:
    """One message for each receiver, or each of the event's rule; none for what is not told.

    The id of a message follows from what it says, so that an event told again keeps its id.
    """
    rule = rules.rule(event.rule)
    if event.state not in _TOLD or rule is None:
        return []
    content = payload(event, run, name=rule.names.get(event.key))
    content |= _link(event, run, rules, event.at) | _card(cards.get(event_id))
    identity = f"{run}|{event.rule}|{event.key}|{event.at.isoformat()}|{event.state}"
    if receivers is None:
        receivers = receivers_of(event, rule.at(event.key).receivers, rules.routes)
    return _addressed(identity, event_id, content, [event], receivers, rules)


def explained(notice: Notice) -> list[int]:
    """The events of a notice that are told with their cards."""
    told = sorted(notice.alerts, key=_gravest_first)
    return [t.event_id for t in told if t.event_id is not None][:_EXPLAINED]


def messages_of(
    notice: Notice,
    events: Mapping[int, EventRow],
    run: str,
    rules: RuleSet,
    cards: Mapping[int, CardRow] = _NO_CARDS,
) -> list[Message]:
    """One message for each receiver of a notice; ``events`` are those of its alerts, by number.

    So are ``cards``, as far as they are to be told.

    An alert told alone at the grid point of its event has the message of the event.
    """
    told = sorted(notice.alerts, key=_gravest_first)
    happened = [(t, t.event_id, events[t.event_id]) for t in told if t.event_id is not None]
    if not happened:
        return []
    lead, event_id, event = happened[0]
    plain = notice.reason in {Why.FIRST_FIRING, Why.GROUP_CHANGED, Why.GRAVER, Why.RESOLVED}
    if len(happened) == 1 and plain and event.at == notice.at and event.state == _as_told(lead):
        made = messages_for(event_id, event, run, rules, cards, notice.receivers)
        return [_because(message, notice.reason) for message in made]
    contents = [
        _told_payload(t, known, run, notice.reason, _name_of(known, rules))
        | _link(known, run, rules, notice.at)
        | _card(cards.get(number))
        for t, number, known in happened
    ]
    content = dict(contents[0])
    if len(contents) > 1:
        content |= {"alerts": contents, "summary": _summary(contents)}
    said = "|".join(f"{t.rule},{t.key},{_as_told(t)},{number}" for t, number, _ in happened)
    identity = f"{run}|{notice.group}|{notice.at.isoformat()}|{notice.reason}|{said}"
    as_told = [replace(known, at=notice.at, state=_as_told(t)) for t, _, known in happened]
    return _addressed(identity, event_id, content, as_told, notice.receivers, rules)


def pipeline_messages(event_id: int, event: EventRow, run: str, rules: RuleSet) -> list[Message]:
    """One message for each receiver, of a change in the state of the pipeline."""
    content = payload(event, run, Why.PIPELINE) | _link(event, run, rules, event.at)
    content["type"] = f"pipeline.{event.state}"
    identity = f"{run}|{event.rule}|{event.at.isoformat()}|{event.state}"
    return _addressed(identity, event_id, content, [event], rules.pipeline_receivers, rules)


def _addressed(  # noqa: PLR0913 - a message, and when it is not sent
    identity: str,
    event_id: int,
    content: dict[str, Any],
    events: Sequence[EventRow],
    receivers: Sequence[str],
    rules: RuleSet,
) -> list[Message]:
    """One message for each receiver; suppressed where maintenance keeps back all it tells of."""
    made = []
    for receiver in receivers:
        reasons = [suppression(event, receiver, rules.maintenance) for event in events]
        suppressed = reasons[0] if all(reasons) else None
        name = uuid5(_NAMESPACE, f"{identity}|{receiver}")
        made.append(Message(name, event_id, receiver, content, suppressed=suppressed))
    return made


def _card(row: CardRow | None) -> dict[str, Any]:
    """Why it fired; nothing where no firing began or its card was left out."""
    return {} if row is None or row.card is None else {"card": brief(row.card)}


def _link(event: EventRow, run: str, rules: RuleSet, at: datetime) -> dict[str, Any]:
    """Where the dashboard shows the alert, and what it is about; nothing without a dashboard.

    ``at`` is when it is told.
    """
    if rules.dashboard is None:
        return {}
    links = {"link": alert_link(rules.dashboard, run, event.rule, event.key)}
    window = event.window_end - event.window_start
    subject = subject_link(rules.dashboard, run, event.scope, event.key, at, window)
    return links | ({"subject_link": subject} if subject else {})


def _because(message: Message, why: Why) -> Message:
    content = {**message.payload, "notification": str(why)}
    return replace(message, payload=content)


def _name_of(event: EventRow, rules: RuleSet) -> str | None:
    rule = rules.rule(event.rule)
    return rule.names.get(event.key) if rule else None


def _told_payload(
    telling: Telling, event: EventRow, run: str, why: Why, name: str | None
) -> dict[str, Any]:
    """The latest event of an alert, in the state in which the alert is told."""
    state = _as_told(telling)
    content = {**payload(event, run, why, name), "state": state, "type": f"alert.{state}"}
    if why is Why.FLAPPING:
        content["type"] = "alert.flapping"
        content["summary"] = f"FLAPPING, held until it is steady: {content['summary']}"
    elif why is Why.REPEAT:
        content["summary"] = f"Still {state}: {content['summary']}"
    return content


def _summary(contents: Sequence[Mapping[str, Any]]) -> str:
    lines = [str(content["summary"]) for content in contents[:_LISTED]]
    more = len(contents) - len(lines)
    rest = [f"and {more} more"] if more else []
    return f"{len(contents)} alerts: " + "; ".join([*lines, *rest])


def _gravest_first(telling: Telling) -> tuple[bool, int, str, str]:
    return (telling.state is None, -telling.severity, telling.rule, telling.key)


def _as_told(telling: Telling) -> str:
    return telling.state or State.RESOLVED


def dedup_key(event: EventRow, run: str) -> str:
    """What ties together all that is told of one alert: 64 characters made of run, rule and key."""
    identity = "\x1f".join((run, event.rule, event.scope, event.key))
    return sha256(identity.encode()).hexdigest()


def payload(
    event: EventRow, run: str, why: Why = Why.FIRST_FIRING, name: str | None = None
) -> dict[str, Any]:
    """The event as plain data, times in ISO 8601; ``why`` it is told, what the key is called."""
    return {
        "type": f"alert.{event.state}",
        "dedup_key": dedup_key(event, run),
        "run": run,
        "rule": event.rule,
        "scope": event.scope,
        "key": event.key,
        **({"name": name} if name else {}),
        "severity": event.severity,
        "state": event.state,
        "reason": event.reason,
        "notification": str(why),
        "value": event.value,
        "documents": event.documents,
        "at": event.at.isoformat(),
        "fired_at": event.fired_at.isoformat() if event.fired_at else None,
        "window_start": event.window_start.isoformat(),
        "window_end": event.window_end.isoformat(),
        "summary": line(event, name),
    }


def line(event: EventRow, name: str | None = None) -> str:
    """The event in one line for people; ``name`` is what they call its key."""
    if event.scope == health.SCOPE:
        said = inert(event.detail or "") or event.reason
        return (
            f"{event.at:%Y-%m-%d %H:%M} UTC {event.state.upper()} pipeline: "
            f"{said}, severity {event.severity} ({event.reason})"
        )
    key = inert(event.key) or "all documents"
    key = f"{inert(name)} ({key})" if name else key
    value = "" if event.value is None else f", value {event.value:.2f}"
    return (
        f"{event.at:%Y-%m-%d %H:%M} UTC {event.state.upper()} {event.rule}: {key}{value}, "
        f"{event.documents} documents, severity {event.severity} ({event.reason})"
    )
