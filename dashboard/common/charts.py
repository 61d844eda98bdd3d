"""What the charts share: the time axis in the reader's zone, and drawing without flicker.

A chart names its data instead of holding it, so that new data flows into the drawing on screen;
a specification that changes would be drawn anew. Knows no run.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import lru_cache, wraps
from typing import Any, Concatenate, ParamSpec, cast

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.common.clock import both_intervals, in_zone, is_utc
from dashboard.common.preferences import Preferences, preferences
from dashboard.common.words import say
from store.views import MONDAY

P = ParamSpec("P")
Chart = alt.LayerChart | alt.Chart

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_TICKS = (
    *(_HOUR / 4, _HOUR / 2, _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY, 56 * _DAY, 112 * _DAY, 364 * _DAY),
)
_MOST_TICKS = 13


def milliseconds(at: datetime) -> int:
    """A moment as Vega takes it."""
    return round(at.timestamp() * 1000)


def time_axis(start: datetime, end: datetime, *, labels: bool = True) -> alt.X:
    """The horizontal axis from ``start`` to ``end``, over the field ``start`` in milliseconds.

    One layer of a chart carries it; the others say ``x="start:Q"`` and share it. It is a number
    to Vega, whose own time axis would place its ticks without regard to the reader's choice.
    """
    axis = alt.Axis(
        title=None,
        values=[milliseconds(at) for at in _ticks(start, end)],
        labels=labels,
        labelExpr=_label(years=end - start > 28 * _DAY),
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
    # On the round times of the reader's clock, which an hour that is left out or repeated shifts.
    zone, monday = preferences().zone, MONDAY.replace(tzinfo=None)
    numbers = ((in_zone(at).replace(tzinfo=None) - monday) // step for at in (start, end))
    first, last = numbers
    wall = (monday + number * step for number in range(first, last + 2))
    found = sorted({at.replace(tzinfo=zone).astimezone(UTC) for at in wall})
    return [at for at in found if start <= at < end]


def _label(*, years: bool) -> str:
    """How a tick is written: its zone is UTC or the browser's, and no other can be chosen."""
    if years:
        return f"{'utcFormat' if is_utc() else 'timeFormat'}(datum.value, '{say('%e %b %Y')}')"
    written, midnight = "utcFormat", "datum.value % 86400000 === 0"
    if not is_utc():
        written, midnight = "timeFormat", "hours(datum.value) + minutes(datum.value) === 0"
    date = f"{written}(datum.value, '{say('%e %b')}')"
    clock = f"{written}(datum.value, '%H:%M')"
    # Midnight has its date, and the first time too, below it: a short span has no midnight.
    return f"{midnight} ? {date} : datum.index > 0 ? {clock} : [{clock}, {date}]"


def when(start: datetime, size: timedelta) -> str:
    """What a tooltip says of a cell's time."""
    return both_intervals(start, start + size)


def made_once(make: Callable[P, Chart]) -> Callable[P, dict[str, Any]]:
    """Have a chart's specification be made once for the same arguments, which are hashable.

    And once for each zone and language: its axis is written in them.

    Altair checks every part of it against a schema, which takes longer than all else on a page.
    """

    def specify(_for: Preferences, *args: P.args, **named: P.kwargs) -> dict[str, Any]:
        return make(*args, **named).to_dict()

    known = cast(
        "Callable[Concatenate[Preferences, P], dict[str, Any]]", lru_cache(maxsize=64)(specify)
    )

    @wraps(make)
    def made(*args: P.args, **named: P.kwargs) -> dict[str, Any]:
        return deepcopy(known(preferences(), *args, **named))  # who draws it may change it

    return made


def draw(  # noqa: PLR0913 - a chart, and what is said of it
    chart: Chart | dict[str, Any],
    data: Mapping[str, pd.DataFrame],
    *,
    key: str,
    description: str,
    told: str,
    on_select: Callable[[], None] | None = None,
) -> None:
    """Put ``chart``, or its specification, on the page with the ``data`` that it names.

    ``description`` calls it by name, ``told`` says in a sentence what it shows, unseen.
    """
    specification = chart if isinstance(chart, dict) else chart.to_dict()
    specification["datasets"] = dict(data)
    st.vega_lite_chart(
        specification,
        key=key,
        width="stretch",
        alt=description,
        on_select=on_select or "ignore",
    )
    with st.container(key=f"told-{key}"):
        st.text(f"{description}. {told}")
