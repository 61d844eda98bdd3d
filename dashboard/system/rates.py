"""Documents a minute, and what is usual at that hour. Pure but for the drawing."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import median

import altair as alt
import pandas as pd

from dashboard.common.charts import draw, made_once, milliseconds, time_axis, when
from dashboard.common.telling import tell_line
from dashboard.common.theme import Palette
from dashboard.common.words import say
from store.views import MONDAY, Bin

SHOWN, STEP, RECENT = timedelta(hours=6), timedelta(minutes=5), timedelta(minutes=15)
BEFORE = timedelta(days=7)
_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)
_LEFT = 44


def span_of(end: datetime) -> tuple[datetime, datetime]:
    """The time that is shown, cut at whole steps, up to and including ``end``."""
    last = -(-(end - MONDAY) // STEP) * STEP + MONDAY
    return last - SHOWN, last


def usual_rates(bins: Iterable[Bin], first: datetime, start: datetime) -> dict[int, float]:
    """Documents a minute by hour of the day (UTC): the median over whole hours before ``start``.

    ``bins`` are of whole hours; from ``first`` on, an hour without a bin held no document. An
    hour of the day that was never seen is missing.
    """
    documents = {found.start: found.sums.documents for found in bins}
    begin = -(-(max(first, start - BEFORE) - MONDAY) // _HOUR) * _HOUR + MONDAY
    seen: dict[int, list[int]] = {}
    while begin + _HOUR <= start:
        seen.setdefault(begin.hour, []).append(documents.get(begin, 0))
        begin += _HOUR
    return {hour: median(counts) / 60 for hour, counts in seen.items()}


def recent_rate(bins: Iterable[Bin], end: datetime) -> float:
    """Documents a minute over the last quarter of an hour before ``end``."""
    recent = sum(found.sums.documents for found in bins if end - RECENT <= found.start < end)
    return recent / (RECENT / _MINUTE)


def tabulate(
    bins: Iterable[Bin], usual: dict[int, float], start: datetime, end: datetime
) -> pd.DataFrame:
    """One row a step: documents a minute, and what is usual then; NaN where nobody knows."""
    sums: dict[datetime, int] = {}
    for found in bins:
        at = (found.start - MONDAY) // STEP * STEP + MONDAY
        sums[at] = sums.get(at, 0) + found.sums.documents
    starts = [start + number * STEP for number in range((end - start) // STEP)]
    return pd.DataFrame(
        {
            "start": [milliseconds(at) for at in starts],
            "end": [milliseconds(at + STEP) for at in starts],
            "when": [when(at, STEP) for at in starts],
            "rate": [sums.get(at, 0) / (STEP / _MINUTE) for at in starts],
            "usual": [usual.get(at.hour, float("nan")) for at in starts],
            "zero": 0,
        }
    )


def draw_rates(table: pd.DataFrame, start: datetime, end: datetime, palette: Palette) -> None:
    """Bars for the rate, a stepped line for what is usual."""
    draw(
        _chart(start, end, palette),
        {"rates": table, "usual": _hours(table)},
        key="rates",
        description=say("Documents a minute, with a line for what is usual at each hour"),
        told=tell_line(table, "rate", ".1f"),
    )


@made_once
def _chart(start: datetime, end: datetime, palette: Palette) -> alt.LayerChart:
    axis = alt.Axis(title=None, tickCount=3, minExtent=_LEFT, domain=False, format="~g")
    told = [
        alt.Tooltip("when:N", title=say("Time")),
        alt.Tooltip("rate:Q", title=say("Documents a minute"), format=".1f"),
        alt.Tooltip("usual:Q", title=say("Usual at this hour"), format=".1f"),
    ]
    steps = alt.Chart(alt.NamedData(name="rates")).encode(x2="end:Q", tooltip=told)
    bars = steps.mark_rect(color=palette.volume).encode(
        x=time_axis(start, end), y=alt.Y("rate:Q", axis=axis), y2="zero:Q"
    )
    line = alt.Chart(alt.NamedData(name="usual")).mark_rule(
        color=palette.accent, strokeWidth=2, aria=False
    )
    usual = line.encode(x="start:Q", x2="end:Q", y="usual:Q", tooltip=told[2:])
    return alt.LayerChart(height=150, layer=[bars, usual])


def _hours(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each stretch of steps of which the same is usual."""
    known = table.dropna(subset=["usual"])
    stretch = known["usual"].ne(known["usual"].shift()).cumsum()
    grouped = known.groupby(stretch, as_index=False)
    return grouped.agg(start=("start", "min"), end=("end", "max"), usual=("usual", "first"))
