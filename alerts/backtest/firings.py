"""Firings: an alert from its beginning to its end, out of the events of a run. Pure.

A firing that loses its data or cannot be judged for a while goes on: it is known by the moment
at which it began.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.conditions.lifecycle import Reason, State
from store.alertlog import EventRow

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert, in event time; ``resolved_at`` None while it lasts. ``first`` is its event.

    ``severity`` is the greatest that it had.
    """

    first: EventRow
    resolved_at: datetime | None
    severity: int

    @property
    def rule(self) -> str:
        """The rule that fired."""
        return self.first.rule

    @property
    def subject(self) -> tuple[str, str]:
        """Scope and key that it fired for."""
        return self.first.scope, self.first.key

    @property
    def moment(self) -> tuple[str, str, datetime]:
        """Rule, key and when it began: no other firing has all three."""
        return self.first.rule, self.first.key, self.first.at

    @property
    def fired_at(self) -> datetime:
        """When it began."""
        return self.first.at

    def lasted(self, until: datetime) -> timedelta:
        """How long it fired, as far as that is known at ``until``."""
        return max((self.resolved_at or until) - self.fired_at, timedelta(0))


def firings(events: Iterable[EventRow]) -> list[Firing]:
    """The firings that begin among ``events``, which come in order of time; the oldest first."""
    open_: dict[tuple[str, str], Firing] = {}
    found: list[Firing] = []
    for event in events:
        alert = event.rule, event.key
        if event.state == State.FIRING and event.fired_at == event.at:
            open_.setdefault(alert, Firing(event, None, event.severity))
        elif alert in open_ and event.state == State.RESOLVED:
            found.append(replace(open_.pop(alert), resolved_at=event.at))
        elif alert in open_ and event.reason == Reason.GRAVER:
            open_[alert] = replace(open_[alert], severity=event.severity)
    return sorted([*found, *open_.values()], key=_order)


def _order(firing: Firing) -> tuple[datetime, str, str]:
    return firing.fired_at, firing.rule, firing.first.key


@dataclass(frozen=True, slots=True)
class Load:
    """What one rule asks of those who are told, for one key: firings, and their length."""

    rule: str
    key: str
    firings: int
    per_week: float
    minutes_per_week: float


def loads(some: Sequence[Firing], start: datetime, end: datetime) -> list[Load]:
    """The load of each rule and key over [start, end], the heaviest first."""
    weeks = (end - start) / WEEK
    by_alert: dict[tuple[str, str], list[Firing]] = defaultdict(list)
    for firing in some:
        by_alert[firing.rule, firing.first.key].append(firing)
    found = [
        Load(rule, key, len(of_key), len(of_key) / weeks, _minutes(of_key, end) / weeks)
        for (rule, key), of_key in by_alert.items()
    ]
    return sorted(found, key=lambda load: (-load.minutes_per_week, load.rule, load.key))


def _minutes(some: Iterable[Firing], end: datetime) -> float:
    return sum((f.lasted(end) for f in some), start=timedelta(0)) / timedelta(minutes=1)
