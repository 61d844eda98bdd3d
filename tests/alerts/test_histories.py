from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.conditions.histories import History
from alerts.conditions.windows import EPOCH, MINUTE, Series
from alerts.evaluation.evaluating import evaluate
from alerts.rules.ruleset import Metric, NoData, ThresholdRule
from store.buckets import Sums
from store.minutes import Minutes

START = datetime(2026, 3, 9, 23, 0, tzinfo=UTC)


def at(minute):
    return START + minute * MINUTE


def minutes_of(rows):
    """Columns of {minute: (documents, negative, score_sum)}."""
    first = (START - EPOCH) // MINUTE
    starts = np.array([first + minute for minute in rows], np.int64)
    columns = np.array(
        [(d, n, d - n, 0, score) for d, n, score in rows.values()], np.int64
    ).reshape(-1, 5)
    return Minutes(starts, *columns.T)


def series_of(rows):
    return Series([(at(m), Sums(d, n, d - n, 0, score)) for m, (d, n, score) in rows.items()])


def test_it_answers_as_a_series_does():
    rows = {3: (2, 1, -5000), 4: (1, 1, -900), 90: (7, 0, 100)}
    history, series = History(minutes_of(rows)), series_of(rows)
    moments = [
        at(m) + timedelta(seconds=s) for m in (0, 2, 3, 4, 5, 89, 90, 91, 150) for s in (0, 30)
    ]

    for start in moments:
        assert history.last_minute(start) == series.last_minute(start)
        assert history.next_minute(start) == series.next_minute(start)
        for end in moments:
            if end >= start:
                assert history.window(start, end) == series.window(start, end)
                assert history.filled(start, end) == series.filled(start, end)


ROWS = st.dictionaries(
    st.integers(-120, 600),
    st.integers(1, 12).flatmap(
        lambda d: st.tuples(st.just(d), st.integers(0, d), st.integers(-10_000 * d, 10_000 * d))
    ),
    max_size=60,
).map(lambda rows: dict(sorted(rows.items())))

LENGTHS = st.sampled_from([0, 1, 5, 15])


@st.composite
def rules(draw):
    """Any rule of one key, named or found."""
    metric = draw(st.sampled_from(list(Metric)))
    threshold = {
        Metric.NEGATIVE_SHARE: st.sampled_from([0.0, 0.25, 0.5, 2 / 3, 1.0]),
        Metric.MEAN_SCORE: st.sampled_from([-0.5, -0.1, 0.0, 0.3]),
        Metric.NEGATIVE_COUNT: st.integers(0, 12).map(float),
        Metric.DOCUMENTS: st.integers(0, 20).map(float),
    }[metric]
    every = draw(st.sampled_from([1, 5, 7]))
    return ThresholdRule(
        name="r",
        metric=metric,
        threshold=draw(threshold),
        scope="topic",
        keys=draw(st.sampled_from([(), ("K",)])),
        operator=draw(st.sampled_from([">=", "<="])),
        window=draw(st.sampled_from([1, 10, 60])) * MINUTE,
        every=every * MINUTE,
        for_duration=draw(LENGTHS) * MINUTE,
        keep_firing_for=draw(LENGTHS) * MINUTE,
        no_data=draw(st.sampled_from([None, *NoData])),
        no_data_after=draw(st.sampled_from([None, 30 * MINUTE])),
        min_documents=draw(st.sampled_from([0, 1, 3, 10])),
    )


@settings(max_examples=400, deadline=None)
@given(ROWS, rules(), st.integers(0, 200), st.integers(200, 700))
def test_judged_over_years_or_step_by_step_the_events_are_the_same(rows, rule, after, until):
    history = History(minutes_of(rows))

    fast = evaluate(rule, {"K": history}, {}, at(after), at(until))
    slow = evaluate(rule, {"K": series_of(rows)}, {}, at(after), at(until))

    assert fast.events == slow.events
    # A calm key that is not judged to the end stands as one that is.
    assert fast.standings == slow.standings


@pytest.mark.parametrize("rows", [{}, {5: (10, 10, -100_000)}])
def test_a_calm_history_is_asked_at_no_more_points_than_it_must(rows, monkeypatch):
    rule = ThresholdRule(name="r", metric=Metric.NEGATIVE_SHARE, threshold=0.5, window=10 * MINUTE)
    history, asked = History(minutes_of(rows)), []
    window = History.window
    monkeypatch.setattr(
        History, "window", lambda self, *span: asked.append(span) or window(self, *span)
    )

    found = evaluate(rule, {"K": history}, {}, at(0), at(525_600))

    assert [event.state for event in found.events] == (["firing", "resolved"] if rows else [])
    assert len(asked) < 20
