"""Charts: what is made once stays what it was."""

from datetime import UTC, datetime, timedelta

import altair as alt
import pytest

from dashboard import heatmap, rates, timeline
from dashboard.charts import made_once
from dashboard.theme import DARK, LIGHT

START = datetime(2026, 3, 9, tzinfo=UTC)
END = START + timedelta(days=1)


def test_a_chart_is_made_once_and_whoever_draws_it_may_change_it():
    made = []

    @made_once
    def chart(height, *, title="none"):
        made.append(height)
        return alt.Chart(alt.NamedData(name="points"), height=height, title=title).mark_point()

    first = chart(10)
    first["mark"]["type"] = "bar"
    first["datasets"] = {"points": []}
    again = chart(10)

    assert again["mark"]["type"] == "point"
    assert "datasets" not in again
    assert chart(10, title="other")["title"] == "other"
    assert made == [10, 10]


@pytest.mark.parametrize(
    "make",
    [
        lambda start, end, palette: heatmap._chart(start, end, palette, 20),
        lambda start, end, palette: timeline._share_chart(start, end, palette, labelled=True),
        timeline._volume_chart,
        rates._chart,
    ],
)
def test_a_chart_follows_its_span_and_its_theme(make):
    one = make(START, END, LIGHT)
    assert one == make(START, END, LIGHT)
    assert one != make(START, END + timedelta(hours=1), LIGHT)
    assert one != make(START, END, DARK)
