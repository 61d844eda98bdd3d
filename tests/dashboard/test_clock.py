"""Times as the reader sees them, on both sides of the days on which clocks are changed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from dashboard.common import charts, clock
from dashboard.common.clock import (
    both,
    both_intervals,
    dated,
    interval,
    lasting,
    moment,
    zoned_interval,
)
from dashboard.common.preferences import Preferences

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPRING, AUTUMN = datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)
"""When Berlin puts its clocks forward from 2:00 to 3:00, and back from 3:00 to 2:00."""


@pytest.fixture
def live_in(monkeypatch):
    """Have the reader be somewhere."""

    def lives(zone, language="en"):
        there = Preferences(ZoneInfo(zone), language)
        monkeypatch.setattr(clock, "preferences", lambda: there)
        monkeypatch.setattr(charts, "preferences", lambda: there)

    return lives


@pytest.mark.parametrize(
    ("start", "length", "shown"),
    [
        (NOON, HOUR, "9 Mar 12:00\u201313:00"),
        (NOON, 12 * HOUR, "9 Mar 12:00 \u2013 10 Mar 00:00"),
        (NOON - 12 * HOUR, 24 * HOUR, "9 Mar"),
        (NOON - 12 * HOUR, 72 * HOUR, "9 Mar \u2013 11 Mar"),
        (NOON - 12 * HOUR, 36 * HOUR, "9 Mar 00:00 \u2013 10 Mar 12:00"),
    ],
)
def test_an_interval_says_no_more_than_it_must(start, length, shown):
    assert interval(start, start + length) == shown


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [(0, "under a minute"), (5, "5 min"), (60, "1 h"), (130, "2 h 10 min"), (1501, "1 d 1 h")],
)
def test_a_duration_is_told_in_two_units(minutes, shown):
    assert lasting(timedelta(minutes=minutes)) == shown


def test_without_a_browser_times_are_in_utc():
    assert moment(NOON) == "9 Mar 12:00"
    assert dated(NOON) == both(NOON).replace("Mar", "Mar 2026") == "9 Mar 2026 12:00 UTC"
    assert both_intervals(NOON, NOON + HOUR) == "9 Mar 12:00\u201313:00 UTC"


@pytest.mark.parametrize(
    ("zone", "at", "shown"),
    [
        ("Europe/Berlin", SPRING - HOUR / 60, "29 Mar 2026 01:59 UTC+1"),
        ("Europe/Berlin", SPRING, "29 Mar 2026 03:00 UTC+2"),
        ("Europe/Berlin", AUTUMN - HOUR / 60, "25 Oct 2026 02:59 UTC+2"),
        ("Europe/Berlin", AUTUMN, "25 Oct 2026 02:00 UTC+1"),
        ("America/New_York", NOON - 12 * HOUR, "8 Mar 2026 20:00 UTC-4"),
        ("Asia/Kolkata", NOON, "9 Mar 2026 17:30 UTC+5:30"),
        ("Europe/London", NOON, "9 Mar 2026 12:00 UTC+0"),
    ],
)
def test_a_moment_is_told_in_the_readers_zone_with_its_offset(live_in, zone, at, shown):
    live_in(zone)
    assert dated(at) == shown


def test_a_tooltip_says_utc_beside_the_readers_time(live_in):
    live_in("Asia/Shanghai")
    night = NOON + 6 * HOUR
    assert both(night) == "10 Mar 02:00 UTC+8 (9 Mar 18:00 UTC)"
    assert both_intervals(night, night + HOUR) == (
        "10 Mar 02:00\u201303:00 UTC+8 (9 Mar 18:00\u201319:00 UTC)"
    )


def test_an_interval_over_a_change_of_clocks_names_both_offsets(live_in):
    live_in("Europe/Berlin")
    assert zoned_interval(AUTUMN - HOUR, AUTUMN) == ("25 Oct 02:00 UTC+2 \u2013 25 Oct 02:00 UTC+1")
    assert zoned_interval(SPRING, SPRING + HOUR) == "29 Mar 03:00\u201304:00 UTC+2"


def test_a_day_of_utc_is_no_day_elsewhere_and_a_day_of_23_hours_is_one(live_in):
    live_in("Europe/Berlin")
    day = NOON - 12 * HOUR
    assert interval(day, day + 24 * HOUR) == "9 Mar 01:00 \u2013 10 Mar 01:00"
    assert interval(SPRING - 2 * HOUR, SPRING + 21 * HOUR) == "29 Mar"


@pytest.mark.parametrize(("change", "wall"), [(SPRING, "01:30"), (AUTUMN, "02:30")])
def test_what_is_typed_is_the_readers_time(live_in, change, wall):
    live_in("Europe/Berlin")
    shown = clock.on_the_clock(change - HOUR / 2)
    assert f"{shown:%H:%M}" == wall
    assert clock.from_the_clock(shown) == change - HOUR / 2


def test_a_column_names_its_zone_and_says_the_offsets(live_in):
    assert clock.times("Time")["label"] == "Time (UTC)"
    assert clock.times("Time")["help"] is None
    live_in("America/New_York")
    column = clock.times("Time")
    assert column["label"] == "Time (New York)"
    assert column["help"] == "America/New_York: UTC-5, UTC-4 in summer"
    assert column["type_config"]["timezone"] == "America/New_York"


@pytest.mark.parametrize("change", [SPRING, AUTUMN])
def test_ticks_stand_on_round_times_of_the_readers_clock(live_in, change):
    live_in("Europe/Berlin")
    start, end = change - 36 * HOUR, change + 36 * HOUR
    ticks = charts._ticks(start, end)
    assert {clock.in_zone(at).hour % 6 for at in ticks} == {0}
    assert all(start <= at < end for at in ticks)
    apart = {second - first for first, second in pairwise(ticks)}
    odd = 5 * HOUR if change == SPRING else 7 * HOUR
    assert apart == {6 * HOUR, odd}


def test_the_hour_that_is_left_out_is_no_tick_and_none_comes_twice(live_in):
    live_in("Europe/Berlin")
    ticks = charts._ticks(SPRING - 3 * HOUR, SPRING + 3 * HOUR)
    assert len(ticks) == len(set(ticks))
    assert [f"{clock.in_zone(at):%H:%M}" for at in ticks if at >= SPRING - HOUR / 2] == [
        "01:30", "03:00", "03:30", "04:00", "04:30", "05:00", "05:30",
    ]  # fmt: skip


def test_an_axis_is_made_anew_for_another_zone(live_in):
    from dashboard.common.theme import LIGHT  # noqa: PLC0415
    from dashboard.system import rates  # noqa: PLC0415

    utc = rates._chart(NOON, NOON + 24 * HOUR, LIGHT)
    live_in("Asia/Kolkata")
    there = rates._chart(NOON, NOON + 24 * HOUR, LIGHT)
    assert "utcFormat" in str(utc)
    assert "timeFormat" in str(there)
    assert "utcFormat" not in str(there)
