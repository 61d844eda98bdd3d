"""Notices: that a message could not be delivered, told to others. A notice about a notice is none.

Knows no channel and no clock.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4, uuid5

from alerts.receivers.delivery import Reason
from store.outbox import Attempt, Message

_NAMESPACE = UUID("0f8d8b7e-3a56-4c1c-9b1e-2f1a6f0c7d31")
_LISTED = 10


def failure_notices(
    receiver: str, dead: Sequence[Attempt], told: Sequence[str], now: datetime
) -> list[Message]:
    """One notice of all that is ``dead`` to each of the receivers ``told``, but not to itself.

    Notices among the dead are not told of: nothing goes round in a circle.
    """
    lost = [attempt for attempt in dead if attempt.message.about is None]
    if not lost:
        return []
    first = lost[0]
    content = _payload(receiver, lost, now)
    return [
        Message(
            id=uuid5(_NAMESPACE, f"{first.message.id}|{name}"),
            event_id=first.message.event_id,
            receiver=name,
            payload=content,
            about=first.message.id,
        )
        for name in dict.fromkeys(told)
        if name != receiver
    ]


def dedup_key(receiver: str) -> str:
    """What ties together the notices about one receiver."""
    return sha256(f"receiver\x1f{receiver}".encode()).hexdigest()


def trial_message(receiver: str, now: datetime) -> Message:
    """A message that says it is a test, with an id of its own."""
    return Message(
        id=uuid4(),
        event_id=None,
        receiver=receiver,
        payload={
            "type": "receiver.test",
            "dedup_key": sha256(f"test\x1f{receiver}".encode()).hexdigest(),
            "receiver": receiver,
            "at": now.isoformat(),
            "summary": f"TEST {now:%Y-%m-%d %H:%M} UTC: Tapewatch can reach {receiver}. "
            "No alert is behind this message.",
        },
    )


def _payload(receiver: str, lost: Sequence[Attempt], now: datetime) -> dict[str, Any]:
    first = lost[0]
    disabled = first.reason in {Reason.GONE, Reason.RECEIVER_DISABLED}
    count = "1 message" if len(lost) == 1 else f"{len(lost)} messages"
    example = first.message.payload.get("summary", "")
    advice = f"; `tapewatch receivers enable {receiver}` re-arms it" if disabled else ""
    state = f"{receiver} is disabled and was" if disabled else f"{receiver} was"
    return {
        "type": "receiver.disabled" if disabled else "delivery.dead",
        "dedup_key": dedup_key(receiver),
        "receiver": receiver,
        "reason": first.reason,
        "detail": first.detail,
        "at": now.isoformat(),
        "count": len(lost),
        "messages": [
            {"id": str(attempt.message.id), "summary": attempt.message.payload.get("summary", "")}
            for attempt in lost[:_LISTED]
        ],
        "summary": f"UNDELIVERED {now:%Y-%m-%d %H:%M} UTC: {state} not told {count} "
        f"({first.reason}){advice}. First: {example}",
    }
