"""A run at a moment of its own time: what was known then, and never what came after. Pure.

A document counts from its own minute on: what came late is shown as if it had come in time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from dashboard.common.words import later
from store.alertlog import Alert
from store.buckets import Sums
from store.views import MONDAY, Bin

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_FRAMES = (
    (6 * _HOUR, _MINUTE),
    (4 * _DAY, 5 * _MINUTE),
    (14 * _DAY, 15 * _MINUTE),
    (70 * _DAY, _HOUR),
    (500 * _DAY, 6 * _HOUR),
)
SPEEDS = {
    "300": later("5 min a second"),
    "900": later("15 min a second"),
    "3600": later("1 h a second"),
    "21600": later("6 h a second"),
    "86400": later("1 day a second"),
}
_USUAL_SECONDS = 90
"""A run is played in about so long, unless another speed is chosen."""


@dataclass(frozen=True, slots=True)
class Reel:
    """The moments of a run that can be shown: every ``frame`` from ``start`` to ``end``."""

    start: datetime
    end: datetime
    frame: timedelta

    def at(self, moment: datetime) -> datetime:
        """The latest of its moments that is not after ``moment``, or its first."""
        inside = min(max(moment, self.start), self.end)
        return self.start + (inside - self.start) // self.frame * self.frame

    def usual_speed(self) -> str:
        """The slowest speed that takes about a minute and a half at most."""
        wanted = (self.end - self.start).total_seconds() / _USUAL_SECONDS
        return next((speed for speed in SPEEDS if int(speed) >= wanted * 0.9), [*SPEEDS][-1])

    def after(self, moment: datetime, seconds: float, speed: str) -> datetime:
        """Where one is after so many seconds at a speed; a frame further at least."""
        gone = max(timedelta(seconds=seconds * int(speed)), self.frame)
        return self.at(moment + gone)


def make_reel(first: datetime, last: datetime) -> Reel:
    """The moments of a run whose first and last minute these are."""
    end = last + _MINUTE
    frame = next((frame for length, frame in _FRAMES if end - first <= length), _DAY)
    start = (first - MONDAY) // frame * frame + MONDAY
    return Reel(start, -(-(end - MONDAY) // frame) * frame + MONDAY, frame)


def read_moment(text: str) -> datetime | None:
    """The moment that a link names; None where it names none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def write_moment(moment: datetime) -> str:
    """A moment for a link."""
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def edges(until: datetime, size: timedelta) -> tuple[datetime, datetime]:
    """Where the last whole bin before ``until`` ends, and the last whole hour from there on."""
    whole = (until - MONDAY) // size * size + MONDAY
    hour = until.replace(minute=0, second=0, microsecond=0)
    return whole, max(whole, hour)


def cut(bins: Iterable[Bin], until: datetime, size: timedelta) -> list[Bin]:
    """The bins that had ended by ``until``."""
    return [found for found in bins if found.start + size <= until]


def gather(bins: Iterable[Bin], start: datetime) -> list[Bin]:
    """One bin a key, from ``start`` on, of the sums of all ``bins``."""
    sums: dict[str, Sums] = {}
    for found in bins:
        sums[found.key] = sums.get(found.key, Sums()) + found.sums
    return [Bin(key, start, total) for key, total in sorted(sums.items())]


def known(alerts: Iterable[Alert], at: datetime) -> list[Alert]:
    """The alerts that had fired by then; what resolved later still fires."""
    return [
        alert
        if alert.resolved_at is not None and alert.resolved_at <= at
        else replace(alert, resolved_at=None)
        for alert in alerts
        if alert.fired_at <= at
    ]


@dataclass(frozen=True, slots=True)
class Change:
    """An alert that fired or resolved."""

    at: datetime
    alert: Alert
    fired: bool


def changes(alerts: Iterable[Alert]) -> list[Change]:
    """Every change, the latest first."""
    found = []
    for alert in alerts:
        found.append(Change(alert.fired_at, alert, fired=True))
        if alert.resolved_at is not None:
            found.append(Change(alert.resolved_at, alert, fired=False))
    return sorted(found, key=_order, reverse=True)


def _order(change: Change) -> tuple[datetime, bool, str, str]:
    return change.at, change.fired, change.alert.rule, change.alert.key


def next_change(every: Sequence[Change], at: datetime) -> datetime | None:
    """When the next alert fires or resolves after ``at``."""
    return min((change.at for change in every if change.at > at), default=None)


def change_before(every: Sequence[Change], at: datetime) -> datetime | None:
    """When the last one did before ``at``."""
    return max((change.at for change in every if change.at < at), default=None)
