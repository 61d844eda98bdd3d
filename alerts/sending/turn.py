"""One receiver's turn: a batch of its messages, claimed, attempted in order and recorded.

A turn is one transaction. What it does not come to stays pending. Knows no thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import structlog

from alerts.receivers.channels import Channel
from alerts.receivers.delivery import Answer, DeliveryError, Reason, pause
from alerts.receivers.receiver import Receiver
from alerts.sending.notices import failure_notices
from store import outbox, receivers
from store.database import Connection
from store.outbox import Attempt, Message
from store.receivers import ReceiverState

log = structlog.get_logger(__name__)

BATCH = 50
BATCH_TIME = timedelta(seconds=0.5)
"""A turn ends when it is this old: so much is sent again if the sender dies before the commit."""

STREAK = 10
"""So many failures one after the other are taken to be the receiver's, whatever it says."""

_STREAK_DOUBLINGS = 3
"""After a streak a receiver is asked again soon: it may be the messages after all."""

_BURIED_AT_ONCE = 10_000


@dataclass(slots=True)
class Turn:
    """``due`` is until when messages are due, ``clock`` the wall clock as it moves on."""

    connection: Connection
    receiver: Receiver
    channel: Channel | None
    due: datetime
    clock: Callable[[], datetime]
    random: Random
    attempts: list[Attempt] = field(default_factory=list)

    def take(self) -> int:
        """How many messages were dealt with; 0: the receiver has none that may be sent now."""
        state = receivers.read_receiver(self.connection, self.receiver.name)
        if self.channel is None:
            self._bury(Reason.RECEIVER_UNKNOWN, "the rules name no such receiver any more")
        elif state.disabled_at is not None:
            since = f"disabled since {state.disabled_at:%Y-%m-%d %H:%M} UTC"
            self._bury(Reason.RECEIVER_DISABLED, f"{since}, {state.reason}: {state.detail}")
        elif not is_held(state, self.due):
            self._send(self.channel, state)
        self._write()
        return len(self.attempts)

    def _bury(self, reason: Reason, detail: str) -> None:
        """Give up what is due without an attempt."""
        claimed = outbox.claim(self.connection, self.due, _BURIED_AT_ONCE, self.receiver.name)
        self._give_up(claimed, reason, detail)

    def _give_up(self, messages: Sequence[Message], reason: Reason, detail: str) -> None:
        now = self.clock()
        self.attempts += [Attempt(m, 0, outbox.DEAD, reason, detail, now) for m in messages]

    def _send(self, channel: Channel, state: ReceiverState) -> None:
        """Attempt the claimed messages in order, as far as the receiver and the time allow."""
        started, streak = self.clock(), 0
        waiting: set[str | None] = set()
        for message in self._claim(state):
            if message.dedup_key in waiting:
                continue
            error = self._attempt(channel, state, message)
            streak = 0 if error is None else streak + 1
            if error is None and state.failures:
                receivers.release(self.connection, state.name)
                state = ReceiverState(state.name)
            if error is not None and self._ends_turn(error, state, streak):
                return
            if self.attempts[-1].status == outbox.PENDING:
                waiting.add(message.dedup_key)
            if self.clock() - started > BATCH_TIME:
                return

    def _claim(self, state: ReceiverState) -> list[Message]:
        # After a streak what has not failed yet comes first: else messages that a receiver will
        # never take could be all that it is ever asked.
        untried_first = state.reason == Reason.FAILING
        name = self.receiver.name
        return outbox.claim(self.connection, self.due, BATCH, name, untried_first=untried_first)

    def _attempt(
        self, channel: Channel, state: ReceiverState, message: Message
    ) -> DeliveryError | None:
        number, at = message.attempts + 1, self.clock()
        try:
            answer = _deliver(channel, message, at)
        except DeliveryError as error:
            status, again = self._consequence(error, state, message)
            self.attempts.append(
                Attempt(
                    message, number, status, error.reason, str(error), at, error.status_code, again
                )
            )
            log.warning(
                "delivery_failed" if again else "delivery_dead",
                receiver=self.receiver.name,
                message=str(message.id),
                reason=str(error.reason),
                error=str(error),
                again=again and again.isoformat(),
            )
            return error
        self.attempts.append(
            Attempt(
                message,
                number,
                outbox.DELIVERED,
                Reason.ACCEPTED,
                answer.detail,
                at,
                answer.status_code,
            )
        )
        return None

    def _consequence(
        self, error: DeliveryError, state: ReceiverState, message: Message
    ) -> tuple[str, datetime | None]:
        """What a failure makes of a message, and when it is tried again."""
        now = self.clock()
        age = now - message.created_at if message.created_at else timedelta(0)
        if error.reason is Reason.GONE or age >= self.receiver.give_up_after:
            return outbox.DEAD, None
        earlier = state.failures if error.concerns_receiver else message.attempts
        return outbox.PENDING, now + pause(earlier, self.random, error.retry_after)

    def _ends_turn(self, error: DeliveryError, state: ReceiverState, streak: int) -> bool:
        """Disable or hold back the receiver where a failure is not one of the message alone."""
        name, now, last = self.receiver.name, self.clock(), self.attempts[-1]
        if error.reason is Reason.GONE:
            log.error("receiver_disabled", receiver=name, error=str(error))
            receivers.disable(self.connection, name, now, error.reason, str(error))
        elif error.concerns_receiver:
            wait = pause(state.failures, self.random, error.retry_after)
            self._hold(state, last.due or now + wait, error.reason, str(error))
            if last.status == outbox.DEAD:
                self._give_up(self._too_old(now), error.reason, f"not tried: {error}")
        elif streak >= STREAK:
            wait = pause(min(state.failures, _STREAK_DOUBLINGS), self.random)
            detail = f"{streak} failures in a row, the last: {error}"
            self._hold(state, now + wait, Reason.FAILING, detail)
        else:
            return False
        return True

    def _hold(self, state: ReceiverState, until: datetime, reason: Reason, detail: str) -> None:
        held = ReceiverState(state.name, state.failures + 1, until, reason=reason, detail=detail)
        receivers.hold(self.connection, held)

    def _too_old(self, now: datetime) -> list[Message]:
        """What else waits for a receiver that cannot be reached, and is as old as what died."""
        dealt_with = {attempt.message.id for attempt in self.attempts}
        posted = now - self.receiver.give_up_after
        claimed = outbox.claim_posted_by(
            self.connection, posted, _BURIED_AT_ONCE, self.receiver.name
        )
        return [message for message in claimed if message.id not in dealt_with]

    def _write(self) -> None:
        outbox.record(self.connection, self.attempts)
        dead = [attempt for attempt in self.attempts if attempt.status == outbox.DEAD]
        if circular := [a.message for a in dead if a.message.about is not None]:
            log.error("notices_dead", receiver=self.receiver.name, messages=len(circular))
        now = self.clock()
        notices = failure_notices(self.receiver.name, dead, self.receiver.on_failure, now)
        outbox.post(self.connection, notices, self.due)


def is_held(state: ReceiverState, now: datetime) -> bool:
    """Whether the receiver is left in peace; a clock that stepped back does not prolong that."""
    until = state.held_until
    return until is not None and now < until <= now + outbox.LONGEST_WAIT


def _deliver(channel: Channel, message: Message, now: datetime) -> Answer:
    try:
        return channel.deliver(message, now)
    except DeliveryError:
        raise
    except Exception as error:  # what breaks our own code must not stop the messages behind it
        log.exception("delivery_broke", receiver=message.receiver, message=str(message.id))
        raise DeliveryError(f"{type(error).__name__}: {error}", Reason.INTERNAL) from error
