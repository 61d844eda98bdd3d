"""The page of replays and backtests: which run, and what to do with it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import reading
from dashboard.choices import publish
from dashboard.choosing_rules import RulesInUse
from dashboard.comparing import show_comparison
from dashboard.frame import choose_run, find_runs, say_away, segments
from dashboard.plain import DASH, plain
from dashboard.playback import show_playback
from store.database import Database
from store.errors import DatabaseUnavailableError
from store.run_list import ListedRun
from store.runs import LIVE
from store.views import RunSummary

PARTS = {"play": "Play back", "compare": "Compare rules"}
_ROWS = 5
_TABLE = "run-list"


def show_replays(database: Database, in_use: RulesInUse | None = None) -> None:
    """Draw the page; without ``in_use``, both sets of rules must be uploaded."""
    runs = find_runs(database)
    if not runs:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="header", gap="medium"):
        run = choose_run(runs)
        part = segments("What to do", "part", PARTS, "play")
    publish(run=run.name, part=part)
    try:
        _list(reading.listed_runs(database))
        _show(database, run, part, in_use)
    except DatabaseUnavailableError:
        say_away()


def tabulate(runs: Sequence[ListedRun]) -> pd.DataFrame:
    """One row a run, in plain text."""
    rows = [
        {
            "Run": plain(run.name, 80),
            "State": _state(run),
            "Documents": run.documents,
            "From": run.first,
            "To": run.last,
            "Alerts": run.alerts,
            "Begun": run.created_at,
            "Finished": run.finished_at,
            "Model": plain(run.model or DASH, 80),
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


def _state(run: ListedRun) -> str:
    if run.name == LIVE:
        return "● live"
    return "✓ finished" if run.finished_at else "… running"


def _list(runs: Sequence[ListedRun]) -> None:
    def picked() -> None:
        numbers = st.session_state[_TABLE]["selection"]["rows"]
        if numbers:
            st.session_state["run"] = runs[numbers[0]].name

    time = st.column_config.DatetimeColumn(format="D MMM YYYY HH:mm", timezone="UTC", width=130)
    st.dataframe(
        tabulate(runs),
        key=_TABLE,
        hide_index=True,
        placeholder=DASH,
        height=38 + 35 * min(_ROWS, len(runs)),
        column_config={
            "Run": st.column_config.TextColumn(width=140),
            "State": st.column_config.TextColumn(width=90),
            "Documents": st.column_config.NumberColumn(format="localized", width=90),
            "From": time,
            "To": time,
            "Alerts": st.column_config.NumberColumn(format="localized", width=60),
            "Begun": time,
            "Finished": time,
        },
        on_select=picked,
        selection_mode="single-row",
        alt="Runs, the newest first; select one to play it",
    )


def _show(database: Database, run: RunSummary, part: str, in_use: RulesInUse | None) -> None:
    filled = reading.span(database, run.id)
    if filled is None:
        st.info(
            "This run has no documents yet: there is nothing to play and nothing to judge.",
            icon=":material/hourglass_empty:",
        )
    elif part == "play":
        show_playback(database, run, filled)
    else:
        show_comparison(database, run, filled, in_use)
