"""The page that is open all day: which run, which span, and what is going on in it."""

import streamlit as st

from dashboard.access.signing import stay
from dashboard.common import reading
from dashboard.common.choices import publish
from dashboard.common.frame import AWAY, choose_run, find_runs, say_away, segments
from dashboard.common.view import KINDS, SPANS, is_going_on, usual_span
from dashboard.common.words import say
from dashboard.documents.explaining import Explain
from dashboard.now.overview import show_overview
from store.database import Database
from store.views import RunSummary


def show_now(database: Database, explain: Explain | None) -> None:
    """Draw the page; without ``explain``, no document can be explained."""
    runs = find_runs(database)
    if not runs:
        return
    run, span, kind = _header(runs)
    publish(run=run.name, span=span, kind=kind)
    going_on = is_going_on(run)
    live = st.fragment(_live, run_every=reading.REFRESH if going_on else None)
    kinds = None if kind == "all" else kind
    live(database, run.id, span, kinds, going_on=going_on, explain=explain)


def _header(runs: list[RunSummary]) -> tuple[RunSummary, str, str]:
    with st.container(horizontal=True, vertical_alignment="bottom", key="header", gap="medium"):
        run = choose_run(runs)
        span = segments(say("Span up to the newest document"), "span", SPANS, usual_span(run))
        kind = segments(say("Kind"), "kind", KINDS, "all")
    return run, span, kind


def _live(  # noqa: PLR0913 - what a look takes
    database: Database,
    run_id: int,
    span: str,
    kind: str | None,
    *,
    going_on: bool,
    explain: Explain | None,
) -> None:
    stay()
    try:
        run = next((run for run in reading.runs(database) if run.id == run_id), None)
        if run is None or is_going_on(run) != going_on:
            st.rerun()
        filled = reading.span(database, run.id)
        if filled is None:
            st.info(
                say("This run has no documents yet. They appear here as they come in."),
                icon=":material/hourglass_empty:",
            )
        else:
            show_overview(database, run, filled, span, kind, explain)
    except AWAY as error:
        say_away(error)
