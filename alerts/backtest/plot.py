"""A picture of a backtest: a lane for each subject, a bar for each firing. Needs matplotlib.

Draws on a figure of its own. Severity is the depth of one hue; the other rules are outlined, so
that nothing is told by colour alone. Keys are feed text: never read as mathematics.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from alerts.backtest.comparison import KnownEvent
from alerts.backtest.firings import Firing
from alerts.conditions.finders import Stretch

LANES = 30
"""Subjects that are drawn; those with most time firing come first."""

VERMILION, GREY, BLUE = "#D55E00", "#666666", "#0072B2"
_LEAST_SHARE = 1 / 400
"""Of the picture's width: a bar is never thinner, or a short firing in a year would vanish."""

Subject = tuple[str, str]


def plot_firings(
    path: Path,
    new: Sequence[Firing],
    span: Stretch,
    old: Sequence[Firing] | None = None,
    known: Sequence[KnownEvent] = (),
) -> None:
    """Write the firings of a span as a PNG; ``old`` are those of other rules, drawn beneath."""
    subjects = _busiest([*new, *(old or ())], span)
    height = 1.6 + 0.34 * max(1, len(subjects))
    figure = Figure(figsize=(11, height), dpi=100, layout="constrained")
    axes = figure.subplots()
    for event in known:
        start: Any = event.start
        end: Any = max(event.end, event.start + _least(span))
        axes.axvspan(start, end, color=BLUE, alpha=0.15)
    for lane, subject in enumerate(subjects):
        here = [firing for firing in new if firing.subject == subject]
        there = None if old is None else [f for f in old if f.subject == subject]
        _draw(axes, lane, here, there, span)
    said = ["filled: these rules, the deeper the more severe"]
    said += ["outlined: the other rules"] * (old is not None) + ["blue: known events"] * bool(known)
    axes.set_title("; ".join(said), fontsize=9, loc="left", color=GREY)
    _label(axes, subjects, span)
    figure.savefig(path, format="png")


def _busiest(some: Sequence[Firing], span: Stretch) -> list[Subject]:
    lasted: dict[Subject, timedelta] = defaultdict(timedelta)
    for firing in some:
        lasted[firing.subject] += firing.lasted(span.until)
    return sorted(lasted, key=lambda subject: (-lasted[subject], subject))[:LANES]


def _least(span: Stretch) -> timedelta:
    return (span.until - span.after) * _LEAST_SHARE


def _draw(
    axes: Axes, lane: int, here: Sequence[Firing], there: Sequence[Firing] | None, span: Stretch
) -> None:
    """One subject: its firings in the middle of the lane, or above those of the other rules."""
    height, bottom = (0.7, lane - 0.35) if there is None else (0.36, lane - 0.4)
    for firing in here:
        depth = 0.25 + 0.075 * firing.severity
        axes.broken_barh([_bar(firing, span)], (bottom, height), color=VERMILION, alpha=depth)
    for firing in there or ():
        outline: dict[str, Any] = {"facecolor": "none", "edgecolor": GREY, "linewidth": 1.0}
        axes.broken_barh([_bar(firing, span)], (lane + 0.04, height), **outline)


def _bar(firing: Firing, span: Stretch) -> Any:  # noqa: ANN401 - matplotlib's types know no dates
    return firing.fired_at, max(firing.lasted(span.until), _least(span))


def _label(axes: Axes, subjects: Sequence[Subject], span: Stretch) -> None:
    names = [key or "all documents" for _, key in subjects]
    axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    axes.set_ylim(max(len(names), 1) - 0.4, -0.6)
    start: Any = span.after
    end: Any = span.until
    axes.set_xlim(start, end)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel(f"event time, UTC, {_day(span.after)} to {_day(span.until)}", fontsize=8)


def _day(moment: datetime) -> str:
    return f"{moment:%d %b %Y %H:%M}"
