from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.conditions import spiking
from alerts.conditions.finders import Past
from alerts.conditions.histories import History
from alerts.conditions.spiking import SpikeFinder
from alerts.conditions.windows import MINUTE, Series, minute_of, moment_of
from alerts.evaluation.evaluating import evaluate
from alerts.rules.kinds import SpikeRule
from alerts.rules.rule import Metric, NoData
from store.buckets import Sums
from store.minutes import Minutes

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def rule(**fields):
    return SpikeRule(**{"name": "r", "keys": ("K",), "no_data": NoData.OK, "every": HOUR, **fields})


def history(counts):
    """Of {minute since the start: (documents, negative)}."""
    first = minute_of(START)
    starts = np.array([first + minute for minute in sorted(counts)], np.int64)
    rows = np.array([counts[m] for m in sorted(counts)], np.int64).reshape(-1, 2)
    documents, negative = rows.T
    return History(Minutes(starts, documents, negative, documents - negative, 0 * negative,
                           -negative))  # fmt: skip


def hourly(days, of_hour):
    """A document count for the first minute of each hour: ``of_hour(day, hour)``."""
    pairs = {(d * 24 + h) * 60: of_hour(d, h) for d in range(days) for h in range(24)}
    return {minute: pair for minute, pair in pairs.items() if pair[0]}


def busy_at_nine(day, hour):
    """Forty negative of a hundred at nine, six of twenty else; a little unrest."""
    unrest = (day * 7 + hour * 3) % 5 - 2
    return (100, 40 + unrest) if hour == 9 else (20, 6 + unrest)


def fired(judged, counts, days, began=START):
    found = evaluate(
        judged, {"K": history(counts)}, {}, START, START + days * DAY, Past(began=began)
    )
    return [event for event in found.events if event.state == "firing"]


def at(day, hour):
    return START + day * DAY + hour * HOUR


def test_what_comes_each_day_is_usual_and_the_same_at_another_hour_is_a_spike():
    counts = hourly(35, busy_at_nine)
    counts[(30 * 24 + 15) * 60] = (100, 41)

    (event,) = fired(rule(), counts, 35)

    assert (event.at, event.value, event.documents) == (at(30, 16), 41.0, 100)
    assert event.severity > 5


def test_a_spike_ends_when_its_window_is_usual_again():
    counts = hourly(31, busy_at_nine)
    counts[(30 * 24 + 15) * 60] = (100, 41)

    found = evaluate(rule(), {"K": history(counts)}, {}, START, START + 31 * DAY, Past(began=START))

    assert [(e.state, e.at) for e in found.events] == [
        ("firing", at(30, 16)), ("resolved", at(30, 17))]  # fmt: skip
    assert found.events[0].severity == found.events[1].severity


def test_a_weekday_that_differs_each_time_is_usual_on_that_weekday():
    def thursdays(day, hour):
        return (90, 60) if hour == 12 and day % 7 == 3 else busy_at_nine(day, hour)

    counts = hourly(42, thursdays)
    counts[(37 * 24 + 12) * 60] = (90, 60)  # a Wednesday

    assert [event.at for event in fired(rule(), counts, 42) if event.at > at(29, 0)] == [at(37, 13)]


def test_a_lasting_shift_is_told_and_usual_within_a_day():
    def tripled(day, hour):
        documents, negative = busy_at_nine(day, hour)
        return (3 * documents, 3 * negative) if day >= 30 else (documents, negative)

    events = fired(rule(), hourly(36, tripled), 36)

    assert events[0].at < at(30, 3)
    assert events[-1].at < at(31, 1)


def test_the_return_from_an_outage_is_no_spike():
    def away(day, hour):
        return (0, 0) if day in {28, 29} else busy_at_nine(day, hour)

    assert fired(rule(), hourly(33, away), 33) == []


def test_shares_are_held_against_shares_and_more_of_the_same_is_no_spike():
    counts = hourly(35, busy_at_nine)
    counts[(30 * 24 + 15) * 60] = (400, 125)
    counts[(31 * 24 + 15) * 60] = (20, 17)

    (event,) = fired(rule(metric=Metric.NEGATIVE_SHARE), counts, 35)

    assert (event.at, event.value) == (at(31, 16), 0.85)


def test_a_rate_of_which_nobody_is_surprised_does_not_fire_by_its_minimum_band_alone():
    counts = hourly(35, lambda d, h: (40, 20 + 8 * ((d * 5 + h * 11) % 3 - 1)))

    assert fired(rule(min_band=0.0), counts, 35) == []


def test_nothing_is_judged_while_history_is_short_and_an_empty_past_is_no_short_one():
    counts = dict.fromkeys(range(0, 3 * 24 * 60, 600), (30, 30))
    burst = {(10 * 24 + 5) * 60: (30, 30)}

    assert fired(rule(), counts, 3) == []
    assert [e.at for e in fired(rule(), burst, 12)] == [at(10, 6)]
    assert fired(rule(), burst, 12, began=START + 5 * DAY) == []


@pytest.mark.parametrize(
    ("days", "condition"), [(7 * DAY, "clear"), (7 * DAY - MINUTE, "learning")]
)
def test_seven_days_before_the_window_are_enough(days, condition):
    counts = hourly(9, busy_at_nine)
    end = START + 8 * DAY + 2 * HOUR
    began = end - HOUR - days
    finder = SpikeFinder(
        rule(), history(counts), history(counts), np.array([minute_of(end)]), began
    )

    assert finder.find(end).condition == condition


@pytest.mark.parametrize(("documents", "fires"), [(10, True), (9, False)])
def test_a_window_of_few_documents_is_not_judged(documents, fires):
    assert bool(fired(rule(), {(10 * 24 + 5) * 60: (documents, documents)}, 12)) is fires


@pytest.mark.parametrize(("band", "fires"), [(29.0, True), (30.0, False)])
def test_a_spike_must_lie_above_the_minimum_band(band, fires):
    burst = {(10 * 24 + 5) * 60: (30, 30)}

    assert bool(fired(rule(min_band=band), burst, 12)) is fires


def test_the_card_of_a_spike_has_its_baseline_its_band_and_its_surprise():
    counts = hourly(31, busy_at_nine)
    counts[(30 * 24 + 15) * 60] = (100, 41)

    found = evaluate(rule(), {"K": history(counts)}, {}, START, START + 31 * DAY, Past(began=START))

    usual = found.windows["r", "K", at(30, 16)].usual
    assert 5 < usual.baseline < 8
    assert usual.baseline < usual.upper < 41
    assert usual.surprise >= 5


def test_the_severity_written_in_a_rule_goes_first():
    counts = {(10 * 24 + 5) * 60: (30, 30)}

    assert [e.severity for e in fired(rule(severity=2), counts, 12)] == [2]


@pytest.mark.parametrize(
    ("told", "states"),
    [
        ([2], []),
        ([3], ["firing", "resolved"]),
        ([2, 3], ["firing", "resolved"]),
        ([3, 1], ["firing", "resolved"]),
    ],
)
def test_a_firing_needs_texts_to_begin_and_not_to_go_on(told, states):
    counts = {(10 * 24 + 5) * 60 + 60 * hour: (30, 30) for hour in range(2)}
    asked = []

    def texts(_rule, key, end):
        asked.append((key, end))
        return told[min(len(asked), len(told)) - 1]

    past = Past(began=START, texts=texts)
    found = evaluate(rule(), {"K": history(counts)}, {}, START, START + 12 * DAY, past)

    assert [event.state for event in found.events] == states
    firing = [event.at for event in found.events if event.state == "firing"]
    assert firing == (
        [at(10, 5 + min(i for i, n in enumerate(told, 1) if n >= 3))] if states else []
    )
    assert asked[0] == ("K", at(10, 6))
    assert len(asked) == (told.index(3) + 1 if states else 2)


@pytest.mark.parametrize(("texts", "grows"), [(3, True), (2, False)])
def test_a_spike_that_goes_on_to_rise_is_graver_unless_it_is_one_text(texts, grows):
    first, then = (10 * 24 + 5) * 60, (10 * 24 + 6) * 60
    counts = hourly(12, busy_at_nine) | {first: (60, 26), then: (400, 390)}
    past = Past(began=START, texts=lambda _rule, _key, end: 3 if end == at(10, 6) else texts)

    found = evaluate(rule(), {"K": history(counts)}, {}, START, START + 12 * DAY, past)

    story = [(e.at, e.previous, e.state, e.reason) for e in found.events]
    begun = (at(10, 6), "inactive", "firing", "beyond_threshold")
    grown = (at(10, 7), "firing", "firing", "graver")
    ended = (at(10, 8), "firing", "resolved", "cleared")
    assert story == ([begun, grown, ended] if grows else [begun, ended])
    severities = [event.severity for event in found.events]
    assert severities == sorted(severities)
    if grows:
        assert severities[1] >= severities[0] + 2
        assert {event.fired_at for event in found.events} == {at(10, 6)}
        assert found.windows["r", "K", at(10, 7)].sums.documents == 400


def busy(seed):
    """40 days of a key that has documents in one minute of five, with a course of the day,
    unrest and a few bursts."""
    chance = np.random.default_rng(seed)
    minutes = np.flatnonzero(chance.random(40 * 24 * 60) < 0.2)
    usual = chance.choice([2, 5]) * (1 + 0.8 * np.sin(minutes / 1440 * 2 * np.pi))
    unrest = chance.choice([0.01, 0.5, 2.0])
    counts = usual * chance.gamma(1 / unrest, unrest, len(minutes))
    documents = np.maximum(chance.poisson(counts), 1)
    negative = chance.binomial(documents, chance.choice([0.05, 0.3, 0.6]))
    for start in chance.integers(0, 40 * 24 * 60, 4):
        burst = (minutes >= start) & (minutes < start + chance.integers(20, 300))
        documents[burst] *= chance.integers(1, 6)
        negative[burst] = documents[burst]
    rows = zip(documents.tolist(), negative.tolist(), strict=True)
    return history(dict(zip(minutes.tolist(), rows, strict=True)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("metric", [Metric.NEGATIVE_COUNT, Metric.NEGATIVE_SHARE, Metric.DOCUMENTS])
def test_what_is_ruled_out_early_is_no_spike(monkeypatch, seed, metric):
    counts, past = {"K": busy(seed)}, Past(began=START)
    judged = rule(
        metric=metric, threshold=2.0 + seed / 2, min_documents=2, min_band=0.0,
        window=(15, 60, 360)[seed % 3] * MINUTE, min_history=3 * DAY,
    )  # fmt: skip
    found = evaluate(judged, counts, {}, START, START + 40 * DAY, past)

    monkeypatch.setattr(spiking, "_NO_CHANCE", float("inf"))
    assert found.events == evaluate(judged, counts, {}, START, START + 40 * DAY, past).events
    assert found.events


COUNTS = st.dictionaries(
    st.integers(0, 16 * 24 * 4 - 1).map(lambda quarter: quarter * 15),
    st.integers(1, 40).flatmap(lambda d: st.tuples(st.just(d), st.integers(0, d))),
    min_size=5,
    max_size=200,
)


@settings(max_examples=60, deadline=None)
@given(
    counts=COUNTS,
    metric=st.sampled_from([Metric.NEGATIVE_COUNT, Metric.NEGATIVE_SHARE, Metric.DOCUMENTS]),
    cuts=st.lists(st.integers(1, 16 * 24), max_size=6, unique=True),
    threshold=st.sampled_from([1.0, 2.0, 4.0]),
)
def test_it_says_the_same_at_once_in_steps_and_point_by_point(counts, metric, cuts, threshold):
    judged = rule(
        metric=metric, threshold=threshold, every=30 * MINUTE, min_history=2 * DAY,
        min_documents=2, min_band=0.0,
    )  # fmt: skip
    whole, past = history(counts), Past(began=START)
    end = START + 16 * DAY
    at_once = evaluate(judged, {"K": whole}, {}, START, end, past)

    series = Series(
        [(moment_of(m + minute_of(START)), Sums(d, n, d - n, 0, -n))
         for m, (d, n) in sorted(counts.items())]
    )  # fmt: skip
    events, standings, after = [], {}, START
    for until in [*(START + cut * HOUR for cut in sorted(cuts)), end]:
        step = evaluate(judged, {"K": series}, standings, after, until, past)
        events, standings, after = [*events, *step.events], step.standings, until
    assert events == at_once.events

    points = np.arange(minute_of(START) + 30, minute_of(end) + 1, 30)
    one_by_one = SpikeFinder(judged, series, series, points, START)
    batch = SpikeFinder(judged, whole, whole, points, START)
    met = [p for p in points if one_by_one.find(moment_of(p)).condition == "met"]
    following, found = batch.next_met(START), []
    while following is not None:
        found.append(minute_of(following))
        following = batch.next_met(following + MINUTE)
    assert found == met
