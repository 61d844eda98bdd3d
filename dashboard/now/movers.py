"""What has changed most: topics and symbols whose negative share moved beyond chance.

A part of the span against what came before it. They are ranked by the change that is sure (the
end of its 99 % interval that lies nearest to none), so a few documents cannot shout. Pure but for
the drawing.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import altair as alt
import pandas as pd

from dashboard.common.charts import draw, made_once
from dashboard.common.plain import plain
from dashboard.common.shares import SURE, difference
from dashboard.common.telling import tell_rows
from dashboard.common.theme import Palette
from dashboard.common.view import View
from dashboard.common.words import later, say
from store.movement import Change

MOST, FEWEST = 8, 10
"""Movers that are shown, and the documents that one must have in the latest part."""

_CELLS = 4
"""The latest part is so many cells of the heatmap."""

_SCOPES = {"topic": later("topic"), "symbol": later("symbol")}
_ROW, _AROUND = 32, 46
_COLUMNS = ["scope", "key", "name", "held", "negative", "earlier", "earlier_negative"]
_SAID = ["before", "now", "held"]
_TOLD = ["name", "earlier_negative", "earlier", "negative", "held"]


def latest(view: View, end: datetime | None = None) -> tuple[datetime, datetime]:
    """The latest part of the span, or the one that ends at ``end``."""
    end = end or view.end
    return max(view.start, end - _CELLS * view.cell), end


def tabulate(changes: Mapping[str, Sequence[Change]]) -> pd.DataFrame:
    """One row a mover, the surest first; ``changes`` are by scope."""
    rows = [
        (
            scope,
            each.key,
            f"{plain(each.key, 26)} ({say(_SCOPES[scope])})",
            each.now.documents,
            each.now.negative,
            each.before.documents,
            each.before.negative,
        )
        for scope, found in changes.items()
        for each in found
        if each.now.documents >= FEWEST and each.before.documents
    ]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    now, before = (table["negative"], table["held"]), (table["earlier_negative"], table["earlier"])
    apart, low, high = difference(now, before, SURE)
    sure = low.clip(lower=0) + (-high).clip(lower=0)
    table = table.assign(now=now[0] / now[1], before=before[0] / before[1], apart=apart, sure=sure)
    moved = table[table["sure"] > 0].sort_values(["sure", "name"], ascending=[False, True])
    moved = moved.head(MOST).reset_index(drop=True)
    said = [_say(*row) for row in zip(*(moved[name] for name in _SAID), strict=True)]
    told = [_tell(*row) for row in zip(*(moved[name] for name in _TOLD), strict=True)]
    return moved.assign(
        rank=range(len(moved)),
        rises=moved["apart"] > 0,
        said=pd.Series(said, dtype=object),
        told=pd.Series(told, dtype=object),
    )


def draw_movers(
    table: pd.DataFrame, palette: Palette, key: str, on_select: Callable[[], None]
) -> None:
    """Draw what ``tabulate`` made: a ring for before, an arrow for now; a click chooses."""
    draw(
        _chart(palette, len(table)),
        {"movers": table},
        key=key,
        description=say("Topics and symbols whose negative share changed most"),
        told=tell_rows(table["told"], MOST),
        on_select=on_select,
    )


@made_once
def _chart(palette: Palette, movers: int) -> alt.LayerChart:
    chosen = alt.selection_point("mover", fields=["scope", "key"], toggle=False)
    rows = alt.Y(
        "name:N",
        sort=alt.EncodingSortField(field="rank", op="min"),
        title=None,
        axis=alt.Axis(labelLimit=190, minExtent=150, ticks=False, domain=False, labelPadding=8),
    )
    across = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%", tickCount=4, title=None, domain=False)
    rising = alt.Scale(domain=[True, False], range=[palette.negative, palette.accent])
    colour = alt.Color("rises:N", scale=rising, legend=None)
    arrows = alt.Scale(domain=[True, False], range=["triangle-right", "triangle-left"])
    shape = alt.Shape("rises:N", scale=arrows, legend=None)
    base = alt.Chart(alt.NamedData(name="movers")).encode(
        y=rows,
        tooltip=[
            alt.Tooltip("name:N", title=say("Mover")),
            alt.Tooltip("told:N", title=say("Negative share")),
            alt.Tooltip("sure:Q", title=say("Surely moved by"), format=".0%"),
        ],
    )
    path = base.mark_bar(height=4).encode(
        x=alt.X("before:Q", axis=axis, scale=across), x2="now:Q", color=colour
    )
    ring = base.mark_point(size=60, strokeWidth=1.5, color=palette.muted, opacity=1)
    arrow = base.mark_point(filled=True, size=130, opacity=1)
    words = base.mark_text(align="left", baseline="top", dy=6, fontSize=11, color=palette.muted)
    # Over everything, and as wide as the chart: a click anywhere in a row hits it.
    row = base.mark_bar(height=_ROW - 4, cursor="pointer", color=palette.accent).encode(
        x=alt.datum(0),
        x2=alt.datum(1),
        opacity=alt.condition(chosen, alt.value(0.14), alt.value(0), empty=False),
        description="told:N",
    )
    return alt.LayerChart(
        height=movers * _ROW + _AROUND,
        layer=[
            path,
            ring.encode(x="before:Q"),
            arrow.encode(x="now:Q", color=colour, shape=shape),
            words.encode(x=alt.datum(0), text="said:N"),
            row.add_params(chosen),
        ],
    )


def _say(before: float, now: float, held: int) -> str:
    return say(
        "{arrow} {before:.0%} to {now:.0%}, {held:,} documents",
        arrow="▲" if now > before else "▼",
        before=before,
        now=now,
        held=held,
    )


def _tell(name: str, earlier_negative: int, earlier: int, negative: int, held: int) -> str:
    return say(
        "{name}: {negative:,} of {held:,} negative, {earlier_negative:,} of {earlier:,} before",
        name=name,
        negative=negative,
        held=held,
        earlier_negative=earlier_negative,
        earlier=earlier,
    )
