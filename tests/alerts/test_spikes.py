"""The detector on series that are drawn here: when it alerts, why, and what it never does."""

import math
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.spikes import Detector, Kind, Parameters, Reason, Sides, SpikeError
from alerts.spikes.families import BetaBinomial

BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
STEP = timedelta(minutes=5)
DAY = 288
ROWS = 5 * DAY
AT = 4 * DAY + 60
"""Where something happens."""


def judged(values, totals=None, step=STEP, **parameters):
    detector = Detector(step, Parameters(**parameters))
    totals = totals if totals is not None else [None] * len(values)
    return [
        detector.update(BEGAN + i * step, value, total)
        for i, (value, total) in enumerate(zip(values, totals, strict=True))
    ]


def alerting(verdicts):
    return [i for i, verdict in enumerate(verdicts) if verdict.alert]


def poisson(mean=40.0, rows=ROWS, seed=1):
    return np.random.default_rng(seed).poisson(mean, rows).astype(float)


def rhythmic(seed=2):
    hours = np.arange(ROWS) / 12
    return 50 + 10 * np.sin(2 * np.pi * hours / 24) + np.random.default_rng(seed).normal(0, 2, ROWS)


def shares(seed=3):
    chance = np.random.default_rng(seed)
    totals = chance.poisson(60, ROWS)
    return chance.binomial(totals, 0.25).astype(float), [int(total) for total in totals]


def changed(values, rows, change):
    values = values.copy()
    values[AT : AT + rows] = change(values[AT : AT + rows])
    return values


@pytest.mark.parametrize("values", [
    np.zeros(ROWS), np.full(ROWS, 7.0), np.full(ROWS, 0.37), np.full(ROWS, -2.5),
    poisson(), poisson(0.1), poisson(3000), rhythmic(),
], ids=["zeros", "sevens", "fractions", "negative", "counts", "few", "many", "rhythm"])  # fmt: skip
def test_calm_series_never_alert(values):
    assert alerting(judged(values)) == []


@pytest.mark.parametrize(("values", "rows", "change", "latest"), [
    (poisson(), 24, lambda was: was * 4, 0),
    (poisson(), 1, lambda was: was + 400, 0),
    (poisson(), 40, lambda was: was * 0, 1),
    (poisson(), ROWS, lambda was: was * 3, 0),
    (poisson(2), 24, lambda was: was + 12, 2),
    (poisson(0.1), 12, lambda was: was + 6, 2),
    (rhythmic(), 24, lambda was: was + 15, 3),
    (rhythmic(), 24, lambda was: was - 20, 3),
    (rhythmic(), ROWS, lambda was: was + 15, 3),
], ids=[
    "burst", "lone", "outage", "shift", "thin burst", "sparse burst", "real", "real drop",
    "real shift",
])  # fmt: skip
def test_one_event_is_one_alert_at_its_start(values, rows, change, latest):
    found = alerting(judged(changed(values, rows, change)))

    assert len(found) == 1
    assert AT <= found[0] <= AT + latest


def test_a_share_is_judged_by_its_total():
    counts, totals = shares()
    assert alerting(judged(counts, totals)) == []

    angry = changed(counts, 12, lambda was: np.round(0.7 * np.array(totals[AT : AT + 12])))
    assert [row - AT for row in alerting(judged(angry, totals))] in ([0], [1], [2])

    # Twice as many documents, and twice as many of them negative: nothing has changed.
    doubled = [2 * total if AT <= i < AT + 24 else total for i, total in enumerate(totals)]
    assert alerting(judged(changed(counts, 24, lambda was: was * 2), doubled)) == []


def test_a_share_that_is_expected_above_its_total_has_a_band():
    chance = random.Random(59)
    totals, counts = [], []
    for row in range(100):
        totals.append(chance.choice([0, 1, 2, 3, 5, 20, 200]))
        often = 0.2 if row % 97 < 90 else 0.95
        counts.append(sum(chance.random() < often for _ in range(totals[-1])))
    verdicts = judged(counts, totals, timedelta(hours=1), kind=Kind.SHARE)
    assert verdicts[95].baseline > totals[95]
    assert 0 <= verdicts[95].lower <= totals[95]


@given(st.floats(0.02, 500), st.integers(1, 200), st.floats(0.5, 6), st.floats(0, 0.5))
def test_the_floor_of_a_share_lies_within_it_whatever_is_expected(mean, total, surprise, wide):
    assert 0 <= BetaBinomial().floor(surprise, total, mean, wide) <= total


def test_few_documents_say_nothing_of_their_share():
    counts, totals = shares()
    counts[AT], totals[AT] = 9, 9
    assert judged(counts, totals, minimum_total=10, lone=0)[AT].score == 0
    assert judged(counts, totals, minimum_total=9, lone=0)[AT].score > 0.5


@pytest.mark.parametrize(("excess", "alerts"), [(0.001, []), (-0.001, [AT])])
def test_a_count_must_exceed_its_baseline_by_some_documents(excess, alerts):
    values = np.zeros(ROWS)
    values[AT] = 7
    # The baseline of nothing but zeros is a fiftieth of a document.
    assert alerting(judged(values, minimum_excess=7 - 0.02 + excess)) == alerts


@pytest.mark.parametrize(("sides", "alerts"), [
    (Sides.BOTH, [AT, AT + 170]), (Sides.UPPER, [AT]), (Sides.LOWER, [AT + 170]),
])  # fmt: skip
def test_the_sides_that_alert_can_be_chosen(sides, alerts):
    values = changed(poisson(), 12, lambda was: was * 6)
    values[AT + 170 : AT + 220] = 0

    assert alerting(judged(values, sides=sides)) == alerts


@pytest.mark.parametrize(("rows", "alerts"), [(2, []), (3, [AT + 2])])
def test_persistence_without_exception_waits_for_all_its_rows(rows, alerts):
    values = changed(poisson(), rows, lambda was: was * 0 + 400)
    # Windows of several rows would carry a lone row over: what counts is the row of now.
    values[AT + rows :] = 30

    assert alerting(judged(values, persistence=3, lone=math.inf)) == alerts


@pytest.mark.parametrize(("warm_up", "alerts"), [(AT, [AT]), (AT + 1, [])])
def test_nothing_alerts_while_it_warms_up(warm_up, alerts):
    values = changed(poisson(), 1, lambda was: was + 400)
    found = judged(values, warm_up=warm_up * STEP)

    assert alerting(found) == alerts
    assert {verdict.reason for verdict in found[:warm_up]} == {Reason.WARMING_UP}
    assert {verdict.score for verdict in found[:warm_up]} == {0}
    assert found[warm_up].reason is not Reason.WARMING_UP


@pytest.mark.parametrize(("hours", "second"), [(11, []), (13, [AT + 156])])
def test_a_second_burst_is_held_for_twelve_hours(hours, second):
    values = changed(poisson(), 1, lambda was: was * 0 + 160)
    values[AT + 12 * hours] = 161

    found = judged(values)

    assert alerting(found) == [AT, *second]
    assert found[AT + 12 * hours].reason is (Reason.BEYOND_BAND if second else Reason.HELD)
    assert found[AT + 12 * hours].severity >= 1


def test_a_faint_burst_is_told_by_its_windows():
    values = changed(poisson(), 24, lambda was: np.round(was * 1.7))
    found = judged(values)

    (row,) = alerting(found)
    assert AT <= row < AT + 12
    assert found[row].reason is Reason.SUSTAINED
    assert found[row].value <= found[row].upper


def test_after_a_shift_the_baseline_is_the_new_level_within_a_day():
    found = judged(changed(poisson(rows=7 * DAY), 7 * DAY, lambda was: was * 3))

    assert found[AT].baseline == pytest.approx(40, rel=0.15)
    assert found[AT + DAY].baseline == pytest.approx(120, rel=0.15)
    assert found[AT + 37].upper > 130


def test_the_return_from_an_outage_is_no_spike():
    found = judged(changed(poisson(), 60, lambda was: was * 0))

    assert alerting(found) == [AT]
    assert all(verdict.score < 0.5 for verdict in found[AT + 60 :])


@given(st.integers(0, 2**32 - 1), st.sampled_from(["counts", "reals", "shares"]))
@settings(max_examples=8, deadline=None)
def test_a_verdict_depends_on_the_rows_up_to_it_only(seed, what):
    chance = np.random.default_rng(seed)
    values, totals = poisson(30, 800, seed), None
    if what == "reals":
        values = values + (np.arange(800) > 650) * 0.5
    if what == "shares":
        totals = [int(value + chance.integers(1, 50)) for value in values]
    cut = int(chance.integers(600, 800))
    changed_after = np.concatenate([values[:cut], values[cut:] * 0])

    whole = judged(values, totals)
    prefix = judged(values[:cut], totals[:cut] if totals else None)

    assert whole[:cut] == prefix == judged(changed_after, totals)[:cut]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.25, 4.0, 1024.0]))
@settings(max_examples=6, deadline=None)
def test_real_values_are_judged_alike_in_any_unit(seed, unit):
    values = 50 + np.random.default_rng(seed).normal(0, 3, 800)
    values[700:710] += 40

    plain, scaled = (judged(v, kind=Kind.REAL) for v in (values, values * unit))

    assert [v.alert for v in plain] == [v.alert for v in scaled]
    assert [v.surprise for v in plain] == pytest.approx([v.surprise for v in scaled], abs=1e-6)


@given(st.lists(st.integers(0, 60), min_size=30, max_size=120), st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_verdicts_keep_their_promises(tail, seed):
    found = judged([*poisson(20, 650, seed), *map(float, tail)])

    for verdict in found:
        assert 0 <= verdict.score < 1
        assert verdict.severity in range(11)
        assert not verdict.alert or (verdict.score >= 0.5 and verdict.severity > 0)
        assert verdict.alert == (verdict.reason in {Reason.BEYOND_BAND, Reason.SUSTAINED})
        if verdict.baseline is not None and verdict.upper is not None:
            assert 0 <= verdict.lower <= verdict.baseline <= verdict.upper


def test_missing_rows_and_missing_values_are_the_same():
    values = changed(poisson(), 3, lambda was: was * 5)
    gone = set(range(700, 730)) | {AT - 2}
    empty = judged([None if i in gone else value for i, value in enumerate(values)])

    detector = Detector(STEP)
    skipped = [
        detector.update(BEGAN + i * STEP, value) for i, value in enumerate(values) if i not in gone
    ]

    assert [verdict for i, verdict in enumerate(empty) if i not in gone] == skipped
    assert {empty[i].reason for i in gone} == {Reason.NO_VALUE}
    assert alerting(empty) == [AT]


def test_a_gap_longer_than_the_history_begins_anew():
    detector = Detector(STEP, Parameters(history=timedelta(days=3)))
    for i, value in enumerate(poisson()):
        detector.update(BEGAN + i * STEP, value)

    after = detector.update(BEGAN + timedelta(days=30), 4000)

    assert (after.reason, after.baseline) == (Reason.WARMING_UP, None)


def test_timestamps_may_be_a_little_off_their_grid():
    chance = np.random.default_rng(5)
    values = changed(poisson(), 3, lambda was: was * 5)
    detector = Detector(STEP)
    found = [
        detector.update(BEGAN + i * STEP + timedelta(seconds=float(chance.uniform(-60, 60))), value)
        for i, value in enumerate(values)
    ]

    assert [v.surprise for v in found] == [v.surprise for v in judged(values)]


@pytest.mark.parametrize(("rows", "message"), [
    ([(0, 1), (0, 1)], "does not come after"),
    ([(0, 1), (5, 1), (0, 1)], "sort the rows"),
    ([(0, 1), (1, 1)], "within one step of 0:05:00"),
    ([(0, math.inf)], "infinite"),
    ([(0, 1), (5, 1, 4)], "give it in every row"),
    ([(0, 1, 4), (5, 1)], "lacks its total"),
    ([(0, 5, 4)], "5 of 4 documents"),
    ([(0, 1.5, 4)], "is no count"),
    ([(0, 1, -1)], "1 of -1 documents"),
])  # fmt: skip
def test_what_is_no_series_is_refused(rows, message):
    detector = Detector(STEP)
    *before, (minute, *last) = rows
    for at, *row in before:
        detector.update(BEGAN + timedelta(minutes=at), *row)
    with pytest.raises(SpikeError, match=message):
        detector.update(BEGAN + timedelta(minutes=minute), *last)


@pytest.mark.parametrize("value", [-1, 0.5])
def test_counts_that_are_none_are_refused_if_they_were_promised(value):
    with pytest.raises(SpikeError, match="is no count"):
        Detector(STEP, Parameters(kind=Kind.COUNT)).update(BEGAN, value)


def test_a_refused_row_changes_nothing():
    values = poisson(rows=700)
    detector = Detector(STEP)
    found = []
    for i, value in enumerate(values):
        with pytest.raises(SpikeError):
            detector.update(BEGAN + i * STEP, math.inf)
        if i:
            with pytest.raises(SpikeError):
                detector.update(BEGAN, 0.5)
        found.append(detector.update(BEGAN + i * STEP, value))

    assert found == judged(values)


@pytest.mark.parametrize("wrong", [
    {"threshold": 0}, {"persistence": 0}, {"lone": -1}, {"hold": timedelta(hours=-1)},
    {"history": timedelta(0)},
])  # fmt: skip
def test_parameters_that_mean_nothing_are_refused(wrong):
    with pytest.raises(SpikeError):
        Parameters(**wrong)


def test_a_time_without_a_zone_and_a_step_of_nothing_are_refused():
    with pytest.raises(SpikeError, match="no time zone"):
        Detector(STEP).update(BEGAN.replace(tzinfo=None), 1)
    with pytest.raises(SpikeError, match="above 0"):
        Detector(timedelta(0))


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(days=1), timedelta(minutes=7)])
def test_any_step_will_do(step):
    values = poisson(40, 500)
    values[450] = 400
    assert alerting(judged(values, step=step)) == [450]


def test_the_same_weekday_is_expected_once_there_are_weeks():
    hours = np.arange(29 * 24)
    quiet = (hours // 24) % 7 >= 5
    values = np.random.default_rng(4).poisson(np.where(quiet, 20, 100)).astype(float)

    found = judged(values, step=timedelta(hours=1))

    assert alerting(found[21 * 24 :]) == []


@pytest.mark.parametrize(("count", "least"), [(110, 1), (160, 2), (440, 7), (100_000, 10)])
def test_severity_grows_with_the_deviation(count, least):
    values = poisson()
    values[AT] = count
    found = judged(values)[AT]

    assert least <= found.severity <= least + 2
    assert found.severity == min(10, 1 + int(1.5 * (found.surprise - 2.9)))
