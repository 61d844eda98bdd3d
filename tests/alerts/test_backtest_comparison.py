from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.backtest.comparison import (
    KnownEvent,
    KnownEventsError,
    compare,
    judge_firings,
    read_known_events,
)
from alerts.backtest.firings import Firing
from alerts.conditions.lifecycle import Reason, State
from store.alertlog import EventRow

START = datetime(2026, 3, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
UNTIL = START + 1000 * MINUTE


def at(minute):
    return START + minute * MINUTE


def firing(begin, end=None, key="K", rule="r", scope="topic"):
    event = EventRow(
        rule=rule, key=key, scope=scope, at=at(begin), previous=State.INACTIVE, state=State.FIRING,
        reason=Reason.BEYOND, severity=5, fired_at=at(begin), value=0.5, documents=20,
        window_start=at(begin - 30), window_end=at(begin),
    )  # fmt: skip
    return Firing(event, None if end is None else at(end), event.severity)


@pytest.mark.parametrize(
    ("new", "old", "shared"),
    [
        (firing(10, 20), firing(10, 20, rule="other"), True),
        (firing(10, 20), firing(20, 30), True),
        (firing(10, 20), firing(21, 30), False),
        (firing(10, 20), firing(0, 9), False),
        (firing(10, 20), firing(0, 10), True),
        (firing(10, 20), firing(10, 20, key="L"), False),
        (firing(10, 20), firing(10, 20, scope="symbol"), False),
        (firing(10), firing(999), True),
        (firing(10), firing(1000), True),
        (firing(10, 20), firing(0), True),
    ],
)
def test_the_same_alarm_is_of_one_subject_and_overlaps(new, old, shared):
    found = compare([new], [old], UNTIL)

    assert found.shared == ([new] if shared else [])
    assert (found.added, found.gone) == (([], []) if shared else ([new], [old]))


def test_one_long_alarm_covers_several_short_ones():
    long, short = firing(0, 100), [firing(10, 20), firing(30, 40), firing(200, 210)]

    found = compare(short, [long], UNTIL)

    assert (found.shared, found.added, found.gone) == (short[:2], short[2:], [])


_SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.sampled_from("KL")))


@given(_SPANS, _SPANS)
def test_every_firing_is_on_one_side_and_swapping_swaps(new, old):
    here, there = (
        [firing(begin, begin + length, key) for begin, length, key in side] for side in (new, old)
    )
    forth, back = compare(here, there, UNTIL), compare(there, here, UNTIL)

    assert len(forth.added) + len(forth.shared) == len(here)
    assert (list(forth.added), list(forth.gone)) == (list(back.gone), list(back.added))


@pytest.mark.parametrize(
    ("begun", "hit"), [(89, False), (90, True), (100, True), (110, True), (120, True), (121, False)]
)
def test_a_firing_belongs_to_an_event_from_before_its_start_to_after_its_end(begun, hit):
    event = KnownEvent(at(100), at(110))
    one = firing(begun, begun + 5)

    found = judge_firings([one], [event], early=10 * MINUTE, late=10 * MINUTE)

    assert (found.precision, found.recall) == ((1.0, 1.0) if hit else (0.0, 0.0))
    assert found.median_delay == ((begun - 100) * MINUTE if hit else None)


def test_only_the_first_firing_is_the_finding_and_the_others_are_not_false():
    event = KnownEvent(at(100), at(200), "K", "the scare")
    first, second, elsewhere = firing(120, 130), firing(150, 160), firing(125, 130, "L")

    found = judge_firings([second, elsewhere, first], [event])

    assert [finding.firing for finding in found.found] == [first]
    assert (found.true, found.false) == ([first, second], [elsewhere])
    assert found.precision == pytest.approx(2 / 3)


def test_without_firings_or_events_nothing_is_claimed():
    assert judge_firings([], [KnownEvent(at(0), at(1))]).precision is None
    assert judge_firings([firing(0, 1)], []).recall is None
    assert judge_firings([], []).median_delay is None


def test_known_events_are_read_from_a_table(tmp_path):
    path = tmp_path / "known.csv"
    path.write_text(
        "start,end,key,name\n2026-03-09T10:00:00+01:00,2026-03-09T12:00:00Z,K,a\n2026-03-10,,,\n"
    )

    assert read_known_events(path) == [
        KnownEvent(at(9 * 60), at(12 * 60), "K", "a"), KnownEvent(at(24 * 60), at(24 * 60)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("when\n2026-03-09\n", "no column `start`"),
        ("", "no column `start`"),
        ("start\nyesterday\n", ":2: `start` is no time"),
        ("start,end\n2026-03-09,2026-03-08\n", ":2: `end` is before `start`"),
        ("key,start\nK\n", ":2: `start` is no time"),
    ],
)
def test_a_bad_table_is_told_with_its_line(tmp_path, content, said):
    path = tmp_path / "known.csv"
    path.write_text(content)

    with pytest.raises(KnownEventsError, match=said):
        read_known_events(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(KnownEventsError, match="cannot read the known events of"):
        read_known_events(tmp_path / "none.csv")
