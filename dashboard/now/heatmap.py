"""Topics by time: how large a share of the documents is negative, and how much that rests on.

Colour is the share; a cell fades as its documents grow few, so that a red cell of three does not
shout. Knows no widget but its own selection.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.common.charts import draw, made_once, milliseconds, time_axis, when
from dashboard.common.plain import plain
from dashboard.common.telling import tell_rows
from dashboard.common.theme import HEAT_SHARES, Palette
from dashboard.common.view import View
from dashboard.common.words import say
from store.views import Bin

_HALF = 6
"""A cell of so many documents has half its colour."""

_GAP = 0.08
_ROW, _AROUND, _LABELS = 19, 108, 156
"""Pixels: a topic's height, what legend and time axis take, and room for a marked topic."""


def draw_heatmap(
    view: View, cells: pd.DataFrame, palette: Palette, key: str, on_select: Callable[[], None]
) -> None:
    """Draw what ``tabulate`` made; a click on a cell calls ``on_select``."""
    topics = cells["topic"].nunique()
    draw(
        _chart(view.start, view.end, palette, topics),
        {"cells": cells},
        key=key,
        description=say("Share of negative documents for each topic over time"),
        told=tell_rows(cells.sort_values("negative", ascending=False)["told"]),
        on_select=on_select,
    )
    st.caption(
        say(
            "Faint cells rest on few documents. Select a cell to read what is behind it, or choose "
            "its time below."
        )
    )


def chosen_cell(key: str) -> tuple[str, datetime] | None:
    """The topic and the time of the selected cell."""
    selection = st.session_state.get(key, {}).get("selection", {}).get("cell", [])
    if not selection:
        return None
    start = datetime.fromtimestamp(selection[0]["start"] / 1000, UTC)
    return str(selection[0]["topic"]), start


def tabulate(bins: Iterable[Bin], cell: timedelta, topic: str | None = None) -> pd.DataFrame:
    """One row a cell, ``topic`` marked; the topic with most negative documents has rank 0."""
    bins = list(bins)
    negative: Counter[str] = Counter()
    for found in bins:
        negative[found.key] += found.sums.negative
    order = sorted(negative, key=lambda key: (-negative[key], key))
    ranks = {topic: rank for rank, topic in enumerate(order)}
    rows = [_row(found, cell, ranks[found.key]) for found in bins if found.sums.documents]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    marked = table["topic"] == topic
    return table.assign(shown=table["shown"].mask(marked, "▸ " + table["shown"]))


_COLUMNS = [
    "topic", "shown", "rank", "start", "end", "when", "documents", "negative", "share", "weight",
    "told",
]  # fmt: skip


def _row(found: Bin, cell: timedelta, rank: int) -> tuple[object, ...]:
    documents, negative = found.sums.documents, found.sums.negative
    topic, time = plain(found.key, 40), when(found.start, cell)
    return (
        found.key,
        topic,
        rank,
        milliseconds(found.start),
        milliseconds(found.start + cell * (1 - _GAP)),
        time,
        documents,
        negative,
        negative / documents,
        documents / (documents + _HALF),
        say(
            "{topic}, {time}: {negative:,} of {documents:,} negative",
            topic=topic,
            time=time,
            negative=negative,
            documents=documents,
        ),
    )


@made_once
def _chart(start: datetime, end: datetime, palette: Palette, topics: int) -> alt.Chart:
    chosen = alt.selection_point("cell", fields=["topic", "start"], toggle=False)
    share = alt.Color(
        "share:Q",
        scale=alt.Scale(domain=list(HEAT_SHARES), range=list(palette.heat), clamp=True),
        legend=alt.Legend(
            title=say("Negative share"),
            orient="top",
            format=".0%",
            values=[0, 0.4, 0.8],
            gradientLength=130,
            gradientThickness=8,
            titleFontWeight="normal",
            offset=6,
        ),
    )
    rows = alt.Y(
        "shown:N",
        sort=alt.EncodingSortField(field="rank", op="min"),
        title=None,
        scale=alt.Scale(paddingInner=0.1, paddingOuter=0.05),
        axis=alt.Axis(
            labelLimit=220,
            minExtent=_LABELS,
            labelOverlap=False,
            labelFlush=False,
            labelPadding=8,
            ticks=False,
            domain=False,
            grid=False,
        ),
    )
    tooltip = [
        alt.Tooltip("shown:N", title=say("Topic")),
        alt.Tooltip("when:N", title=say("Time")),
        alt.Tooltip("documents:Q", title=say("Documents"), format=","),
        alt.Tooltip("negative:Q", title=say("Negative"), format=","),
        alt.Tooltip("share:Q", title=say("Negative share"), format=".0%"),
    ]
    cells = alt.Chart(alt.NamedData(name="cells"), height=topics * _ROW + _AROUND)
    chart: alt.Chart = (
        cells.mark_rect(cornerRadius=2, cursor="pointer", strokeWidth=2)
        .encode(
            x=time_axis(start, end),
            x2="end:Q",
            y=rows,
            color=share,
            opacity=alt.Opacity(
                "weight:Q", scale=alt.Scale(domain=[0, 1], range=[0.1, 1]), legend=None
            ),
            stroke=alt.condition(
                chosen, alt.value(palette.text), alt.value("transparent"), empty=False
            ),
            tooltip=tooltip,
            description="told:N",
        )
        .add_params(chosen)
    )
    return chart
