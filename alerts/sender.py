"""The sender: takes due messages from the outbox and delivers them, or gives them up in the end.

At least once: a crash after a delivery and before its record sends the message again, under the
same id. The pause before another attempt doubles.
"""

from datetime import datetime, timedelta

import structlog

from alerts.receivers import Deliver, DeliveryError, Webhook, to_console
from alerts.rules import RuleSet
from store import outbox
from store.database import Database
from store.outbox import Message

log = structlog.get_logger(__name__)

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)


class Sender:
    """Delivers what the outbox holds to the receivers of one set of rules."""

    def __init__(self, database: Database, rules: RuleSet) -> None:
        self._database = database
        self._rules = rules
        self._webhooks = {r.name: Webhook(r) for r in rules.receivers if r.type == "webhook"}
        self._deliver: dict[str, Deliver] = {r.name: to_console for r in rules.receivers}
        self._deliver |= self._webhooks

    def send_due(self, now: datetime) -> int:
        """Attempt every message that is due at ``now`` once; how many were attempted."""
        attempted = 0
        while self._send_one(now):
            attempted += 1
        return attempted

    def close(self) -> None:
        """Close the receivers' connections."""
        for webhook in self._webhooks.values():
            webhook.close()

    def _send_one(self, now: datetime) -> bool:
        with self._database.transaction() as connection:
            claimed = outbox.claim(connection, now)
            for message in claimed:
                status, detail, due = self._attempt(message, now)
                outbox.record_attempt(connection, message, status, detail, now, due)
            return bool(claimed)

    def _attempt(self, message: Message, now: datetime) -> tuple[str, str, datetime | None]:
        receiver = self._rules.receiver(message.receiver)
        if receiver is None:
            log.warning("receiver_unknown", receiver=message.receiver, message=str(message.id))
            return outbox.DEAD, "the rules name no such receiver any more", None
        try:
            return outbox.DELIVERED, self._deliver[message.receiver](message), None
        except DeliveryError as error:
            age = now - message.created_at if message.created_at else timedelta(0)
            if age >= receiver.give_up_after:
                log.warning("delivery_dead", receiver=receiver.name, error=str(error))
                return outbox.DEAD, str(error), None
            due = now + pause(message.attempts)
            log.warning("delivery_failed", receiver=receiver.name, error=str(error), again=str(due))
            return outbox.PENDING, str(error), due


def pause(attempts: int) -> timedelta:
    """How long to wait after so many earlier attempts: 5 s, 10 s, 20 s ... at most 10 minutes."""
    doubled = FIRST_PAUSE * float(1 << min(attempts, 16))
    return min(doubled, LONGEST_PAUSE)
