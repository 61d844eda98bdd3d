"""The page of replays and backtests: which run, and what to do with it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.common import reading
from dashboard.common.choices import publish
from dashboard.common.clock import times
from dashboard.common.frame import choose_run, find_runs, say_away, segments
from dashboard.common.headings import show_table
from dashboard.common.plain import DASH, plain
from dashboard.common.words import later, say
from dashboard.replays.choosing_rules import RulesInUse
from dashboard.replays.comparing import show_comparison
from dashboard.replays.playback import show_playback
from store.database import Database
from store.errors import DatabaseUnavailableError
from store.run_list import ListedRun
from store.runs import LIVE
from store.views import RunSummary

PARTS = {"play": later("Play back"), "compare": later("Compare rules")}
_ROWS = 5
_TABLE = "run-list"


def show_replays(database: Database, in_use: RulesInUse | None = None) -> None:
    """Draw the page; without ``in_use``, both sets of rules must be uploaded."""
    runs = find_runs(database)
    if not runs:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="header", gap="medium"):
        run = choose_run(runs)
        part = segments(say("What to do"), "part", PARTS, "play")
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
        return say("● live")
    return say("✓ finished") if run.finished_at else say("… running")


def _list(runs: Sequence[ListedRun]) -> None:
    def picked() -> None:
        numbers = st.session_state[_TABLE]["selection"]["rows"]
        if numbers:
            st.session_state["run"] = runs[numbers[0]].name

    show_table(
        tabulate(runs),
        key=_TABLE,
        hide_index=True,
        placeholder=DASH,
        height=38 + 35 * min(_ROWS, len(runs)),
        column_config={
            "Run": st.column_config.TextColumn(width=140),
            "State": st.column_config.TextColumn(width=90),
            "Documents": st.column_config.NumberColumn(format="localized", width=90),
            "From": times(say("From"), 130),
            "To": times(say("To"), 130),
            "Alerts": st.column_config.NumberColumn(format="localized", width=60),
            "Begun": times(say("Begun"), 130),
            "Finished": times(say("Finished"), 130),
        },
        on_select=picked,
        selection_mode="single-row",
        alt=say("Runs, the newest first; select one to play it"),
    )


def _show(database: Database, run: RunSummary, part: str, in_use: RulesInUse | None) -> None:
    filled = reading.span(database, run.id)
    if filled is None:
        st.info(
            say("This run has no documents yet: there is nothing to play and nothing to judge."),
            icon=":material/hourglass_empty:",
        )
    elif part == "play":
        show_playback(database, run, filled)
    else:
        show_comparison(database, run, filled, in_use)
