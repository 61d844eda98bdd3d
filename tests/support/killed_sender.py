"""A sender that kills its own process between two steps: `python killed_sender.py URL HOOK STEP`.

The steps are those of the real sender and the real outbox; what is killed is the whole process.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime

from alerts.receivers import channels as receivers
from alerts.rules.ruleset import Receiver, RuleSet
from alerts.sending.sender import Sender
from store import outbox
from store.database import Database

STEPS = (
    "before the claim",
    "after the claim",
    "after the first delivery",
    "after the second delivery",
    "before the record",
    "after the record",
    "after the notices",
    "after the commit",
)


def main(url: str, hook: str, step: str) -> None:
    """Send what is due at noon, and die at the step."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def wrap(owner: object, name: str, before: str | None, after: dict[int, str]) -> None:
        real, calls = getattr(owner, name), []

        def wrapped(*arguments, **options):
            calls.append(1)
            if step == before:
                die()
            try:
                return real(*arguments, **options)
            finally:
                if step == after.get(len(calls)):
                    die()

        setattr(owner, name, wrapped)

    wrap(outbox, "claim", STEPS[0], {1: STEPS[1]})
    wrap(receivers.Webhook, "deliver", None, {1: STEPS[2], 2: STEPS[3]})
    wrap(outbox, "record", STEPS[4], {1: STEPS[5]})
    wrap(outbox, "post", None, {1: STEPS[6]})
    rules = RuleSet(receivers=(Receiver(name="hook", type="webhook", url=hook),))
    sender = Sender(Database(url), rules)
    sender.send_due(datetime(2026, 3, 10, 12, tzinfo=UTC))
    if step == STEPS[7]:
        die()


if __name__ == "__main__":
    main(*sys.argv[1:])
