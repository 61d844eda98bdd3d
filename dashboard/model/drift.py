"""How far a run's documents have gone from what its model was made of, over its reports.

Shown is each index beyond what chance alone brings, as the limits judge it. Words and classes are
feed text and of users' making: tables only.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.common.charts import draw, milliseconds, time_axis
from dashboard.common.clock import dated, times
from dashboard.common.headings import show_table
from dashboard.common.plain import DASH, plain
from dashboard.common.telling import tell_line
from dashboard.common.theme import Palette
from dashboard.common.words import later, say
from store.drift import StoredReport

PARTS = ("topics", "sentiments", "topic confidence", "sentiment confidence", "vocabulary")
_MARKS = ("circle", "square", "triangle-up", "diamond", "cross")
_DASHES = ([1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [4, 4])
_SIGNS = {
    "stable": later("✓ stable"),
    "moderate": later("▲ moderate"),
    "drifted": later("✗ drifted"),
}
_LEFT = 44


def newest_of_each(reports: Sequence[StoredReport]) -> list[StoredReport]:
    """The newest report of each span, by the span's end; ``reports`` come newest first."""
    found: dict[tuple[object, object], StoredReport] = {}
    for report in reports:
        found.setdefault((report.window_start, report.window_end), report)
    return sorted(found.values(), key=lambda report: (report.window_end, report.window_start))


def tabulate_points(reports: Sequence[StoredReport]) -> pd.DataFrame:
    """One row a part of a report that could be measured: its index beyond chance, and when."""
    rows = [
        (
            milliseconds(report.window_end),
            part["name"],
            max(0.0, part["psi"] - part["expected"]),
            part["psi"],
            _sign(part["verdict"]),
            f"{dated(report.window_start)} {DASH} {dated(report.window_end)}",
            report.documents,
        )
        for report in reports
        for part in _parts(report)
        if part["psi"] is not None and part["name"] in PARTS
    ]
    columns = ["start", "part", "beyond", "index", "verdict", "when", "documents"]
    return pd.DataFrame(rows, columns=columns)


def tabulate_reports(reports: Sequence[StoredReport]) -> pd.DataFrame:
    """One row a report, the newest span first, with every part's index beyond chance."""
    rows = [
        {
            "From": report.window_start,
            "To": report.window_end,
            "Verdict": _sign(report.verdict),
            "Documents": report.documents,
            **{
                name.capitalize(): next(
                    (
                        max(0.0, part["psi"] - part["expected"])
                        for part in _parts(report)
                        if part["name"] == name and part["psi"] is not None
                    ),
                    None,
                )
                for name in PARTS
            },
            "Model": plain(report.model, 80),
        }
        for report in reversed(reports)
    ]
    return pd.DataFrame(rows)


def show_drift(
    reports: Sequence[StoredReport], limits: tuple[float, float], palette: Palette
) -> None:
    """Draw what ``newest_of_each`` left, which is not nothing, and what moved in the newest."""
    points = tabulate_points(reports)
    newest = reports[-1]
    st.caption(
        say(
            "Population stability index beyond chance, against the rows that the "
            "model was made of; from {moderate:g} on it is moderate, from {large:g} "
            "on large.",
            moderate=limits[0],
            large=limits[1],
        )
    )
    if points.empty:
        st.info(say("No report had documents enough to be judged."))
    else:
        start = reports[0].window_start
        draw(
            _chart(start, newest.window_end, limits, points["beyond"].max(), palette),
            {"points": points, "limits": _limits(limits)},
            key="drift",
            description=say("Drift of the run over time, for each thing that is compared"),
            told=" ".join(
                tell_line(points[points["part"] == part], "beyond", ".3f", part)
                for part in points["part"].unique()
            ),
        )
    _tables(reports)


def _tables(reports: Sequence[StoredReport]) -> None:
    index = st.column_config.NumberColumn(format="%.3f", width=90)
    show_table(
        tabulate_reports(reports),
        key="drift-reports",
        hide_index=True,
        height=min(320, 38 + 35 * len(reports)),
        column_config={
            "From": times(say("From"), 140),
            "To": times(say("To"), 140),
            **{name.capitalize(): index for name in PARTS},
        },
        alt=say("Reports on drift, the newest span first"),
    )
    report = reports[-1].report
    moved = [
        (plain(m["head"], 20), plain(m["name"], 60), 100 * m["before"], 100 * m["now"])
        for m in report.get("moved", [])
    ]
    words = [(plain(w["word"], 40), 100 * w["share"]) for w in report.get("new_words", [])]
    share = st.column_config.NumberColumn(format="%.1f%%", width=90)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.caption(
            say(
                "Classes that moved most, up to {window_end}",
                window_end=dated(reports[-1].window_end),
            )
        )
        show_table(
            pd.DataFrame(moved, columns=["Head", "Class", "Training", "Now"]),
            key="drift-moved",
            hide_index=True,
            column_config={"Training": share, "Now": share},
            alt=say("Classes that moved most"),
        )
    with right:
        st.caption(say("New frequent words, with their share of documents"))
        show_table(
            pd.DataFrame(words, columns=["Word", "Share"]),
            key="drift-words",
            hide_index=True,
            height=min(215, 38 + 35 * max(1, len(words))),
            column_config={"Share": share},
            alt=say("Words that are frequent now and were not in training"),
        )


def _parts(report: StoredReport) -> list[Mapping[str, Any]]:
    return [p for p in report.report.get("parts", []) if p.get("expected") is not None]


def _sign(verdict: str) -> str:
    return say(_SIGNS[verdict]) if verdict in _SIGNS else f"{DASH} {plain(verdict, 40)}"


def _limits(limits: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame({"at": limits, "name": ["moderate", "large"]})


def _chart(
    start: Any,  # noqa: ANN401 - a datetime
    end: Any,  # noqa: ANN401 - a datetime
    limits: tuple[float, float],
    highest: float,
    palette: Palette,
) -> alt.LayerChart:
    names = list(PARTS)
    legend = alt.Legend(title=None, orient="top", columns=2)
    colour = alt.Color(
        "part:N", scale=alt.Scale(domain=names, range=list(palette.series)), legend=legend
    )
    shape = alt.Shape("part:N", scale=alt.Scale(domain=names, range=list(_MARKS)), legend=legend)
    dash = alt.StrokeDash("part:N", scale=alt.Scale(domain=names, range=list(_DASHES)), legend=None)
    up = alt.Y(
        "beyond:Q",
        scale=alt.Scale(domain=[0, max(highest, limits[1]) * 1.08]),
        axis=alt.Axis(title=None, tickCount=4, minExtent=_LEFT, domain=False, format=".2~f"),
    )
    points = alt.Chart(alt.NamedData(name="points")).encode(
        x=time_axis(start, end + timedelta(minutes=1)),
        y=up,
        color=colour,
        tooltip=[
            alt.Tooltip("part:N", title=say("Compared")),
            alt.Tooltip("when:N", title=say("Span")),
            alt.Tooltip("beyond:Q", title=say("Beyond chance"), format=".3f"),
            alt.Tooltip("index:Q", title=say("Index"), format=".3f"),
            alt.Tooltip("verdict:N", title=say("Verdict")),
            alt.Tooltip("documents:Q", title=say("Documents"), format=","),
        ],
    )
    limit = alt.Chart(alt.NamedData(name="limits")).encode(y="at:Q")
    return alt.LayerChart(
        height=270,
        layer=[
            limit.mark_rule(color=palette.muted, strokeDash=[4, 4]),
            limit.mark_text(align="left", baseline="bottom", dx=4, color=palette.text).encode(
                x=alt.value(0), text="name:N"
            ),
            points.mark_line(strokeWidth=1.8).encode(strokeDash=dash),
            points.mark_point(filled=True, size=70, opacity=1).encode(shape=shape),
        ],
    )
