"""Charts: what is made once stays what it was."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import altair as alt
import pytest

from dashboard.alerts import timeline as alert_timeline
from dashboard.common.charts import made_once
from dashboard.common.theme import DARK, LIGHT
from dashboard.now import heatmap, timeline
from dashboard.system import rates

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


@pytest.mark.parametrize(
    ("ends", "drawn_to"),
    [([1, 2], 3), ([1, None], 24), ([1, 20], 24)],
    ids=["long over", "one is active", "just over"],
)
def test_the_timeline_of_alerts_ends_now_or_where_it_has_long_been_calm(ends, drawn_to):
    def after(hours):
        return None if hours is None else START + timedelta(hours=hours)

    rows = [SimpleNamespace(row=SimpleNamespace(ended_at=after(hours))) for hours in ends]
    assert alert_timeline._end(rows, START, END) == after(drawn_to)


def test_nothing_but_alerts_is_drawn_over_the_whole_share():
    layers = timeline._share_chart(START, END, LIGHT, labelled=True)["layer"]
    scales = [layer["encoding"]["y"].get("scale") for layer in layers if "y" in layer["encoding"]]
    assert [scale["domain"] for scale in scales if scale] == [[0, timeline.TOP]]
    assert timeline.TOP > 1
