"""Alerts over time: a line each, with a bar while it was active. Knows no widget."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import altair as alt
import pandas as pd

from alerts.listing import Listed
from dashboard.alerts.listing import named, signed
from dashboard.common.charts import draw, milliseconds, time_axis
from dashboard.common.clock import dated, lasting
from dashboard.common.telling import tell_rows
from dashboard.common.theme import Palette
from dashboard.common.words import say
from dashboard.now.firing import GRAVE, SERIOUS

LINES = 20
"""So many alerts are drawn: those that are active, then the gravest, then the latest."""

_LINE, _AXIS = 34, 34
"""Pixels of a line, and of the times below."""

_COLUMNS = ["line", "name", "start", "end", "level", "active", "state", "from", "until", "lasted"]


def draw_alerts(
    rows: Sequence[Listed], since: datetime | None, now: datetime, palette: Palette
) -> None:
    """Draw the timeline of ``rows``; ``since`` None: from where the first of them began."""
    shown = lines_of(rows)
    table = tabulate(rows, shown, now)
    first = max(since, rows_begin(rows)) if since else rows_begin(rows)
    end = max(_end(rows, first, now), first + timedelta(minutes=10))
    table = table.assign(start=table["start"].clip(lower=milliseconds(first)))
    names = table.drop_duplicates("line")
    said = [table[column] for column in ("name", "state", "from", "until")]
    draw(
        _chart(first, end, len(shown), palette),
        {"bars": table, "names": names},
        key="alert-timeline",
        description=say("When each alert was active; its severity stands before its name"),
        told=tell_rows(", ".join(bar) for bar in zip(*said, strict=True)),
    )


def rows_begin(rows: Sequence[Listed]) -> datetime:
    """When the first of them began."""
    return min(each.row.began_at for each in rows)


def _end(rows: Sequence[Listed], first: datetime, now: datetime) -> datetime:
    """Now; long after everything ended, a third of the chart is calm and the rest is not drawn."""
    ends = [each.row.ended_at or now for each in rows]
    return min(now, max(ends) + (max(ends) - first) / 2)


def lines_of(rows: Sequence[Listed]) -> list[tuple[str, str]]:
    """The (rule, key) pairs that are drawn, from the top."""

    def rank(each: Listed) -> tuple[bool, int, float]:
        ended = each.row.ended_at is not None
        return ended, -each.row.severity, -each.row.began_at.timestamp()

    ordered = dict.fromkeys((each.row.rule, each.row.key) for each in sorted(rows, key=rank))
    return list(ordered)[:LINES]


def tabulate(
    rows: Sequence[Listed], shown: Sequence[tuple[str, str]], now: datetime
) -> pd.DataFrame:
    """One bar for each time that one of ``shown`` was active, in plain text."""
    places = {alert: number for number, alert in enumerate(shown)}
    bars = [
        (
            places[alert],
            f"{row.severity} · {named(*alert)}",
            milliseconds(row.began_at),
            milliseconds(max(row.ended_at or now, row.began_at)),
            _level(row.severity),
            row.ended_at is None,
            signed(row.state),
            dated(row.began_at),
            dated(row.ended_at) if row.ended_at else say("still active"),
            lasting((row.ended_at or now) - row.began_at),
        )
        for row in (each.row for each in rows)
        if (alert := (row.rule, row.key)) in places
    ]
    return pd.DataFrame(bars, columns=_COLUMNS)


def _level(severity: int) -> str:
    return "grave" if severity >= GRAVE else "serious" if severity >= SERIOUS else "slight"


def _chart(start: datetime, end: datetime, lines: int, palette: Palette) -> alt.LayerChart:
    line = alt.Y("line:O", axis=None, scale=alt.Scale(domain=list(range(lines)), padding=0))
    colours = [palette.negative, palette.heat[3], palette.accent]
    colour = alt.Color(
        "level:N",
        legend=None,
        scale=alt.Scale(domain=["grave", "serious", "slight"], range=colours),
    )
    told = [
        alt.Tooltip("name:N", title=say("Alert")),
        alt.Tooltip("state:N", title=say("State")),
        alt.Tooltip("from:N", title=say("From")),
        alt.Tooltip("until:N", title=say("Until")),
        alt.Tooltip("lasted:N", title=say("Lasted")),
    ]
    bars = alt.Chart(alt.NamedData(name="bars")).encode(y=line, color=colour, tooltip=told)
    names = alt.Chart(alt.NamedData(name="names")).encode(y=line)
    return alt.LayerChart(
        height=_LINE * lines + _AXIS,
        layer=[
            bars.mark_bar(height=9, yOffset=8, opacity=0.85).encode(
                x=time_axis(start, end), x2="end:Q"
            ),
            # However short it was, its beginning is seen.
            bars.mark_tick(height=13, thickness=2.5, yOffset=8).encode(x="start:Q"),
            bars.transform_filter("datum.active")
            .mark_point(
                shape="triangle-right", filled=True, size=110, yOffset=8, opacity=1, aria=False
            )
            .encode(x="end:Q"),
            names.mark_text(align="left", baseline="middle", dy=-7, color=palette.text).encode(
                x=alt.value(0), text="name:N"
            ),
        ],
    )
