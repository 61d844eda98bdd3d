"""Pictures of an evaluation: confusion matrices and reliability diagrams, as small PNG files.

Draws on figures of its own, so no global state of matplotlib is touched. The colours are those of
Okabe and Ito and one scale of a single hue, which colour-blind readers can tell apart. Knows no
model.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from classifier.evaluation.calibration import Reliability

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"
_DOTS_PER_INCH = 90
_COLOURS = 64
_MOST_COUNTED = 40
"""With more classes than these the cells are too small for their counts."""


def plot_confusion(
    path: Path, names: Sequence[str], matrix: Sequence[Sequence[int]], title: str
) -> None:
    """Write the confusion matrix (true class by predicted class, C x C) as a PNG.

    The colour is the share of the true class; each cell has its count, unless the
    classes are too many. Empty cells stay blank.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    size = float(np.clip(2.0 + 0.42 * len(names), 4.2, 16))
    figure = Figure(figsize=(size, size), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(names))
    text: dict[str, Any] = {"fontsize": 8, "parse_math": False}  # a class may be called "$TSLA$"
    axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor", **text)
    axes.set_yticks(ticks, names, **text)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(fill(title, int(12 * size)), fontsize=9, parse_math=False)
    axes.spines[:].set_color(GREY)
    axes.tick_params(length=0)
    cells = zip(*counts.nonzero(), strict=True) if len(names) <= _MOST_COUNTED else ()
    for row, column in cells:
        colour = "white" if shares[row, column] > 0.55 else "black"
        count = f"{counts[row, column]:d}"
        axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=7)
    _save(figure, path)


def plot_reliability(path: Path, heads: Mapping[str, Mapping[str, Reliability]]) -> None:
    """Write one reliability diagram a head as a PNG; each head has its series by name.

    Above, the share that is right against the mean top probability of each bin, with the diagonal
    of perfect calibration; below, how many rows each bin holds.
    """
    figure = Figure(figsize=(3.8 * len(heads), 4.4), dpi=_DOTS_PER_INCH, layout="constrained")
    grid = figure.subplots(
        2, len(heads), squeeze=False, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    for column, (head, series) in enumerate(heads.items()):
        _draw_reliability(grid[0, column], grid[1, column], head, series)
    grid[0, 0].set_ylabel("share that is right")
    grid[1, 0].set_ylabel("rows")
    _save(figure, path)


def _draw_reliability(
    above: Axes, below: Axes, head: str, series: Mapping[str, Reliability]
) -> None:
    above.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    styles = ((VERMILION, "o", "--"), (BLUE, "s", "-"))
    for (name, found), (colour, marker, line) in zip(series.items(), styles, strict=False):
        sure = [b.confidence for b in found.bins]
        above.plot(
            sure,
            [b.accuracy for b in found.bins],
            color=colour,
            marker=marker,
            linestyle=line,
            markersize=4,
            linewidth=1.2,
            label=f"{name}: ECE {found.ece:.3f}",
        )
        below.plot(
            sure,
            [b.rows for b in found.bins],
            color=colour,
            marker=marker,
            linestyle=line,
            markersize=3,
            linewidth=1,
        )
    rows = max((found.rows for found in series.values()), default=0)
    above.set_title(f"{head}, {rows:,} rows", fontsize=10)
    above.set(xlim=(0, 1), ylim=(0, 1))
    if rows:
        below.set_yscale("log")
    below.set_xlabel("top probability")
    if series:
        above.legend(loc="upper left", fontsize=8, frameon=False)


def _save(figure: Figure, path: Path) -> None:
    """Write few colours: a third of the size, and nobody sees it."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(_COLOURS).save(path, optimize=True)
