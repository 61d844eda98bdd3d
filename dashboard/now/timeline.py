"""One subject over time: the rolling negative share, the volume, and the alerts that fired.

The band around the line is where the share may well lie, given how few documents it rests on
(Wilson, 90 %). Knows no widget.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import pandas as pd

from dashboard.common.charts import draw, made_once, milliseconds, time_axis, when
from dashboard.common.clock import both
from dashboard.common.plain import plain
from dashboard.common.shares import wilson
from dashboard.common.telling import tell_counts, tell_line, tell_rows
from dashboard.common.theme import Palette
from dashboard.common.view import View, fired_by
from dashboard.common.words import say
from store.alertlog import Alert
from store.views import MONDAY, Bin

_FEWEST = 3
"""Fewer documents in a window make no share worth a line."""

NAMED = 3
"""So many alerts are called by their names; more are marks only."""

TOP = 1.2
"""Where the axis of shares ends: what is over 1 is for the alerts and their names."""

SHARES: dict[str, Any] = {"values": [0, 0.2, 0.4, 0.6, 0.8, 1], "tickCount": 6}
"""Where it has its labels; by a smaller count, Vega would leave out every other one."""

_LEFT = 44
"""Room for the labels on the left of both charts, so that their times stand above each other."""


def draw_timeline(  # noqa: PLR0913 - what is drawn, and up to when
    view: View,
    bins: list[Bin],
    alerts: Sequence[Alert],
    chosen: tuple[datetime, datetime] | None,
    palette: Palette,
    until: datetime | None = None,
) -> None:
    """Draw the share with its alerts, and the volume under it; of ``until`` on nothing is known."""
    steps = roll(bins, view.start, min(until or view.end, view.end), view.step, view.window)
    marks = mark(alerts, view.start, view.end, view.newest)
    shaded = _shade(chosen, view)
    draw(
        _share_chart(view.start, view.end, palette, labelled=len(marks) <= NAMED),
        {"steps": steps, "marks": marks, "chosen": shaded},
        key="share",
        description=say("Rolling share of negative documents, with the alerts that fired"),
        told=" ".join([tell_line(steps, "share"), *tell_marks(marks)]),
    )
    draw(
        _volume_chart(view.start, view.end, palette),
        {"steps": steps, "chosen": shaded},
        key="volume",
        description=say("Documents over time, the negative ones in front"),
        told=tell_counts(steps),
    )


def roll(
    bins: Iterable[Bin], start: datetime, end: datetime, step: timedelta, window: timedelta
) -> pd.DataFrame:
    """Each step from ``start`` to ``end``: its documents, and the share over its window.

    The window ends with the step; ``bins`` may begin a window before ``start``. The share is
    missing where the window holds next to nothing.
    """
    first = (start - window - MONDAY) // step * step + MONDAY
    starts = [first + number * step for number in range(-(-(end - first) // step))]
    sums = {found.start: found.sums for found in bins}
    table = pd.DataFrame(
        {
            "documents": [sums[at].documents if at in sums else 0 for at in starts],
            "negative": [sums[at].negative if at in sums else 0 for at in starts],
        }
    )
    rolled = table.rolling(max(1, window // step), min_periods=1).sum()
    held = rolled["documents"].where(rolled["documents"] >= _FEWEST)
    low, high = wilson(rolled["negative"], held)
    table = table.assign(
        start=[milliseconds(at) for at in starts],
        end=[milliseconds(at + step) for at in starts],
        when=[when(at, step) for at in starts],
        held=held,
        zero=0,
        share=rolled["negative"] / held,
        low=low,
        high=high,
    )
    return table[[at >= start for at in starts]].reset_index(drop=True)


def mark(alerts: Iterable[Alert], start: datetime, end: datetime, newest: datetime) -> pd.DataFrame:
    """The alerts that lasted into the span, from when they fired until they resolved."""
    rows = [
        (
            milliseconds(max(alert.fired_at, start)),
            milliseconds(min(alert.resolved_at or max(newest, alert.fired_at), end)),
            " · ".join(filter(None, (plain(alert.rule, 40), plain(alert.key, 40)))),
            both(alert.fired_at),
            both(alert.resolved_at) if alert.resolved_at else say("still firing"),
        )
        for alert in alerts
        if fired_by(alert.fired_at, end, newest)
        and (alert.resolved_at is None or alert.resolved_at > start)
    ]
    table = pd.DataFrame(rows, columns=["start", "end", "alert", "fired", "resolved"])
    return table.sort_values("start", ignore_index=True).assign(row=range(len(table)))


def tell_marks(marks: pd.DataFrame) -> list[str]:
    """What ``mark`` made, in a sentence, where there is something."""
    if marks.empty:
        return []
    rows = zip(marks["alert"], marks["fired"], marks["resolved"], strict=True)
    return [say("Alerts: {alerts}", alerts=tell_rows(", ".join(row) for row in rows))]


def _shade(chosen: tuple[datetime, datetime] | None, view: View) -> pd.DataFrame:
    inside = [chosen] if chosen and view.start <= chosen[0] < view.end else []
    rows = [(milliseconds(first), milliseconds(last)) for first, last in inside]
    return pd.DataFrame(rows, columns=["start", "end"])


@made_once
def _share_chart(
    start: datetime, end: datetime, palette: Palette, *, labelled: bool
) -> alt.LayerChart:
    axis = alt.Axis(
        title=None, format="%", minExtent=_LEFT, maxExtent=_LEFT, domain=False, **SHARES
    )
    share = alt.Y("share:Q", scale=alt.Scale(domain=[0, TOP], nice=False), axis=axis)
    steps = alt.Chart(alt.NamedData(name="steps"))
    band = steps.mark_area(opacity=0.16, color=palette.negative, interpolate="monotone")
    line = steps.mark_line(strokeWidth=2, color=palette.negative, interpolate="monotone")
    hover = steps.mark_rule(strokeOpacity=0, strokeWidth=8).encode(
        x="end:Q",
        tooltip=[
            alt.Tooltip("when:N", title=say("Up to the end of")),
            alt.Tooltip("share:Q", title=say("Negative share"), format=".0%"),
            alt.Tooltip("held:Q", title=say("Documents in the window"), format=","),
        ],
    )
    return alt.LayerChart(
        height=230,
        layer=[
            _chosen(palette).encode(x=time_axis(start, end), x2="end:Q"),
            band.encode(x="end:Q", y="low:Q", y2="high:Q"),
            line.encode(x="end:Q", y=share),
            hover,
            *alert_marks(palette, labelled=labelled),
        ],
    )


def alert_marks(palette: Palette, *, labelled: bool) -> list[alt.Chart]:
    """The layers that mark what ``mark`` made, to be laid over a chart of time."""
    told = [
        alt.Tooltip("alert:N", title=say("Alert")),
        alt.Tooltip("fired:N", title=say("Fired")),
        alt.Tooltip("resolved:N", title=say("Resolved")),
    ]
    marks = alt.Chart(alt.NamedData(name="marks")).encode(x="start:Q", tooltip=told)
    red, top = palette.negative, alt.value(0)
    names = [
        marks.transform_filter(f"datum.row === {row}")
        .mark_text(
            align="left", baseline="top", dx=8, dy=1 + 14 * row, color=palette.text, aria=False
        )
        .encode(y=top, text="alert:N")
        for row in range(NAMED)
    ]
    layers = [
        marks.mark_rect(color=red, opacity=0.08, aria=False).encode(x2="end:Q"),
        marks.mark_rule(color=red, strokeWidth=1.5, strokeDash=[4, 3], aria=False),
        marks.mark_point(
            shape="triangle-down", filled=True, size=90, color=red, yOffset=6, aria=False
        ).encode(y=top),
    ]
    return [*layers, *names] if labelled else layers


@made_once
def _volume_chart(start: datetime, end: datetime, palette: Palette) -> alt.LayerChart:
    axis = alt.Axis(
        title=None, tickCount=2, minExtent=_LEFT, maxExtent=_LEFT, domain=False, format="~s"
    )
    bars = alt.Chart(alt.NamedData(name="steps")).encode(
        x="start:Q",
        x2="end:Q",
        tooltip=[
            alt.Tooltip("when:N", title=say("Time")),
            alt.Tooltip("documents:Q", title=say("Documents"), format=","),
            alt.Tooltip("negative:Q", title=say("Negative"), format=","),
        ],
    )
    everything = bars.mark_rect(color=palette.volume)
    negative = bars.mark_rect(color=palette.negative, opacity=0.85)
    time = time_axis(start, end, labels=False)
    return alt.LayerChart(
        height=80,
        layer=[
            _chosen(palette).encode(x=time, x2="end:Q"),
            everything.encode(y=alt.Y("documents:Q", axis=axis), y2="zero:Q"),
            negative.encode(y="negative:Q", y2="zero:Q"),
        ],
    )


def _chosen(palette: Palette) -> alt.Chart:
    """The time of the selected cell, shaded behind everything else."""
    data = alt.Chart(alt.NamedData(name="chosen"))
    chart: alt.Chart = data.mark_rect(color=palette.accent, opacity=0.18, aria=False)
    return chart
