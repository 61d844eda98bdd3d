"""The alerts of two sets of rules on one time axis: a lane for each subject, A above B.

A is filled and B outlined, each bar bears its letter, and those that both have are faint: nothing
is told by colour alone. Keys are feed text and made plain.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import pandas as pd

from alerts.backtest.comparison import KnownEvent
from alerts.backtest.firings import Firing
from alerts.conditions.finders import Stretch
from dashboard.common.charts import draw, milliseconds, time_axis
from dashboard.common.clock import dated
from dashboard.common.plain import plain
from dashboard.common.telling import tell_rows
from dashboard.common.theme import Palette
from dashboard.common.words import say

LANES, BARS = 30, 2000
"""Subjects and firings that are drawn; those that fired longest come first."""

_ROW, _AROUND = 34, 40
_LEAST_SHARE = 1 / 300
"""Of the whole span: a bar is never thinner, or a short firing in a year would vanish."""

_COLUMNS = [
    "subject", "rank", "set", "start", "end", "alone", "rule", "fired", "resolved", "told",
]  # fmt: skip
Subject = tuple[str, str]


def tabulate_lanes(
    a: Sequence[Firing], b: Sequence[Firing], alone: Collection[int], span: Stretch
) -> pd.DataFrame:
    """One row a firing of the busiest subjects; ``alone`` are ids of those only one side has."""
    order = _busiest([*a, *b], span)
    ranks = {subject: rank for rank, subject in enumerate(order)}
    rows = [
        _row(firing, letter, ranks[firing.subject], alone, span)
        for letter, some in (("A", a), ("B", b))
        for firing in some
        if firing.subject in ranks
    ]
    if len(rows) > BARS:
        rows = sorted(rows, key=_length, reverse=True)[:BARS]
    return pd.DataFrame(rows, columns=_COLUMNS)


def draw_lanes(
    table: pd.DataFrame, known: Sequence[KnownEvent], span: Stretch, palette: Palette
) -> None:
    """Draw what ``tabulate_lanes`` made, and the spans of known events behind it."""
    draw(
        _chart(table["subject"].nunique(), span, palette),
        {"firings": table, "events": _events(known, span)},
        key="lanes",
        description=say("Alerts of rules A and rules B over time, a lane for each subject"),
        told=tell_rows(table["told"]),
    )


def subject_name(subject: Subject) -> str:
    """How a scope and key are called on screen."""
    scope, key = subject
    return plain(key, 60) if scope != "all" else say("All documents")


def _busiest(some: Sequence[Firing], span: Stretch) -> list[Subject]:
    lasted: dict[Subject, timedelta] = defaultdict(timedelta)
    for firing in some:
        lasted[firing.subject] += firing.lasted(span.until)
    return sorted(lasted, key=lambda subject: (-lasted[subject], subject))[:LANES]


def _length(row: tuple[Any, ...]) -> int:
    return int(row[_COLUMNS.index("end")] - row[_COLUMNS.index("start")])


def _row(
    firing: Firing, letter: str, rank: int, alone: Collection[int], span: Stretch
) -> tuple[Any, ...]:
    subject, rule = subject_name(firing.subject), plain(firing.rule, 60)
    fired = f"{dated(firing.fired_at)}"
    resolved = dated(firing.resolved_at) if firing.resolved_at else say("still firing")
    only = id(firing) in alone
    whose = (
        say("{letter} only", letter=letter)
        if only
        else say("{letter} and the other", letter=letter)
    )
    return (
        subject,
        rank,
        letter,
        milliseconds(firing.fired_at),
        milliseconds(firing.fired_at + _drawn(firing.lasted(span.until), span)),
        only,
        rule,
        fired,
        resolved,
        say(
            "{whose}: {subject}, {rule}, {fired} to {resolved}",
            whose=whose,
            subject=subject,
            rule=rule,
            fired=fired,
            resolved=resolved,
        ),
    )


def _drawn(lasted: timedelta, span: Stretch) -> timedelta:
    return max(lasted, (span.until - span.after) * _LEAST_SHARE)


def _events(known: Sequence[KnownEvent], span: Stretch) -> pd.DataFrame:
    rows = [
        (
            milliseconds(max(event.start, span.after)),
            milliseconds(min(event.start + _drawn(event.end - event.start, span), _end(span))),
            plain(event.name or event.key or say("known event"), 60),
        )
        for event in known
    ]
    return pd.DataFrame(rows, columns=["start", "end", "name"])


def _end(span: Stretch) -> datetime:
    return span.until + (span.until - span.after) * _LEAST_SHARE


def _chart(lanes: int, span: Stretch, palette: Palette) -> alt.LayerChart:
    rows = alt.Y(
        "subject:N",
        sort=alt.EncodingSortField(field="rank", op="min"),
        title=None,
        scale=alt.Scale(paddingInner=0.25),
        axis=alt.Axis(labelLimit=150, labelOverlap=False, ticks=False, domain=False, grid=True),
    )
    firings = alt.Chart(alt.NamedData(name="firings")).encode(
        y=rows,
        yOffset=alt.YOffset("set:N", scale=alt.Scale(domain=["A", "B"])),
        tooltip=[
            alt.Tooltip("set:N", title=say("Rules")),
            alt.Tooltip("subject:N", title=say("Subject")),
            alt.Tooltip("rule:N", title=say("Rule")),
            alt.Tooltip("fired:N", title=say("Fired")),
            alt.Tooltip("resolved:N", title=say("Resolved")),
        ],
        description="told:N",
    )
    depth = alt.condition("datum.alone", alt.value(1.0), alt.value(0.45))
    bars = {
        "A": firings.mark_bar(color=palette.accent, cornerRadius=2),
        "B": firings.mark_bar(
            fill=palette.background, stroke=palette.negative, strokeWidth=2, cornerRadius=2
        ),
    }
    events = alt.Chart(alt.NamedData(name="events")).mark_rect(color=palette.heat[1], opacity=0.35)
    return alt.LayerChart(
        height=max(90, lanes * _ROW) + _AROUND,
        layer=[
            events.encode(
                x=time_axis(span.after, _end(span)),
                x2="end:Q",
                tooltip=[alt.Tooltip("name:N", title=say("Known event"))],
            ),
            *(
                bar.transform_filter(f"datum.set === '{letter}'").encode(
                    x="start:Q", x2="end:Q", opacity=depth
                )
                for letter, bar in bars.items()
            ),
            firings.mark_text(align="right", dx=-4, fontSize=10, color=palette.text).encode(
                x="start:Q", text="set:N"
            ),
        ],
    )
