"""Who says it: the share of negative documents by source and by kind, with intervals.

Pure but for the drawing. Names of sources are feed text.
"""

from collections.abc import Iterable, Sequence

import altair as alt
import pandas as pd

from dashboard.common.charts import draw, made_once
from dashboard.common.plain import plain
from dashboard.common.shares import wilson
from dashboard.common.telling import tell_rows
from dashboard.common.theme import Palette
from dashboard.common.words import later, say
from dashboard.now.timeline import SHARES
from store.buckets import Sums
from store.movement import Part

MOST = 12
"""Sources that are shown, the largest."""

_KINDS = {"news": later("News"), "comment": later("Comments")}
_ROW, _AROUND = 24, 46
_ROOM = 1.35
"""Where the axis of shares ends: what is over 1 is for the counts, which no bar may cover."""

_COLUMNS = ["name", "documents", "negative"]


def by_source(parts: Iterable[Part]) -> pd.DataFrame:
    """One row a source, the largest first, in plain text."""
    sums: dict[str, Sums] = {}
    for part in parts:
        sums[part.source] = sums.get(part.source, Sums()) + part.sums
    named = [(plain(source, 40), found) for source, found in sums.items()]
    return tabulate(sorted(named, key=lambda pair: (-pair[1].documents, pair[0]))[:MOST])


def by_kind(parts: Iterable[Part]) -> pd.DataFrame:
    """News against comments: one row each, if there are any."""
    sums: dict[str, Sums] = {}
    for part in parts:
        sums[part.kind] = sums.get(part.kind, Sums()) + part.sums
    order = [*_KINDS, *sorted(set(sums) - set(_KINDS))]
    return tabulate(
        [
            (say(_KINDS[kind]) if kind in _KINDS else plain(kind, 20), sums[kind])
            for kind in order
            if kind in sums
        ]
    )


def tabulate(named: Sequence[tuple[str, Sums]]) -> pd.DataFrame:
    """The share of each with its interval (90 %), and what a screen reader is told of it."""
    rows = [(name, sums.documents, sums.negative) for name, sums in named]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    low, high = wilson(table["negative"], table["documents"])
    table = table.assign(
        share=table["negative"] / table["documents"], low=low, high=high, rank=range(len(table))
    )
    pairs = zip(table["negative"], table["documents"], strict=True)
    counted = pd.Series(
        [say("{negative:,} of {held:,}", negative=negative, held=held) for negative, held in pairs],
        dtype=object,
    )
    return table.assign(counted=counted, told=table["name"] + ": " + counted + say(" negative"))


def draw_split(table: pd.DataFrame, palette: Palette, key: str, description: str) -> None:
    """A dot for each share on the bar of its interval, with its counts beside it."""
    draw(
        _chart(palette, len(table)),
        {"split": table},
        key=key,
        description=description,
        told=tell_rows(table["told"]),
    )


@made_once
def _chart(palette: Palette, shares: int) -> alt.LayerChart:
    rows = alt.Y(
        "name:N",
        sort=alt.EncodingSortField(field="rank", op="min"),
        title=None,
        axis=alt.Axis(labelLimit=150, minExtent=110, ticks=False, domain=False, labelPadding=8),
    )
    axis = alt.Axis(format="%", title=None, domain=False, **SHARES)
    across = alt.Scale(domain=[0, _ROOM], nice=False)
    base = alt.Chart(alt.NamedData(name="split")).encode(
        y=rows,
        description="told:N",
        tooltip=[
            alt.Tooltip("name:N", title=say("Of")),
            alt.Tooltip("counted:N", title=say("Negative")),
            alt.Tooltip("share:Q", title=say("Negative share"), format=".0%"),
            alt.Tooltip("low:Q", title=say("At least"), format=".0%"),
            alt.Tooltip("high:Q", title=say("At most"), format=".0%"),
        ],
    )
    bar = base.mark_bar(height=5, cornerRadius=2, color=palette.negative, opacity=0.3)
    dot = base.mark_point(filled=True, size=70, color=palette.negative, opacity=1)
    counts = base.mark_text(align="right", color=palette.muted, fontSize=11, dx=-2)
    return alt.LayerChart(
        height=shares * _ROW + _AROUND,
        layer=[
            bar.encode(x=alt.X("low:Q", axis=axis, scale=across), x2="high:Q"),
            dot.encode(x="share:Q"),
            counts.encode(x=alt.datum(_ROOM), text="counted:N"),
        ],
    )
