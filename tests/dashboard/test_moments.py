"""A run at a moment of its own time: nothing of what came after may be in it."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.replays import moments
from store.alertlog import Alert
from store.buckets import Sums
from store.views import Bin

DAY = datetime(2026, 3, 9, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def alert(rule, fired, resolved=None):
    ended = None if resolved is None else DAY + resolved * HOUR
    return Alert("r", rule, "K", "topic", 5, 0.9, 20, DAY + fired * HOUR, ended)


@pytest.mark.parametrize(
    ("at", "then"),
    [
        (0.9, []),
        (1.0, [("a", None)]),
        (2.9, [("a", None), ("b", None)]),
        (3.0, [("a", DAY + 3 * HOUR), ("b", None)]),
        (9.0, [("a", DAY + 3 * HOUR), ("b", None)]),
    ],
)
def test_an_alert_is_known_from_its_firing_and_ended_from_its_end(at, then):
    alerts = [alert("a", 1, 3), alert("b", 2, 10)]
    found = moments.known(alerts, DAY + at * HOUR)
    assert [(each.rule, each.resolved_at) for each in found] == then


def test_changes_come_the_latest_first_and_lead_from_one_to_the_next():
    every = moments.changes([alert("a", 1, 3), alert("b", 2)])
    assert [(change.alert.rule, change.fired) for change in every] == [
        ("a", False),
        ("b", True),
        ("a", True),
    ]
    assert moments.next_change(every, DAY + HOUR) == DAY + 2 * HOUR
    assert moments.change_before(every, DAY + HOUR) is None
    assert moments.next_change(every, DAY + 3 * HOUR) is None
    assert moments.change_before(every, DAY + 3 * HOUR) == DAY + 2 * HOUR


@pytest.mark.parametrize(
    ("length", "frame"),
    [
        (timedelta(0), MINUTE),
        (6 * HOUR, MINUTE),
        (6 * HOUR + MINUTE, 5 * MINUTE),
        (72 * HOUR, 5 * MINUTE),
        (97 * HOUR, 15 * MINUTE),
        (timedelta(days=30), HOUR),
        (timedelta(days=365), 6 * HOUR),
        (timedelta(days=900), timedelta(days=1)),
    ],
)
def test_a_reel_holds_the_whole_run_in_a_few_thousand_frames(length, frame):
    first = DAY + 7 * MINUTE
    reel = moments.make_reel(first, first + length - MINUTE if length else first)
    assert reel.frame == frame
    assert reel.start <= first < reel.end
    assert reel.end >= first + length
    assert (reel.end - reel.start) % frame == timedelta(0)
    assert (reel.end - reel.start) / frame < 3000
    assert reel.at(reel.end) == reel.end


def test_a_reel_has_no_moment_outside_itself_or_between_frames():
    reel = moments.make_reel(DAY, DAY + 71 * HOUR)
    assert reel.at(DAY - HOUR) == reel.start
    assert reel.at(DAY + 999 * HOUR) == reel.end
    assert reel.at(DAY + 7 * MINUTE) == DAY + 5 * MINUTE
    assert reel.after(DAY, 1.0, "900") == DAY + 15 * MINUTE
    assert reel.after(DAY, 0.001, "300") == DAY + 5 * MINUTE
    assert reel.after(reel.end - MINUTE, 1.0, "86400") == reel.end


@pytest.mark.parametrize(
    ("days", "speed"), [(0.1, "300"), (3, "3600"), (30, "86400"), (999, "86400")]
)
def test_the_usual_speed_plays_a_run_in_about_a_minute(days, speed):
    assert moments.make_reel(DAY, DAY + timedelta(days=days)).usual_speed() == speed


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "<b>", "2026-03-09T99:00"])
def test_a_link_that_names_no_moment_is_none(text):
    assert moments.read_moment(text) is None


def test_a_moment_survives_its_link():
    at = DAY + 14.5 * HOUR
    assert moments.read_moment(moments.write_moment(at)) == at
    assert moments.read_moment("2026-03-09T16:30+02:00") == at
    assert moments.read_moment("2026-03-09T14:30") == at


@pytest.mark.parametrize(
    ("minutes", "size", "whole", "hour"),
    [
        (60, HOUR, 60, 60),
        (119, HOUR, 60, 60),
        (119, 15 * MINUTE, 105, 105),
        (120, 15 * MINUTE, 120, 120),
        (500, 6 * HOUR, 360, 480),
        (360, 6 * HOUR, 360, 360),
        (25 * 60 + 1, 24 * HOUR, 24 * 60, 25 * 60),
    ],
)
def test_whole_bins_and_then_whole_hours_end_before_the_moment(minutes, size, whole, hour):
    found = moments.edges(DAY + minutes * MINUTE, size)
    assert found == (DAY + whole * MINUTE, DAY + hour * MINUTE)


def test_a_bin_that_had_not_ended_is_not_whole():
    bins = [Bin("a", DAY, Sums(1)), Bin("a", DAY + HOUR, Sums(2))]
    assert moments.cut(bins, DAY + 2 * HOUR - MINUTE, HOUR) == bins[:1]
    assert moments.cut(bins, DAY + 2 * HOUR, HOUR) == bins


def test_what_is_left_makes_one_bin_a_key():
    bins = [Bin("b", DAY, Sums(1, 1)), Bin("a", DAY, Sums(2)), Bin("b", DAY + HOUR, Sums(4))]
    assert moments.gather(bins, DAY) == [Bin("a", DAY, Sums(2)), Bin("b", DAY, Sums(5, 1))]
