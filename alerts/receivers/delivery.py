"""How one attempt at a delivery ended, and what follows from it: again when, or never.

Pure: the clock and the source of randomness are arguments. Knows no receiver and no database.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from random import Random

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)
LONGEST_RETRY_AFTER = timedelta(hours=1)
"""A receiver may ask for a longer pause than ours, but not for a longer one than this."""


class Reason(StrEnum):
    """Why an attempt, or a message in the end, came out as it did."""

    ACCEPTED = "accepted"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    SERVER_ERROR = "server_error"
    NOT_NOW = "not_now"
    REJECTED = "rejected"
    REDIRECTED = "redirected"
    GONE = "gone"
    REFUSED = "refused"
    INTERNAL = "internal"
    FAILING = "failing"
    RECEIVER_UNKNOWN = "receiver_unknown"
    RECEIVER_DISABLED = "receiver_disabled"


_REASONS = {
    408: Reason.NOT_NOW,
    410: Reason.GONE,
    425: Reason.NOT_NOW,
    429: Reason.THROTTLED,
    502: Reason.UNAVAILABLE,
    503: Reason.UNAVAILABLE,
    504: Reason.UNAVAILABLE,
}
_OF_RECEIVER = {Reason.TIMEOUT, Reason.UNREACHABLE, Reason.THROTTLED}


@dataclass(frozen=True, slots=True)
class Answer:
    """A receiver took the message."""

    detail: str
    status_code: int | None = None


class DeliveryError(RuntimeError):
    """The receiver did not take the message. ``retry_after`` is how long it asked us to wait."""

    def __init__(
        self,
        detail: str,
        reason: Reason,
        status_code: int | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.status_code = status_code
        self.retry_after = retry_after

    @property
    def concerns_receiver(self) -> bool:
        """Whether every other message would fare the same now, not only this one."""
        return self.reason in _OF_RECEIVER or self.retry_after is not None


def reason_of(status_code: int) -> Reason:
    """What an HTTP status that is no success says of the attempt."""
    if status_code in _REASONS:
        return _REASONS[status_code]
    if status_code >= 500:
        return Reason.SERVER_ERROR
    return Reason.REJECTED if status_code >= 400 else Reason.REDIRECTED


def pause(attempts: int, random: Random, asked: timedelta | None = None) -> timedelta:
    """How long to wait after so many earlier attempts: 5 s, doubled each time, at most 10 minutes.

    Of that a random part of up to a half is left out, so that what failed together is not tried
    again together. Never less than the receiver ``asked`` for.
    """
    doubled = min(FIRST_PAUSE * float(1 << min(attempts, 16)), LONGEST_PAUSE)
    return max(doubled * (1 - random.random() / 2), asked or timedelta(0))


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """The pause that a Retry-After header asks for, in seconds or as a date; None: none or past."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    asked = moment - now
    return min(asked, LONGEST_RETRY_AFTER) if asked > timedelta(0) else None
