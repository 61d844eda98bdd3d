"""What was said of which class: the matrix of a head, and its commonest mistakes.

A cell's depth is its share of the true class; what is right is framed, so that no colour has to
tell it. Class names may be of a user's making, so they are made plain.
"""

import altair as alt
import pandas as pd

from dashboard.common.charts import draw
from dashboard.common.plain import plain
from dashboard.common.telling import tell_rows
from dashboard.common.theme import Palette
from dashboard.common.words import later, say
from dashboard.model.model_card import HeadFigures

CELLS = {"share": later("Shares"), "rows": later("Counts")}

_HEIGHT, _ROW, _LEAST = 210, 34, 20
"""Pixels: height of a small matrix and of a class in a large one; width of a cell with a number."""

_NUMBERED = 0.005
"""A share below this is not written into its cell."""


def tabulate_cells(score: HeadFigures) -> pd.DataFrame:
    """One row a cell: ``true`` and ``said`` in plain text, rows, and their share of the class."""
    names = [plain(name, 40) for name in score.names]
    rows = [
        (true, said, count, count / sum(line) if sum(line) else 0.0, true == said)
        for true, line in zip(names, score.confusion, strict=True)
        for said, count in zip(names, line, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["true", "said", "rows", "share", "right"])
    return table.assign(
        told=[
            say(
                "{true} taken for {said}: {rows:,} rows, {share:.1%}",
                true=cell.true,
                said=cell.said,
                rows=cell.rows,
                share=cell.share,
            )
            if not cell.right
            else say(
                "{true}, told rightly: {rows:,} rows, {share:.1%}",
                true=cell.true,
                rows=cell.rows,
                share=cell.share,
            )
            for cell in table.itertuples()
        ]
    )


def tabulate_mistakes(cells: pd.DataFrame, most: int = 8) -> pd.DataFrame:
    """The commonest mistakes; shares in % of the true class."""
    wrong = cells[~cells["right"] & (cells["rows"] > 0)]
    worst = wrong.sort_values(["rows", "share"], ascending=False).head(most)
    table = pd.DataFrame({"True": worst["true"], "Taken for": worst["said"], "Rows": worst["rows"]})
    return table.assign(Share=100 * worst["share"]).reset_index(drop=True)


def draw_confusion(score: HeadFigures, cells: pd.DataFrame, written: str, palette: Palette) -> None:
    """Draw the matrix; ``written`` is which of ``CELLS`` stands in the cells."""
    names = [plain(name, 40) for name in score.names]
    shown = cells[cells["rows"] > 0]
    draw(
        _chart(names, written, palette),
        {"cells": shown},
        key=f"confusion-{score.head}-{written}",
        description=say("True against predicted classes: {head}", head=score.head),
        told=tell_rows(shown.sort_values(["right", "rows"], ascending=[True, False])["told"]),
    )


def _chart(names: list[str], written: str, palette: Palette) -> alt.LayerChart:
    size = len(names)
    across = alt.X(
        "said:N",
        sort=names,
        scale=alt.Scale(domain=names),
        title=say("Said"),
        axis=alt.Axis(
            orient="top",
            labelAngle=-50 if size > 5 else 0,
            labelLimit=150,
            labelOverlap=False,
            ticks=False,
            domain=False,
        ),
    )
    down = alt.Y(
        "true:N",
        sort=names,
        scale=alt.Scale(domain=names),
        title="True",
        axis=alt.Axis(labelLimit=170, labelOverlap=False, ticks=False, domain=False),
    )
    told = [
        alt.Tooltip("true:N", title="True"),
        alt.Tooltip("said:N", title=say("Said")),
        alt.Tooltip("rows:Q", title=say("Rows"), format=","),
        alt.Tooltip("share:Q", title=say("Share of the true class"), format=".1%"),
    ]
    cells = alt.Chart(alt.NamedData(name="cells")).encode(x=across, y=down)
    depth = alt.Color(
        "share:Q",
        scale=alt.Scale(domain=[0, 1], range=[palette.surface, palette.accent]),
        legend=None,
    )
    number = "datum.share * 100" if written == "share" else "datum.rows"
    # On a narrow screen the cells are too small for numbers: the table beside has them.
    room = alt.expr(f"width / {size} < {_LEAST} ? 0 : 1")
    light = alt.condition(
        "datum.share > 0.55", alt.value(palette.background), alt.value(palette.text)
    )
    form = ".0f" if written == "share" else ",.0f"
    numbers = cells.transform_filter(f"datum.share >= {_NUMBERED}").transform_calculate(
        number=f"format({number}, '{form}')"
    )
    return alt.LayerChart(
        height=max(size * _ROW, _HEIGHT),
        layer=[
            cells.mark_rect(strokeWidth=1).encode(
                color=depth,
                stroke=alt.condition("datum.right", alt.value(palette.text), alt.value(None)),
                tooltip=told,
                description="told:N",
            ),
            numbers.mark_text(fontSize=11, opacity=room).encode(
                text="number:N", color=light, tooltip=told
            ),
        ],
    )
