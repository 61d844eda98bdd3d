"""What came of two backtests: figures, one time axis for both, who told what alone, files.

Rules, keys and events are of others' making: tables and plain text only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from alerts.backtest.comparison import (
    Comparison,
    Judgement,
    KnownEvent,
    compare,
    judge_firings,
)
from alerts.backtest.firings import Firing, loads
from alerts.backtest.report import Result, known_within
from dashboard.common.clock import dated, lasting, times
from dashboard.common.headings import show_table
from dashboard.common.plain import DASH, plain
from dashboard.common.theme import palette_for
from dashboard.common.words import say
from dashboard.now.status import show_figures
from dashboard.replays.backtests import Backtest
from dashboard.replays.export import as_csv, as_json, as_parquet, tabulate
from dashboard.replays.lanes import BARS, LANES, draw_lanes, subject_name, tabulate_lanes
from store.views import RunSummary

_MINUTE = timedelta(minutes=1)
_MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Known:
    """What should have been told, and how far off an alert may be and still belong to it."""

    events: Sequence[KnownEvent]
    early: timedelta
    late: timedelta

    def judge(self, result: Result) -> Judgement:
        """Which firings belong to which event."""
        return judge_firings(
            result.firings, known_within(self.events, result.span), self.early, self.late
        )


def show_compared(
    run: RunSummary,
    filled: tuple[datetime, datetime],
    asked: Mapping[str, Backtest],
    known: Known | None,
) -> None:
    """Draw it; both backtests have a result."""
    sides = {letter: found.result for letter, found in asked.items() if found.result is not None}
    a, b = sides["A"], sides["B"]
    until = min(a.span.until, b.span.until)
    if filled[1] + _MINUTE > until:
        st.warning(
            say(
                "Judged up to {until}; documents have come since. Compare again to have them.",
                until=dated(until),
            ),
            icon=":material/update:",
        )
    found = compare(a.firings, b.firings, until)
    alone = {id(firing) for firing in (*found.added, *found.gone)}
    judgements = {letter: known.judge(result) for letter, result in sides.items()} if known else {}
    _figures(sides, found, until)
    _lanes(a, b, alone, known)
    if judgements:
        _judgements(judgements)
    _loads(sides)
    _differences(found, until)
    _export(run, asked, sides, judgements, alone)


def minutes_per_week(result: Result) -> float:
    """Alert minutes a week of everything."""
    found = loads(result.firings, result.span.after, result.span.until)
    return sum(load.minutes_per_week for load in found)


def _figures(sides: Mapping[str, Result], found: Comparison, until: datetime) -> None:
    weeks = (until - sides["A"].span.after) / timedelta(weeks=1)
    figures = [
        (
            say("Alerts of {letter}", letter=letter),
            f"{len(result.firings):,}",
            say("{minutes:,.0f} min a week", minutes=minutes_per_week(result)),
        )
        for letter, result in sides.items()
    ]
    figures += [
        (say("Only A"), f"{len(found.added):,}", say("B has none then")),
        (say("Only B"), f"{len(found.gone):,}", say("A has none then")),
        (
            say("Judged"),
            lasting(until - sides["A"].span.after),
            say("{weeks:.1f} weeks", weeks=weeks),
        ),
    ]
    show_figures(figures)


def _lanes(a: Result, b: Result, alone: set[int], known: Known | None) -> None:
    st.header(say("Alerts over time"), anchor=False)
    table = tabulate_lanes(a.firings, b.firings, alone, a.span)
    if table.empty:
        st.info(say("Neither would have told anything on this run."))
        return
    events = known_within(known.events, a.span) if known else []
    draw_lanes(table, events, a.span, palette_for(st.context.theme.type))
    shaded = say(" Shaded: known events.") if events else ""
    st.caption(
        say(
            "A is filled, B outlined; what both have is faint. At most {lanes} "
            "subjects and {bars:,} alerts.{shaded}",
            lanes=LANES,
            bars=BARS,
            shaded=shaded,
        )
    )


def tabulate_judgements(judgements: Mapping[str, Judgement]) -> pd.DataFrame:
    """One row a side: events told, precision and recall in %, the median delay."""
    rows = [
        (
            letter,
            sum(finding.firing is not None for finding in judged.found),
            len(judged.found),
            _percent(judged.recall),
            len(judged.true),
            len(judged.false),
            _percent(judged.precision),
            _delay(judged.median_delay),
        )
        for letter, judged in judgements.items()
    ]
    columns = ["Rules", "Told", "Events", "Recall", "True", "False", "Precision", "Median delay"]
    return pd.DataFrame(rows, columns=columns)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _delay(delay: timedelta | None) -> str:
    if delay is None:
        return DASH
    return say("{delay} before", delay=lasting(-delay)) if delay < timedelta(0) else lasting(delay)


def _judgements(judgements: Mapping[str, Judgement]) -> None:
    st.header(say("Against known events"), anchor=False)
    share = st.column_config.NumberColumn(format="%.0f%%", width=80)
    show_table(
        tabulate_judgements(judgements),
        key="judgements",
        hide_index=True,
        height=38 + 35 * len(judgements),
        column_config={"Recall": share, "Precision": share},
        alt=say("Precision, recall and delay of both sets of rules"),
    )
    missed = [
        (letter, finding.event.start, plain(finding.event.key or "anybody", 60),
         plain(finding.event.name, 100))
        for letter, judged in judgements.items()
        for finding in judged.found
        if finding.firing is None
    ]  # fmt: skip
    if missed:
        st.caption(say("Events that were not told"))
        show_table(
            pd.DataFrame(missed[:_MOST_ROWS], columns=["Rules", "Start", "Key", "Name"]),
            key="missed",
            hide_index=True,
            height=min(250, 38 + 35 * len(missed)),
            column_config={"Start": times(say("Start"), 140)},
            alt=say("Known events that were not told"),
        )


def tabulate_loads(sides: Mapping[str, Result]) -> pd.DataFrame:
    """One row a key: alerts, and alert minutes a week, of A and of B, the largest change first."""
    of_key: dict[str, dict[str, float]] = {}
    for letter, result in sides.items():
        keys = {firing.first.key: firing.subject for firing in result.firings}
        for load in loads(result.firings, result.span.after, result.span.until):
            name = subject_name(keys[load.key])
            row = of_key.setdefault(name, dict.fromkeys(("A", "B", "A min", "B min"), 0.0))
            row[letter] += load.firings
            row[f"{letter} min"] += load.minutes_per_week
    rows = [
        (name, int(row["A"]), int(row["B"]), row["A min"], row["B min"],
         row["B min"] - row["A min"])
        for name, row in of_key.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: (-abs(row[-1]), row[0]))
    columns = ["Key", "Alerts A", "Alerts B", "Minutes A", "Minutes B", "Change"]
    return pd.DataFrame(rows, columns=columns)


def _loads(sides: Mapping[str, Result]) -> None:
    table = tabulate_loads(sides)
    if table.empty:
        return
    st.header(say("Alert minutes a week"), anchor=False)
    minutes = st.column_config.NumberColumn(format="%.0f", width=90)
    show_table(
        table.head(_MOST_ROWS),
        key="loads",
        hide_index=True,
        height=min(320, 38 + 35 * len(table)),
        column_config={
            "Key": st.column_config.TextColumn(width=240),
            "Minutes A": minutes,
            "Minutes B": minutes,
            "Change": st.column_config.NumberColumn(
                say("B less A"), format="%+.0f", width=90, help=say("Minutes a week")
            ),
        },
        alt=say("Alerts and alert minutes a week of each key"),
    )


def tabulate_firings(some: Sequence[Firing], until: datetime) -> pd.DataFrame:
    """One row an alert, in plain text."""
    rows = [
        (
            firing.fired_at,
            subject_name(firing.subject),
            plain(firing.rule, 60),
            lasting(firing.lasted(until)),
            firing.first.value,
            firing.first.documents,
            firing.severity,
        )
        for firing in some
    ]
    columns = ["Fired", "Subject", "Rule", "Lasted", "Value", "Documents", "Severity"]
    return pd.DataFrame(rows, columns=columns)


def _differences(found: Comparison, until: datetime) -> None:
    alone = {"A": found.added, "B": found.gone}
    for column, (letter, some) in zip(st.columns(2, gap="medium"), alone.items(), strict=True):
        with column:
            st.header(say("Only {letter} fired", letter=letter), anchor=False)
            if not some:
                st.text(
                    say(
                        "Nothing that {other} did not tell, too.",
                        other="B" if letter == "A" else "A",
                    )
                )
                continue
            if len(some) > _MOST_ROWS:
                st.caption(
                    say(
                        "The first {most_rows} of {some:,}; the export has all.",
                        most_rows=_MOST_ROWS,
                        some=len(some),
                    )
                )
            show_table(
                tabulate_firings(some[:_MOST_ROWS], until),
                key=f"only-{letter.lower()}",
                hide_index=True,
                height=min(320, 38 + 35 * len(some)),
                column_config={
                    "Fired": times(say("Fired"), 140),
                    "Value": st.column_config.NumberColumn(format="%.2f", width=60),
                },
                alt=say("Alerts that only rules {letter} have", letter=letter),
            )


def _export(
    run: RunSummary,
    asked: Mapping[str, Backtest],
    sides: Mapping[str, Result],
    judgements: Mapping[str, Judgement],
    alone: set[int],
) -> None:
    table = tabulate(sides, alone)
    names = {letter: found.rules.name for letter, found in asked.items()}
    seconds = {letter: found.seconds for letter, found in asked.items()}
    files: dict[str, tuple[str | bytes, str]] = {
        "JSON": (as_json(run.name, sides, names, judgements, seconds), "application/json"),
        "CSV": (as_csv(table), "text/csv"),
        "Parquet": (as_parquet(table), "application/vnd.apache.parquet"),
    }
    with st.container(horizontal=True, vertical_alignment="center", key="compared-files"):
        for name, (content, mime) in files.items():
            st.download_button(
                name,
                content,
                file_name=f"tapewatch-backtests.{name.lower()}",
                mime=mime,
                key=f"compared-{name.lower()}",
                icon=":material/download:",
                on_click="ignore",
            )
