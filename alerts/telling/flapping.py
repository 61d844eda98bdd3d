"""Flapping: alerts that begin and end again and again are told once, until they are steady. Pure.

Knows only when an alert changed, in event time.
"""

from collections.abc import Sequence
from datetime import datetime

from alerts.rules.policies import Flapping

DETAIL = "changed more than {changes} times within {span}"

Changes = tuple[datetime, ...]


def recorded(changes: Changes, now: datetime, policy: Flapping) -> Changes:
    """The changes with one at ``now``; no more are kept than the policy counts."""
    return (*changes, now)[-(policy.changes + 1) :]


def is_flapping(changes: Sequence[datetime], policy: Flapping) -> bool:
    """Whether the latest changes are more than the policy allows in a span."""
    count = policy.changes + 1
    return len(changes) >= count and changes[-1] - changes[-count] <= policy.span


def steady_at(changes: Sequence[datetime], policy: Flapping) -> datetime | None:
    """When at most half as many changes as are allowed lie in the span before; None: already.

    Half, so that an alert at the limit does not turn steady and flapping in turn.
    """
    allowed = policy.changes // 2
    return changes[-allowed - 1] + policy.span if len(changes) > allowed else None


def is_recent(changes: Sequence[datetime], now: datetime, policy: Flapping) -> bool:
    """Whether a change still counts at ``now``."""
    return bool(changes) and now - changes[-1] <= policy.span
