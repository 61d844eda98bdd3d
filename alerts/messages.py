"""What is said of a change of state: a line for people, a payload for programs, rows to send.

A key comes from a feed. For programs it stands as it is stored; in the line for people it is made
inert. Feed text otherwise never enters a message.
"""

from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from alerts.decisions import State
from alerts.routing import receivers_of, suppression
from alerts.rules import RuleSet
from alerts.text import inert
from store.alertlog import EventRow
from store.outbox import Message

_NAMESPACE = UUID("6f1f6a0e-6f0b-4c59-9d1c-7d5d2a0b9a11")
_TOLD = (State.FIRING, State.RESOLVED)


def messages_for(event_id: int, event: EventRow, run: str, rules: RuleSet) -> list[Message]:
    """One message for each receiver of the event's rule; none for what is not told.

    The id of a message follows from what it says, so that an event told again keeps its id.
    """
    rule = next((rule for rule in rules.rules if rule.name == event.rule), None)
    if event.state not in _TOLD or rule is None:
        return []
    content = payload(event, run)
    identity = f"{run}|{event.rule}|{event.key}|{event.at.isoformat()}|{event.state}"
    return [
        Message(
            uuid5(_NAMESPACE, f"{identity}|{receiver}"),
            event_id,
            receiver,
            content,
            suppressed=suppression(event, receiver, rules.maintenance),
        )
        for receiver in receivers_of(event, rule.receivers, rules.routes)
    ]


def dedup_key(event: EventRow, run: str) -> str:
    """What ties together all that is told of one alert: 64 characters made of run, rule and key."""
    identity = "\x1f".join((run, event.rule, event.scope, event.key))
    return sha256(identity.encode()).hexdigest()


def payload(event: EventRow, run: str) -> dict[str, Any]:
    """The event as plain data, times in ISO 8601."""
    return {
        "type": f"alert.{event.state}",
        "dedup_key": dedup_key(event, run),
        "run": run,
        "rule": event.rule,
        "scope": event.scope,
        "key": event.key,
        "severity": event.severity,
        "state": event.state,
        "reason": event.reason,
        "value": event.value,
        "documents": event.documents,
        "at": event.at.isoformat(),
        "fired_at": event.fired_at.isoformat() if event.fired_at else None,
        "window_start": event.window_start.isoformat(),
        "window_end": event.window_end.isoformat(),
        "summary": line(event),
    }


def line(event: EventRow) -> str:
    """The event in one line for people."""
    key = inert(event.key) or "all documents"
    value = "" if event.value is None else f", value {event.value:.2f}"
    return (
        f"{event.at:%Y-%m-%d %H:%M} UTC {event.state.upper()} {event.rule}: {key}{value}, "
        f"{event.documents} documents, severity {event.severity} ({event.reason})"
    )
