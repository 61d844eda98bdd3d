"""What is said of charts and alerts, in sentences with figures."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from dashboard.common.announcing import tell_firing
from dashboard.common.telling import tell_counts, tell_line, tell_rows
from dashboard.now.timeline import tell_marks
from store.alertlog import Alert

NOTHING = float("nan")


def table(*values, column="share"):
    return pd.DataFrame({column: values, "when": [f"t{n}" for n in range(len(values))]})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0.1, 0.9, 0.3], "10% at first, 30% at last; highest 90% (t1), lowest 10% (t0)."),
        ([NOTHING, 0.5, NOTHING], "50% at first, 50% at last; highest 50% (t1), lowest 50% (t1)."),
        ([0.2, 0.2], "20% at first, 20% at last; highest 20% (t0), lowest 20% (t0)."),
        ([NOTHING], "Too few documents for a line."),
        ([], "Too few documents for a line."),
    ],
)
def test_a_line_is_told_by_its_ends_and_extremes(values, told):
    assert tell_line(table(*values), "share") == told
    assert tell_line(table(*values), "share", name="HUB") == f"HUB: {told}"


def test_a_difference_is_told_with_its_sign():
    assert tell_line(table(-0.2, 0.1), "share", "+.0%").startswith("-20% at first, +10% at last")


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([3, 1200, 7], "1,210 in all; most 1,200 (t1)."),
        ([0, 0], "Nothing in this span."),
        ([], "Nothing in this span."),
    ],
)
def test_counts_are_told_by_their_sum_and_their_most(counts, told):
    assert tell_counts(table(*counts, column="documents")) == told


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "Nothing in this span."),
        (["a: 1"], "a: 1."),
        (["a", "b", "c"], "a; b; c."),
        (["a", "b", "b", "c", "d", "e"], "a; b; c; and 2 more."),
    ],
)
def test_ranked_rows_are_told_from_the_first(rows, told):
    assert tell_rows(rows) == told


def test_marks_are_told_where_there_are_any():
    columns = ["alert", "fired", "resolved"]
    assert tell_marks(pd.DataFrame([], columns=columns)) == []
    marks = pd.DataFrame([("mood · HUB", "9 Mar 12:00 UTC", "still firing")], columns=columns)
    assert tell_marks(marks) == ["Alerts: mood · HUB, 9 Mar 12:00 UTC, still firing."]


def test_what_fires_is_told_by_number_and_name_the_gravest_first():
    fired = datetime(2026, 3, 9, 12, tzinfo=UTC)
    alerts = [
        Alert("live", "mood", key, scope, severity, 0.5, 20, fired, None)
        for scope, key, severity in (
            ("symbol", "A\u202eB", 5),
            ("topic", "C", 3),
            ("topic", "D", 4),
            ("all", "", 8),
        )
    ]
    assert tell_firing([]) == "No alert is firing."
    assert tell_firing(alerts[:1]) == "1 alert is firing: AB · mood"
    assert tell_firing(alerts) == ("4 alerts are firing: All documents · mood; AB · mood; D · mood")
