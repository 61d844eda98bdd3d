from dataclasses import astuple
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.conditions.windows import EPOCH, Series, floor, next_point, series_by_key
from store.buckets import Sums

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(minute):
    return NOON + minute * MINUTE


def one(documents=1):
    return Sums(documents=documents, negative=documents, score_sum=-7 * documents)


def drawn(timeline):
    """A series of a drawing: a digit is a minute with so many documents, a dot an empty one."""
    return Series([(at(i), one(int(c))) for i, c in enumerate(timeline) if c != "."])


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 10, 10),
        (1, 4, 1 + 2),
        (1, 5, 1 + 2 + 3),
        (2, 5, 2 + 3),
        (4, 5, 3),
        (4, 4, 0),
        (5, 8, 0),
        (8, 9, 4),
        (-9, 1, 0),
        (9, 99, 0),
    ],
)
def test_a_window_holds_its_first_minute_and_not_its_last(start, end, expected):
    series = drawn(".12.3...4.")

    assert series.window(at(start), at(end)) == (one(expected) if expected else Sums())


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 10, 4), (1, 2, 1), (1, 3, 2), (2, 4, 1), (5, 8, 0), (4, 4, 0)],
)
def test_minutes_with_documents_are_counted_from_the_first_to_before_the_last(start, end, expected):
    assert drawn(".12.3...4.").filled(at(start), at(end)) == expected


@pytest.mark.parametrize(
    ("moment", "expected"), [(-5, 1), (1, 1), (2, 2), (3, 4), (5, 8), (8, 8), (9, None)]
)
def test_the_next_minute_is_the_first_with_documents_from_a_moment_on(moment, expected):
    found = drawn(".12.3...4.").next_minute(at(moment))

    assert found == (None if expected is None else at(expected))


def test_an_empty_series_has_empty_windows_and_no_next_minute():
    assert Series([]).window(at(0), at(9)) == Sums()
    assert Series([]).next_minute(at(0)) is None


@given(st.lists(st.integers(1, 9), max_size=20), st.integers(0, 21), st.integers(0, 21))
@settings(max_examples=50, deadline=None)
def test_a_window_is_the_sum_of_its_minutes(counts, start, end):
    start, end = sorted((start, end))
    series = Series([(at(i), one(count)) for i, count in enumerate(counts)])

    assert series.window(at(start), at(end)).documents == sum(counts[start:end])


def test_buckets_become_one_series_a_key_with_the_kinds_added_up():
    buckets = [
        ("A", at(0), "comment", *astuple(one(1))),
        ("A", at(0), "news", *astuple(one(2))),
        ("A", at(2), "news", *astuple(one(4))),
        ("B", at(1), "comment", *astuple(one(8))),
    ]

    both = series_by_key(buckets, ("news", "comment"))
    news = series_by_key(buckets, ("news",))

    assert {key: s.window(at(0), at(9)).documents for key, s in both.items()} == {"A": 7, "B": 8}
    assert both["A"].window(at(0), at(1)) == one(3)
    assert {key: s.window(at(0), at(9)).documents for key, s in news.items()} == {"A": 6}


@pytest.mark.parametrize(
    ("moment", "step", "last", "following"),
    [
        (at(0), 5, at(0), at(5)),
        (at(1), 5, at(0), at(5)),
        (at(5) - timedelta(microseconds=1), 5, at(0), at(5)),
        (at(5), 5, at(5), at(10)),
        (EPOCH - MINUTE, 5, EPOCH - 5 * MINUTE, EPOCH),
        (EPOCH + 13 * MINUTE, 7, EPOCH + 7 * MINUTE, EPOCH + 14 * MINUTE),
    ],
)
def test_the_grid_counts_from_the_epoch(moment, step, last, following):
    assert floor(moment, step * MINUTE) == last
    assert next_point(moment, step * MINUTE) == following
