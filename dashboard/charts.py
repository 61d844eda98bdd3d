"""What the charts share: the time axis in UTC, and drawing without flicker.

A chart names its data instead of holding it, so that new data flows into the drawing on screen;
a specification that changes would be drawn anew. Knows no run.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from functools import lru_cache, wraps
from typing import Any, ParamSpec, cast

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.plain import interval
from store.views import MONDAY

P = ParamSpec("P")
Chart = alt.LayerChart | alt.Chart

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_TICKS = (
    *(_HOUR / 4, _HOUR / 2, _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY, 56 * _DAY, 112 * _DAY, 364 * _DAY),
)
_MOST_TICKS = 13
_LABEL = (
    "datum.value % 86400000 === 0 ? utcFormat(datum.value, '%e %b') : datum.index > 0 ? "
    "utcFormat(datum.value, '%H:%M') : [utcFormat(datum.value, '%H:%M'), "
    "utcFormat(datum.value, '%e %b')]"
)
"""Midnight has its date, and the first time too, below it: a short span has no midnight."""

_LONG_LABEL = "utcFormat(datum.value, '%e %b %Y')"


def milliseconds(at: datetime) -> int:
    """A moment as Vega takes it."""
    return round(at.timestamp() * 1000)


def time_axis(start: datetime, end: datetime, *, labels: bool = True) -> alt.X:
    """The horizontal axis from ``start`` to ``end``, over the field ``start`` in milliseconds.

    One layer of a chart carries it; the others say ``x="start:Q"`` and share it. It is a number
    to Vega, whose own time axis would follow the reader's zone.
    """
    axis = alt.Axis(
        title=None,
        values=[milliseconds(at) for at in _ticks(start, end)],
        labels=labels,
        labelExpr=_LONG_LABEL if end - start > 28 * _DAY else _LABEL,
        labelOverlap="parity",
        labelFlush=True,
        labelPadding=6,
        grid=False,
        ticks=labels,
        domain=False,
    )
    domain = [milliseconds(start), milliseconds(end)]
    return alt.X("start:Q", axis=axis, scale=alt.Scale(domain=domain, nice=False, zero=False))


def _ticks(start: datetime, end: datetime) -> list[datetime]:
    step = next((step for step in _TICKS if (end - start) / step <= _MOST_TICKS), _TICKS[-1])
    first = -(-(start - MONDAY) // step)
    beyond = -(-(end - MONDAY) // step)
    return [MONDAY + number * step for number in range(first, beyond)]


def when(start: datetime, size: timedelta) -> str:
    """What a tooltip says of a cell's time."""
    return f"{interval(start, start + size)} UTC"


def made_once(make: Callable[P, Chart]) -> Callable[P, dict[str, Any]]:
    """Have a chart's specification be made once for the same arguments, which are hashable.

    Altair checks every part of it against a schema, which takes longer than all else on a page.
    """

    def specify(*args: P.args, **named: P.kwargs) -> dict[str, Any]:
        return make(*args, **named).to_dict()

    known = cast("Callable[P, dict[str, Any]]", lru_cache(maxsize=64)(specify))

    @wraps(make)
    def made(*args: P.args, **named: P.kwargs) -> dict[str, Any]:
        return deepcopy(known(*args, **named))  # who draws it may change it

    return made


def draw(
    chart: Chart | dict[str, Any],
    data: Mapping[str, pd.DataFrame],
    *,
    key: str,
    description: str,
    on_select: Callable[[], None] | None = None,
) -> None:
    """Put ``chart``, or its specification, on the page with the ``data`` that it names."""
    specification = chart if isinstance(chart, dict) else chart.to_dict()
    specification["datasets"] = dict(data)
    st.vega_lite_chart(
        specification,
        key=key,
        width="stretch",
        alt=description,
        on_select=on_select or "ignore",
    )
