from datetime import UTC, datetime, timedelta

import pytest

from alerts.backtest.firings import WEEK, Load, firings, loads
from alerts.conditions.lifecycle import Reason, State
from store.alertlog import EventRow

START = datetime(2026, 3, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(minute):
    return START + minute * MINUTE


def event(minute, state, fired=None, key="K", rule="r"):
    return EventRow(
        rule=rule, key=key, scope="topic", at=at(minute), previous=State.INACTIVE, state=state,
        reason=Reason.BEYOND, severity=5, fired_at=None if fired is None else at(fired), value=0.5,
        documents=20, window_start=at(minute - 30), window_end=at(minute),
    )  # fmt: skip


def spans(events):
    return [(f.rule, f.first.key, f.fired_at, f.resolved_at) for f in firings(events)]


def test_a_firing_goes_from_its_beginning_to_its_end():
    events = [event(0, "pending"), event(5, "firing", 5), event(40, "resolved", 5)]

    assert spans(events) == [("r", "K", at(5), at(40))]


def test_each_rule_and_key_has_firings_of_its_own_the_oldest_first():
    events = [
        event(5, "firing", 5), event(6, "firing", 6, key="L"), event(6, "firing", 6, rule="a"),
        event(9, "resolved", 6, key="L"), event(9, "resolved", 5), event(20, "firing", 20),
        event(30, "resolved", 20),
    ]  # fmt: skip

    assert spans(events) == [
        ("r", "K", at(5), at(9)), ("a", "K", at(6), None), ("r", "L", at(6), at(9)),
        ("r", "K", at(20), at(30)),
    ]  # fmt: skip


def test_what_lasts_has_no_end_and_counts_to_the_end_of_the_span():
    [firing] = firings([event(5, "firing", 5)])

    assert firing.resolved_at is None
    assert firing.lasted(at(65)) == 60 * MINUTE
    assert firing.lasted(at(0)) == timedelta(0)


def test_a_firing_that_comes_back_from_elsewhere_is_the_same_one():
    events = [
        event(5, "firing", 5), event(10, "recovering", 5), event(15, "firing", 5),
        event(20, "no_data", 5), event(25, "firing", 5), event(30, "resolved", 5),
    ]  # fmt: skip

    assert spans(events) == [("r", "K", at(5), at(30))]


def test_no_firing_that_began_before_the_events():
    assert spans([event(10, "firing", 5), event(15, "resolved", 5)]) == []


@pytest.mark.parametrize(("weeks", "per_week", "minutes"), [(1, 2, 45.0), (2, 1, 22.5)])
def test_a_load_is_counted_by_the_week(weeks, per_week, minutes):
    events = [
        event(0, "firing", 0), event(30, "resolved", 0), event(60, "firing", 60),
        event(75, "resolved", 60), event(80, "firing", 80, key="L"),
        event(81, "resolved", 80, key="L"),
    ]  # fmt: skip

    found = loads(firings(events), START, START + weeks * WEEK)

    assert found == [
        Load("r", "K", 2, per_week, minutes), Load("r", "L", 1, 1 / weeks, 1 / weeks),
    ]  # fmt: skip
