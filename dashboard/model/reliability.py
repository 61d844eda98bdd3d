"""Reliability: of the texts that a head is so sure of, how many are right.

The bars are 95 % intervals; before and after the temperature differ in mark and line, not in
colour alone.
"""

import altair as alt
import pandas as pd

from dashboard.common.charts import draw
from dashboard.common.telling import NAMED, tell_rows
from dashboard.common.theme import Palette
from dashboard.common.words import later, say
from dashboard.model.model_card import Calibration, Reliability

SERVED, BEFORE = later("as served"), later("before its temperature")
_LEFT = 44


def tabulate(calibration: Calibration) -> pd.DataFrame:
    """One row a bin of either: how sure, how many right, within which interval, how many rows."""
    rows = [
        (series, found.confidence, found.accuracy, *found.interval, found.rows)
        for series, side in ((say(SERVED), calibration.after), (say(BEFORE), calibration.before))
        for found in side.bins
    ]
    columns = ["series", "confidence", "accuracy", "low", "high", "rows"]
    return pd.DataFrame(rows, columns=columns)


def describe(head: str, calibration: Calibration) -> str:
    """The expected calibration error, in a line."""
    after, before = calibration.after, calibration.before
    return say(
        "Expected calibration error {ece:.1%} on {rows:,} test rows ({earlier:.1%} "
        "before its temperature of {temperature:.2f}). {lean}",
        ece=after.ece,
        rows=after.rows,
        earlier=before.ece,
        temperature=calibration.temperature,
        lean=_lean(head, after),
    )


def draw_reliability(head: str, calibration: Calibration, palette: Palette) -> None:
    """The diagram, and under it how many rows each bin rests on."""
    table = tabulate(calibration)
    line = pd.DataFrame({"confidence": [0.0, 1.0], "accuracy": [0.0, 1.0]})
    draw(
        _diagram(palette),
        {"bins": table, "line": line},
        key=f"reliability-{head}",
        description=say(
            "Reliability of the {head} head: the share that is right by how sure it is", head=head
        ),
        told=describe(head, calibration),
    )
    draw(
        _rows(palette),
        {"bins": table[table["series"] == say(SERVED)]},
        key=f"reliability-rows-{head}",
        description=say("Test rows by how sure the {head} head is", head=head),
        told=tell_rows(
            say("{rows:,} rows at {sure:.0%}", rows=row.rows, sure=row.confidence)
            for row in table[table["series"] == say(SERVED)].nlargest(NAMED, "rows").itertuples()
        ),
    )


def _lean(head: str, found: Reliability) -> str:
    """Whether it is too sure or too little, over all rows."""
    gap = sum(b.rows * (b.confidence - b.accuracy) for b in found.bins) / max(1, found.rows)
    if abs(gap) < 0.005:
        return say("Over all, the {head} head is as sure as it is right.", head=head)
    more = say("surer than it is right") if gap > 0 else say("less sure than it is right")
    return say("Over all, the {head} head is {gap:.1%} {more}.", head=head, gap=abs(gap), more=more)


def _diagram(palette: Palette) -> alt.LayerChart:
    span = alt.Scale(domain=[0, 1])
    across = alt.X(
        "confidence:Q",
        scale=span,
        axis=alt.Axis(
            title=say("Probability given"), format="%", tickCount=5, grid=False, domain=False
        ),
    )
    up = alt.Y(
        "accuracy:Q",
        scale=span,
        axis=alt.Axis(title=say("Right"), format="%", tickCount=5, minExtent=_LEFT, domain=False),
    )
    told = [
        alt.Tooltip("series:N", title=say("Probabilities")),
        alt.Tooltip("confidence:Q", title=say("Given"), format=".1%"),
        alt.Tooltip("accuracy:Q", title=say("Right"), format=".1%"),
        alt.Tooltip("low:Q", title=say("95 % from"), format=".1%"),
        alt.Tooltip("high:Q", title="to", format=".1%"),
        alt.Tooltip("rows:Q", title=say("Rows"), format=","),
    ]
    perfect = alt.Chart(alt.NamedData(name="line")).mark_line(
        color=palette.muted, strokeDash=[4, 4], strokeWidth=1.2
    )
    bins = alt.Chart(alt.NamedData(name="bins")).encode(x=across, tooltip=told)
    order = [say(SERVED), say(BEFORE)]
    legend = alt.Legend(title=None, orient="top", offset=4, symbolStrokeWidth=0, symbolSize=70)
    colour = alt.Color(
        "series:N",
        scale=alt.Scale(domain=order, range=[palette.accent, palette.muted]),
        legend=legend,
    )
    dash = alt.StrokeDash(
        "series:N", scale=alt.Scale(domain=order, range=[[1, 0], [2, 3]]), legend=None
    )
    shape = alt.Shape(
        "series:N", scale=alt.Scale(domain=order, range=["circle", "triangle-up"]), legend=legend
    )
    served = bins.transform_filter(f"datum.series === '{say(SERVED)}'")
    return alt.LayerChart(
        height=260,
        layer=[
            perfect.encode(x=across, y=up),
            served.mark_rule(strokeWidth=1.5, color=palette.accent, opacity=0.6).encode(
                y="low:Q", y2="high:Q"
            ),
            bins.mark_line(strokeWidth=1.5).encode(y=up, color=colour, strokeDash=dash),
            bins.mark_point(filled=True, size=55, opacity=1).encode(
                y=up, color=colour, shape=shape
            ),
        ],
    )


def _rows(palette: Palette) -> alt.Chart:
    bars = alt.Chart(alt.NamedData(name="bins"), height=70)
    chart: alt.Chart = bars.mark_bar(color=palette.volume, width=12).encode(
        x=alt.X(
            "confidence:Q",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(title=None, labels=False, ticks=False, grid=False, domain=False),
        ),
        y=alt.Y(
            "rows:Q",
            axis=alt.Axis(
                title=say("Rows"), tickCount=2, format="~s", minExtent=_LEFT, domain=False
            ),
        ),
        tooltip=[
            alt.Tooltip("confidence:Q", title=say("Given"), format=".1%"),
            alt.Tooltip("rows:Q", title=say("Rows"), format=","),
        ],
    )
    return chart
