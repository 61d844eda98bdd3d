"""One or two subjects over time: rolling shares with what is usual, volumes, and their difference.

Two lines differ in dash and in name, not only in colour. A line is thin where its window holds
few documents. Knows no widget.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import altair as alt
import pandas as pd

from dashboard.common.charts import draw, time_axis
from dashboard.common.shares import LIKELY, difference
from dashboard.common.telling import tell_counts, tell_line
from dashboard.common.theme import Palette
from dashboard.common.view import View
from dashboard.common.words import say
from dashboard.now.timeline import NAMED, SHARES, TOP, alert_marks, roll, tell_marks
from dashboard.subject.usual import add_usual
from dashboard.subject.view import history
from store.views import Bin

FIRM = 10
"""So many documents make a share that is drawn in full."""

_LEFT = 50
_DASHES = ([1, 0], [6, 3])
_TABLES = ("first", "second")


@dataclass(frozen=True, slots=True)
class Line:
    """A subject's name in plain text, and its table by ``roll_with_usual``."""

    name: str
    table: pd.DataFrame


def early_start(view: View, window: str) -> datetime:
    """From when on bins are to be read, so that the first step knows what is usual."""
    return view.start - view.window - history(window)


def roll_with_usual(bins: Sequence[Bin], view: View, window: str) -> pd.DataFrame:
    """One row a step of the view: counts, rolling share with its interval, and what is usual."""
    before = history(window) // view.step * view.step
    table = roll(bins, view.start - before, view.end, view.step, view.window)
    rows = max(1, view.window // view.step)
    table = add_usual(table, rows, before // view.step)
    shown = table.iloc[before // view.step :].reset_index(drop=True)
    firm = shown["held"] >= FIRM
    return shown.assign(
        firm=shown["share"].where(firm),
        firm_low=shown["usual_low"].where(firm),
        firm_high=shown["usual_high"].where(firm),
        found=(shown["share"] * shown["held"]).round(),
    )


def subtract(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The first share less the second at each step, and where that may well lie (90 %)."""
    one, two = ((table["found"], table["held"]) for table in (first, second))
    apart, low, high = difference(one, two, LIKELY)
    return first[["start", "end", "when"]].assign(apart=apart, low=low, high=high, zero=0)


def draw_shares(
    view: View, lines: Sequence[Line], marks: pd.DataFrame, palette: Palette, key: str
) -> None:
    """The rolling shares; of a single line also what is usual, and its alerts in any case."""
    layers: list[alt.Chart] = []
    if len(lines) == 1:
        layers += _usual(palette)
    for number in range(len(lines)):
        layers += _share(number, [each.name for each in lines], palette)
    time = alt.Chart(alt.NamedData(name="first")).mark_point(opacity=0)
    layers.insert(0, time.encode(x=time_axis(view.start, view.end)))
    if len(lines) == 1:
        layers.append(_hover(_TABLES[0]))
    layers += alert_marks(palette, labelled=len(marks) <= NAMED)
    names = " and ".join(line.name for line in lines)
    draw(
        alt.LayerChart(height=270, layer=layers),
        {**_tables(lines), "marks": marks},
        key=key,
        description=say("Rolling share of negative documents: {names}", names=names),
        told=" ".join([*_told(lines), *tell_marks(marks)]),
    )


def draw_volumes(view: View, lines: Sequence[Line], palette: Palette, key: str) -> None:
    """Documents in each step, those of a second subject as a line over the first's bars."""
    first = alt.Chart(alt.NamedData(name="first")).encode(x2="end:Q", tooltip=_counts())
    axis = alt.Axis(
        title=None, tickCount=2, minExtent=_LEFT, maxExtent=_LEFT, domain=False, format="~s"
    )
    layers = [
        first.mark_rect(color=palette.volume).encode(
            x=time_axis(view.start, view.end, labels=False),
            y=alt.Y("documents:Q", axis=axis),
            y2="zero:Q",
        )
    ]
    if len(lines) == 1:
        negative = first.mark_rect(color=palette.negative, opacity=0.85)
        layers.append(negative.encode(x="start:Q", y="negative:Q", y2="zero:Q"))
    else:
        second = alt.Chart(alt.NamedData(name="second"))
        line = second.mark_line(color=palette.accent, interpolate="step-after", strokeWidth=1)
        layers.append(line.encode(x="start:Q", y="documents:Q"))
    draw(
        alt.LayerChart(height=80, layer=layers),
        _tables(lines),
        key=key,
        description=say("Documents over time"),
        told=" ".join(tell_counts(line.table, name=line.name) for line in lines),
    )


def draw_difference(view: View, table: pd.DataFrame, palette: Palette, key: str) -> None:
    """What ``subtract`` made: above the line the first is the more negative."""
    axis = alt.Axis(
        title=None, format="+.0%", tickCount=3, minExtent=_LEFT, maxExtent=_LEFT, domain=False
    )
    apart = alt.Chart(alt.NamedData(name="apart")).encode(x="end:Q")
    told = [
        alt.Tooltip("when:N", title=say("Up to the end of")),
        alt.Tooltip("apart:Q", title=say("Difference"), format="+.0%"),
        alt.Tooltip("low:Q", title=say("At least"), format="+.0%"),
        alt.Tooltip("high:Q", title=say("At most"), format="+.0%"),
    ]
    band = apart.mark_area(color=palette.muted, opacity=0.2).encode(
        x=time_axis(view.start, view.end, labels=False),
        y=alt.Y("low:Q", axis=axis),
        y2="high:Q",
    )
    zero = apart.mark_line(color=palette.muted, strokeWidth=1).encode(x="start:Q", y="zero:Q")
    line = apart.mark_line(color=palette.text, strokeWidth=1.5).encode(y="apart:Q")
    hover = apart.mark_rule(strokeOpacity=0, strokeWidth=8).encode(tooltip=told)
    draw(
        alt.LayerChart(height=110, layer=[band, zero, line, hover]),
        {"apart": table},
        key=key,
        description=say("How much more negative the first is than the second, with its interval"),
        told=tell_line(table, "apart", "+.0%"),
    )


def _told(lines: Sequence[Line]) -> list[str]:
    return [tell_line(line.table, "share", name=line.name) for line in lines]


def _tables(lines: Sequence[Line]) -> dict[str, pd.DataFrame]:
    pairs = zip(_TABLES, lines, strict=False)
    return {table: line.table.assign(name=line.name) for table, line in pairs}


def _usual(palette: Palette) -> list[alt.Chart]:
    steps = alt.Chart(alt.NamedData(name="first")).encode(x="end:Q")
    band = steps.mark_area(color=palette.accent, opacity=0.14, interpolate="monotone")
    line = steps.mark_line(color=palette.accent, strokeWidth=1.5, strokeDash=[2, 3])
    return [
        band.encode(y="firm_low:Q", y2="firm_high:Q"),
        line.encode(y="usual:Q"),
    ]


def _share(number: int, names: Sequence[str], palette: Palette) -> list[alt.Chart]:
    steps = alt.Chart(alt.NamedData(name=_TABLES[number])).encode(x="end:Q")
    colours = [palette.negative, palette.accent][: len(names)]
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolSize=300, offset=4)
    shown = legend if len(names) > 1 else None
    colour = alt.Color("name:N", scale=alt.Scale(domain=list(names), range=colours), legend=shown)
    dashes = list(_DASHES[: len(names)])
    dash = alt.StrokeDash("name:N", scale=alt.Scale(domain=list(names), range=dashes), legend=shown)
    axis = alt.Axis(
        title=None, format="%", minExtent=_LEFT, maxExtent=_LEFT, domain=False, **SHARES
    )
    share = alt.Y("share:Q", scale=alt.Scale(domain=[0, TOP], nice=False), axis=axis)
    band = steps.mark_area(opacity=0.16 / len(names), color=colours[number], interpolate="monotone")
    thin = steps.mark_line(strokeWidth=1, opacity=0.65, interpolate="monotone")
    firm = steps.mark_line(strokeWidth=2.4, interpolate="monotone")
    layers = [
        band.encode(y="low:Q", y2="high:Q"),
        thin.encode(y=share, color=colour, strokeDash=dash),
        firm.encode(y="firm:Q", color=colour, strokeDash=dash),
    ]
    return layers if len(names) == 1 else [*layers, _hover(_TABLES[number])]


def _hover(name: str) -> alt.Chart:
    chart: alt.Chart = (
        alt.Chart(alt.NamedData(name=name))
        .mark_rule(strokeOpacity=0, strokeWidth=8)
        .encode(
            x="end:Q",
            tooltip=[
                alt.Tooltip("when:N", title=say("Up to the end of")),
                alt.Tooltip("share:Q", title=say("Negative share"), format=".0%"),
                alt.Tooltip("low:Q", title=say("At least"), format=".0%"),
                alt.Tooltip("high:Q", title=say("At most"), format=".0%"),
                alt.Tooltip("held:Q", title=say("Documents in the window"), format=","),
                alt.Tooltip("usual:Q", title=say("Usual"), format=".0%"),
            ],
        )
    )
    return chart


def _counts() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("when:N", title=say("Time")),
        alt.Tooltip("documents:Q", title=say("Documents"), format=","),
        alt.Tooltip("negative:Q", title=say("Negative"), format=","),
    ]
