"""Shares of few documents and what is usual: pure, so no database and no page."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.common.shares import LIKELY, SURE, difference, wilson
from dashboard.subject.lines import FIRM, early_start, roll_with_usual, subtract
from dashboard.subject.usual import FEWEST
from dashboard.subject.view import WINDOWS, usual_window, view_of, windows_for
from store.buckets import Sums
from store.views import Bin, RunSummary

DAY = datetime(2026, 3, 9, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
RUN = RunSummary(1, "demo", DAY, None, 1, 0)


def counts(*numbers):
    return pd.Series(numbers, dtype=float)


def view(hours, window="1h"):
    end = DAY + hours * HOUR
    return view_of(RUN, (DAY, end), end - MINUTE, None, window)


def steady(first, last, documents=20, negative=4):
    """Bins of a quarter of an hour, all alike."""
    numbers = range(4 * first, 4 * last)
    return [Bin("", DAY + n * HOUR / 4, Sums(documents, negative)) for n in numbers]


# Published: Newcombe (1998), Statistics in Medicine 17, tables I and II.
@pytest.mark.parametrize(
    ("negative", "documents", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_are_those_of_the_literature(negative, documents, low, high):
    found = wilson(counts(negative), counts(documents), 1.959964)
    assert [round(float(each[0]), 4) for each in found] == pytest.approx([low, high], abs=1e-4)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090),
     ((10, 10), (0, 20), 0.6791, 1.0), ((5, 56), (0, 29), -0.0381, 0.1926)],
)  # fmt: skip
def test_differences_are_those_of_the_literature(first, second, low, high):
    one, two = (tuple(map(counts, each)) for each in (first, second))
    apart, least, most = difference(one, two, 1.959964)
    assert float(apart[0]) == pytest.approx(first[0] / first[1] - second[0] / second[1])
    assert (float(least[0]), float(most[0])) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 500), st.integers(0, 500))
def test_an_interval_holds_its_share_and_grows_narrower_with_documents(negative, others):
    documents = negative + others
    low, high = wilson(counts(negative, 4 * negative), counts(documents, 4 * documents), SURE)
    if not documents:
        assert low.isna().all()
        assert high.isna().all()
        return
    share = negative / documents
    assert 0 <= low[0] <= share + 1e-9
    assert share - 1e-9 <= high[0] <= 1
    assert high[1] - low[1] < high[0] - low[0]


def test_three_documents_are_no_sure_change():
    now, before = (counts(3), counts(3)), (counts(40), counts(200))
    _, low, _ = difference(now, before, SURE)
    assert low[0] < 0.15
    _, low, _ = difference((counts(30), counts(30)), before, SURE)
    assert low[0] > 0.5


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("days", [0.02, 1, 4, 12, 50, 300, 4000])
def test_a_span_has_a_bounded_number_of_steps(window, days):
    length = timedelta(days=days)
    if window not in windows_for(length):
        assert window != "1d"
        return
    found = view_of(RUN, (DAY + MINUTE, DAY + MINUTE + length), DAY + length, None, window)
    assert 1 <= (found.end - found.start) / found.step <= 1502
    assert found.start <= DAY + MINUTE
    assert found.end >= DAY + MINUTE + length
    assert found.window >= found.step
    assert found.window % found.step == timedelta(0)


@pytest.mark.parametrize("days", [0.02, 4, 12, 4000])
def test_the_usual_window_fits(days):
    length = timedelta(days=days)
    assert usual_window(length) in windows_for(length)


def test_what_is_usual_is_the_share_of_what_came_before():
    calm = steady(0, 30)
    table = roll_with_usual(calm, view(30), "1h")
    assert table["usual"].dropna().iloc[-1] == pytest.approx(0.2, abs=0.01)
    last = table.iloc[-1]
    assert last["usual_low"] < last["share"] < last["usual_high"]
    assert last["usual_high"] - last["usual_low"] < 0.3


def test_nothing_is_usual_before_enough_was_seen():
    table = roll_with_usual(steady(0, 10, documents=5, negative=1), view(10), "1h")
    known = table["usual"].first_valid_index()
    assert table["documents"][: known - 4 + 1].sum() >= FEWEST
    assert table["documents"][: known - 4].sum() < FEWEST


def test_what_is_usual_never_looks_ahead():
    calm, storm = steady(0, 20), steady(20, 30, documents=100, negative=90)
    with_storm = roll_with_usual([*calm, *storm], view(30), "1h")
    without = roll_with_usual(calm, view(30), "1h")
    until = 4 * 20
    usual = ["usual", "usual_low", "usual_high"]
    pd.testing.assert_frame_equal(with_storm[usual][:until], without[usual][:until])
    storming = with_storm.iloc[until + 3]
    assert storming["share"] > storming["usual_high"]


def test_one_storm_does_not_become_usual():
    storm = steady(20, 23, documents=400, negative=380)
    table = roll_with_usual([*steady(0, 20), *storm, *steady(23, 60)], view(60), "1h")
    assert table["usual"].iloc[-1] < 0.35


def test_history_before_the_span_tells_what_is_usual_at_its_start():
    shown = view(6)
    early = [Bin("", DAY - n * HOUR / 4, Sums(20, 4)) for n in range(1, 100)]
    table = roll_with_usual([*early, *steady(0, 6)], shown, "1h")
    assert early_start(shown, "1h") == DAY - HOUR - timedelta(days=7)
    assert len(table) == 24
    assert table["usual"].notna().all()
    assert table["share"].notna().all()


def test_a_line_is_firm_where_its_window_holds_enough():
    bins = [*steady(0, 3, documents=1, negative=1), *steady(3, 6, documents=3, negative=1)]
    table = roll_with_usual(bins, view(6), "1h")
    assert (table["firm"].notna() == (table["held"] >= FIRM)).all()
    assert set(table["firm"].notna()) == {True, False}


def test_a_difference_is_missing_where_either_share_is():
    many = roll_with_usual(steady(0, 6, 40, 30), view(6), "1h")
    few = roll_with_usual(steady(0, 3, 40, 10), view(6), "1h")
    table = subtract(many, few)
    assert table["apart"].iloc[8] == pytest.approx(0.5)
    assert table["low"].iloc[8] > 0.3
    assert table["apart"].iloc[-1:].isna().all()
    _, low, high = difference((many["found"], many["held"]), (few["found"], few["held"]), LIKELY)
    assert (low <= high)[:8].all()
