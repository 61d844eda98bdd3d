"""Routes and maintenance: who is told of an event beside its rule's own receivers, and who is not.

Pure, in event time: the same events go to the same receivers, live or in a replay. Knows no
message and no database.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal, Protocol

import msgspec

from alerts.common.fields import Identifier, RulesError, Severity
from store.alertlog import EventRow

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RESOLVED = "resolved"


class Subject(Protocol):
    """What routes ask of an alert."""

    @property
    def rule(self) -> str: ...  # noqa: D102
    @property
    def scope(self) -> str: ...  # noqa: D102
    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def severity(self) -> int: ...  # noqa: D102


class SuppressedBy(StrEnum):
    """Why a message is recorded without being sent; the name of what did it follows."""

    MAINTENANCE = "maintenance"


class Matcher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events; a field left out matches all. ``rule`` and ``key`` may hold ``*`` and ``?``."""

    rule: str = "*"
    scope: Literal["all", "topic", "symbol", "source"] | None = None
    key: str = "*"
    min_severity: Severity = 1
    max_severity: Severity = 10

    def matches(self, event: Subject) -> bool:
        """Whether the alert, or an event of it, is one of them."""
        return (
            self.min_severity <= event.severity <= self.max_severity
            and self.scope in {None, event.scope}
            and fnmatchcase(event.rule, self.rule)
            and fnmatchcase(event.key, self.key)
        )


class Route(Matcher, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to tell of matching events. The first route that matches is the last that is asked,
    unless it says ``continue``."""

    receivers: tuple[str, ...]
    go_on: bool = msgspec.field(name="continue", default=False)


class Maintenance(Matcher, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time in which matching events are not told: once, or every week (UTC).

    ``receivers`` empty means every receiver. The end is not part of it.
    """

    name: Identifier
    start: datetime | None = None
    end: datetime | None = None
    days: tuple[Day, ...] = ()
    starts_at: str | None = msgspec.field(name="from", default=None)
    ends_at: str | None = msgspec.field(name="to", default=None)
    receivers: tuple[str, ...] = ()

    def occurrence(self, at: datetime) -> tuple[datetime, datetime] | None:
        """The start and end of the window that ``at`` lies in; None: in none."""
        if self.start is not None and self.end is not None:
            return (self.start, self.end) if self.start <= at < self.end else None
        if self.starts_at is None or self.ends_at is None:
            return None
        begins, length = _weekly(self.starts_at, self.ends_at)
        at = at.astimezone(UTC)
        for day in (at.date(), at.date() - timedelta(days=1)):
            start = datetime.combine(day, begins, UTC)
            if (not self.days or _DAYS[day.weekday()] in self.days) and (
                start <= at < start + length
            ):
                return start, start + length
        return None


def receivers_of(event: Subject, own: Iterable[str], routes: Sequence[Route]) -> list[str]:
    """Whom to tell of an alert: its rule's own receivers, then those of its routes, each once."""
    told = list(own)
    for route in routes:
        if route.matches(event):
            told += route.receivers
            if not route.go_on:
                break
    return list(dict.fromkeys(told))


def suppression(event: EventRow, receiver: str, maintenance: Sequence[Maintenance]) -> str | None:
    """Why the receiver is not told of the event, such as ``maintenance:NAME``; None: it is told.

    What ends an alert that fired before the window began is told, so that nothing which was
    opened stays open.
    """
    for window in maintenance:
        occurrence = window.occurrence(event.at) if window.matches(event) else None
        if occurrence is None or (window.receivers and receiver not in window.receivers):
            continue
        fired = event.fired_at
        if event.state == _RESOLVED and fired is not None and fired < occurrence[0]:
            continue
        return f"{SuppressedBy.MAINTENANCE}:{window.name}"
    return None


def check_routing(
    routes: Sequence[Route], maintenance: Sequence[Maintenance], names: set[str], where: str
) -> None:
    """Raises RulesError for what cannot be meant; ``names`` are those of the receivers."""
    for number, route in enumerate(routes, 1):
        place = f"{where}: route {number}"
        _check_matcher(route, route.receivers, names, place)
        if not route.receivers:
            raise RulesError(f"{place}: `receivers` is empty")
    for window in maintenance:
        place = f"{where}: maintenance {window.name!r}"
        _check_matcher(window, window.receivers, names, place)
        _check_times(window, place)
    called = [window.name for window in maintenance]
    if twice := sorted({name for name in called if called.count(name) > 1}):
        raise RulesError(f"{where}: two maintenances are called {twice[0]!r}")


def _check_matcher(
    matcher: Matcher, receivers: tuple[str, ...], names: set[str], where: str
) -> None:
    if matcher.min_severity > matcher.max_severity:
        raise RulesError(f"{where}: `min_severity` is above `max_severity`")
    if unknown := [name for name in receivers if name not in names]:
        raise RulesError(f"{where}: there is no receiver called {unknown[0]!r}")


def _check_times(window: Maintenance, where: str) -> None:
    once = [window.start, window.end]
    weekly = [window.starts_at, window.ends_at]
    if None not in once and weekly == [None, None] and not window.days:
        if any(moment is None or moment.tzinfo is None for moment in once):
            raise RulesError(f"{where}: `start` and `end` need an offset: 2026-03-14T22:00:00Z")
        if window.start is None or window.end is None or window.start >= window.end:
            raise RulesError(f"{where}: `end` must be after `start`")
    elif None not in weekly and once == [None, None]:
        try:
            _weekly(window.starts_at or "", window.ends_at or "")
        except ValueError as error:
            raise RulesError(
                f"{where}: `from` and `to` are times of day (UTC), such as 22:00"
            ) from error
    else:
        raise RulesError(
            f"{where}: give `start` and `end`, or `from` and `to` with the `days` they are for"
        )


def _weekly(starts_at: str, ends_at: str) -> tuple[time, timedelta]:
    """When a day's window begins and how long it is; one that ends by then ends the day after."""
    begins, ends = (datetime.strptime(text, "%H:%M") for text in (starts_at, ends_at))  # noqa: DTZ007 - a time of day
    length = ends - begins
    return begins.time(), length if length > timedelta(0) else length + timedelta(days=1)
