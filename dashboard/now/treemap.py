"""The symbols of a run by volume: area is documents, colour and sign are net sentiment.

A squarified treemap (Bruls, Huizing and van Wijk 2000). Pure but for the drawing.
"""

from collections.abc import Callable, Sequence

import altair as alt
import pandas as pd

from dashboard.common.charts import draw, made_once
from dashboard.common.plain import plain
from dashboard.common.telling import tell_rows
from dashboard.common.theme import Palette
from dashboard.common.words import say
from store.movement import Change

MOST = 30
"""Symbols that are shown, the largest."""

Rectangle = tuple[float, float, float, float]
"""Left, top, width and height."""

_HELD_BACK = 6
"""A symbol of so many documents has half of its colour."""

_ASPECT, _HEIGHT = 2.0, 300
_NETS = (-0.65, -0.35, -0.12, 0.05, 0.4)
"""The net sentiments at which the heat colours stand, the most negative first."""

_LABELLED = 52
"""Pixels: a narrower cell has its name in small below its sign, and no figure."""

_INK = -0.4
"""Colours below this are strong enough to bear the background's colour as text."""

_COLUMNS = [
    "key", "name", "documents", "net", "shade", "sign", "label", "told", "x", "y", "w", "h",
]  # fmt: skip


def squarify(areas: Sequence[float], width: float, height: float) -> list[Rectangle]:
    """Rectangles in proportion to ``areas``, which fall and are above 0; together they fill all.

    Each row of them lies along the shorter side, and takes one more as long as that makes its
    worst rectangle squarer.
    """
    scale = width * height / sum(areas) if areas else 0.0
    left = [area * scale for area in areas]
    x = y = 0.0
    found: list[Rectangle] = []
    while left:
        side = min(width, height)
        count = _row(left, side)
        row, left = left[:count], left[count:]
        thick = sum(row) / side
        along = 0.0
        for area in row:
            length = area / thick
            if width >= height:
                found.append((x, y + along, thick, length))
            else:
                found.append((x + along, y, length, thick))
            along += length
        if width >= height:
            x, width = x + thick, width - thick
        else:
            y, height = y + thick, height - thick
    return found


def tabulate(changes: Sequence[Change]) -> pd.DataFrame:
    """One row a symbol, the largest first, with its place in a square of side 1."""
    summed = [(each.key, each.before + each.now) for each in changes]
    largest = sorted(summed, key=lambda pair: (-pair[1].documents, pair[0]))[:MOST]
    places = squarify([float(sums.documents) for _, sums in largest], _ASPECT, 1)
    rows = []
    for (key, sums), (x, y, width, height) in zip(largest, places, strict=True):
        balance = sums.positive - sums.negative
        net, shade = balance / sums.documents, balance / (sums.documents + _HELD_BACK)
        name, sign = plain(key, 20), _sign(net)
        told = say(
            "{name}: {documents:,} documents, net sentiment {net:+.2f}",
            name=name,
            documents=sums.documents,
            net=net,
        )
        place = (x / _ASPECT, y, width / _ASPECT, height)
        rows.append((key, name, sums.documents, net, shade, sign, f"{sign} {name}", told, *place))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.assign(x2=table["x"] + table["w"], y2=table["y"] + table["h"])


def draw_treemap(
    table: pd.DataFrame, palette: Palette, key: str, on_select: Callable[[], None]
) -> None:
    """Draw what ``tabulate`` made; a click on a symbol calls ``on_select``."""
    draw(
        _chart(palette),
        {"symbols": table},
        key=key,
        description=say("Symbols by documents, with their net sentiment"),
        told=tell_rows(table["told"]),
        on_select=on_select,
    )


@made_once
def _chart(palette: Palette) -> alt.LayerChart:
    chosen = alt.selection_point("symbol", fields=["key"], toggle=False)
    hidden, square = None, alt.Scale(domain=[0, 1], nice=False, zero=False)
    across = alt.X("x:Q", axis=hidden, scale=square)
    down = alt.Y("y:Q", axis=hidden, scale=alt.Scale(domain=[1, 0], nice=False, zero=False))
    shade = alt.Color(
        "shade:Q",
        scale=alt.Scale(
            domain=list(_NETS), range=list(reversed(palette.heat)), clamp=True, interpolate="rgb"
        ),
        legend=alt.Legend(
            title=say("Net sentiment"),
            orient="top",
            format="+.1f",
            values=[-0.6, 0, 0.4],
            gradientLength=130,
            gradientThickness=8,
            titleFontWeight="normal",
            offset=6,
        ),
    )
    cells = alt.Chart(alt.NamedData(name="symbols"))
    rectangles = (
        cells.mark_rect(cornerRadius=3, cursor="pointer", strokeWidth=2)
        .encode(
            x=across,
            x2="x2:Q",
            y=down,
            y2="y2:Q",
            color=shade,
            stroke=alt.condition(
                chosen, alt.value(palette.text), alt.value(palette.background), empty=False
            ),
            tooltip=[
                alt.Tooltip("name:N", title=say("Symbol")),
                alt.Tooltip("documents:Q", title=say("Documents"), format=","),
                alt.Tooltip("net:Q", title=say("Net sentiment"), format="+.2f"),
            ],
            description="told:N",
        )
        .add_params(chosen)
    )
    return alt.LayerChart(
        height=_HEIGHT,
        layer=[
            rectangles,
            _text(cells, "label:N", 15, (_LABELLED, 9999), palette),
            _text(cells, "sign:N", 15, (16, _LABELLED), palette),
            _text(cells, "net:Q", 30, (_LABELLED, 9999), palette),
            _text(cells, "name:N", 30, (30, _LABELLED), palette),
        ],
    )


def _text(
    cells: alt.Chart, field: str, below: int, widths: tuple[int, int], palette: Palette
) -> alt.Chart:
    """Text near the top left of each cell that is high enough and has one of these widths."""
    least, most = widths
    wide = f"datum.w * width >= {least} && datum.w * width < {most}"
    number = field == "net:Q"
    chart: alt.Chart = cells.mark_text(
        align="left",
        baseline="bottom",
        dx=5,
        dy=below + 3,
        fontSize=10 if field == "name:N" else 12,
        fontWeight="normal" if number else "bold",
        limit=alt.ExprRef("max(0, datum.w * width - 7)"),
        opacity=alt.ExprRef(f"datum.h * height > {below + 4} && {wide} ? 1 : 0"),
    ).encode(
        x="x:Q",
        y="y:Q",
        text=alt.Text(field, format="+.2f") if number else alt.Text(field),
        color=alt.condition(
            f"datum.shade < {_INK}", alt.value(palette.background), alt.value(palette.text)
        ),
    )
    return chart


def _sign(net: float) -> str:
    if abs(net) < 0.005:
        return "●"
    return "▼" if net < 0 else "▲"


def _row(areas: Sequence[float], side: float) -> int:
    """How many of ``areas`` make a row along ``side``."""
    worst, total = float("inf"), 0.0
    for count, area in enumerate(areas, 1):
        total += area
        thick = total / side
        ratio = max(max(thick * thick / each, each / (thick * thick)) for each in (areas[0], area))
        if ratio > worst:
            return count - 1
        worst = ratio
    return len(areas)
