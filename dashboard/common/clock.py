"""Times as the reader sees them: in the zone that the page is drawn for, and in UTC beside it.

What goes into links and files stays in UTC. A time of day alone is ambiguous where clocks are put
back, so whatever names its zone names its offset: ``9 Mar 15:05 UTC+1``.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.common.plain import DASH
from dashboard.common.preferences import UTC_ZONE, preferences
from dashboard.common.words import say


def in_zone(at: datetime) -> datetime:
    """The same moment, in the reader's zone."""
    return at.astimezone(preferences().zone)


def on_the_clock(at: datetime | None) -> datetime | None:
    """What the reader's clock shows at a moment, as fields for a time take it."""
    return None if at is None else in_zone(at).replace(tzinfo=None, fold=0)


def from_the_clock(shown: datetime) -> datetime:
    """The moment at which the reader's clock shows this; the first where it does so twice."""
    return shown.replace(tzinfo=preferences().zone).astimezone(UTC)


def is_utc() -> bool:
    """Whether the reader sees times in UTC."""
    return preferences().zone is UTC_ZONE


def place(zone: ZoneInfo | None = None) -> str:
    """A zone as it is called in short: ``New York``, ``UTC``; by default the reader's."""
    key = (zone or preferences().zone).key
    return key.rpartition("/")[2].replace("_", " ")


def zone_at(at: datetime) -> str:
    """The reader's zone with its offset at a moment: ``Berlin, UTC+1``; or ``UTC``."""
    return "UTC" if is_utc() else f"{place()}, {_offset(in_zone(at))}"


def moment(at: datetime) -> str:
    """A moment of event time: ``9 Mar 14:05``. Whoever shows it says the zone elsewhere."""
    return _moment(in_zone(at))


def zoned(at: datetime) -> str:
    """A moment with its zone: ``9 Mar 14:05 UTC``."""
    local = in_zone(at)
    return f"{_moment(local)} {_offset(local)}"


def dated(at: datetime) -> str:
    """A moment with its year and zone: ``9 Mar 2026 14:05 UTC``."""
    local = in_zone(at)
    return say("{at.day} {at:%b %Y %H:%M} {offset}", at=local, offset=_offset(local))


def both(at: datetime) -> str:
    """A moment for a tooltip: in the reader's zone, and in UTC where that is another."""
    return zoned(at) if is_utc() else f"{zoned(at)} ({in_utc(at)})"


def in_utc(at: datetime) -> str:
    """A moment in UTC, whatever the reader's zone is."""
    return f"{_moment(at.astimezone(UTC))} UTC"


def interval(start: datetime, end: datetime) -> str:
    """From when to when: the day is said once where it is the same."""
    return _interval(in_zone(start), in_zone(end))


def zoned_interval(start: datetime, end: datetime) -> str:
    """From when to when with the zone; both offsets where clocks are changed between."""
    first, last = in_zone(start), in_zone(end)
    if _offset(first) != _offset(last):
        return f"{zoned(start)} {DASH} {zoned(end)}"
    return f"{_interval(first, last)} {_offset(first)}"


def both_intervals(start: datetime, end: datetime) -> str:
    """From when to when for a tooltip: in the reader's zone, and in UTC where that is another."""
    said = zoned_interval(start, end)
    if is_utc():
        return said
    return f"{said} ({_interval(start.astimezone(UTC), end.astimezone(UTC))} UTC)"


def lasting(duration: timedelta) -> str:
    """A duration in its two largest units: ``2 h 10 min``."""
    minutes = max(0, round(duration.total_seconds() / 60))
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    told = [
        say("{days} d", days=days) if days else "",
        say("{hours} h", hours=hours) if hours else "",
        say("{minutes} min", minutes=minutes) if minutes else "",
    ]
    return " ".join([part for part in told if part][:2]) or say("under a minute")


def times(name: str, width: int = 135, *, seconds: bool = False) -> ColumnConfig:
    """A table's column of moments: its head names the zone, and on hover the offset from UTC."""
    zone = preferences().zone
    return st.column_config.DatetimeColumn(
        f"{name} ({place()})",
        format=say("D MMM YYYY HH:mm:ss") if seconds else say("D MMM YYYY HH:mm"),
        timezone=zone.key,
        width=width,
        help=None if is_utc() else f"{zone.key}: {_offsets(zone)}",
    )


def _moment(local: datetime) -> str:
    return f"{_day(local)} {local:%H:%M}"


def _day(at: date) -> str:
    return say("{at.day} {at:%b}", at=at)


def _interval(start: datetime, end: datetime) -> str:
    midnight = time()
    if start.date() < end.date() and start.time() == end.time() == midnight:
        last = end.date() - timedelta(days=1)
        first = _day(start)
        return first if last == start.date() else f"{first} {DASH} {_day(last)}"
    if start.date() == end.date():
        return f"{_moment(start)}{DASH}{end:%H:%M}"
    return f"{_moment(start)} {DASH} {_moment(end)}"


def _offset(local: datetime) -> str:
    """``UTC``, or what a zone is ahead of it: ``UTC+5:30``."""
    if local.tzinfo is UTC_ZONE:
        return "UTC"
    minutes = round((local.utcoffset() or timedelta()).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")


def _offsets(zone: ZoneInfo) -> str:
    """Its offset, or both where it puts its clocks forward in summer."""
    year = datetime.now(UTC).year
    found = [datetime(year, month, 1, tzinfo=zone) for month in (1, 7)]
    found.sort(key=lambda local: local.utcoffset() or timedelta())
    winter, summer = (_offset(local) for local in found)
    return (
        winter
        if winter == summer
        else say("{winter}, {summer} in summer", winter=winter, summer=summer)
    )
