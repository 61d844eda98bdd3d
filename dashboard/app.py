"""The page: which run, which span, and the states in which there is nothing to show."""

from contextlib import suppress
from time import monotonic

import streamlit as st

from dashboard import reading
from dashboard.choices import publish, restore
from dashboard.explaining import Explain
from dashboard.overview import show_overview
from dashboard.plain import plain
from dashboard.style import apply_style
from dashboard.theme import palette_for
from dashboard.view import KINDS, SPANS, first_choice, is_going_on
from store.database import Database
from store.errors import DatabaseUnavailableError
from store.runs import LIVE
from store.views import RunSummary

_AWAY = (
    "The database cannot be reached. Nothing is lost: this page comes back by itself. "
    "Check that PostgreSQL is running and that `TAPEWATCH_DATABASE_URL` is right, "
    "or, with the embedded one, that its data folder is where it was."
)
_NO_RUNS = (
    "No documents have come in yet. `tapewatch demo` plays a bundled feed, `tapewatch replay FEED` "
    "reads a file of yours, and `tapewatch worker` listens to Kafka. They appear here as they come."
)


def render(database: Database, explain: Explain | None = None) -> None:
    """Draw the dashboard of ``database``; without ``explain``, no document can be explained."""
    prepare_page()
    try:
        runs = reading.runs(database)
    except DatabaseUnavailableError:
        render_unavailable()
        return
    if not runs:
        _title()
        st.info(_NO_RUNS, icon=":material/inbox:")
        _wait(database)
        return
    run, span, kind = _header(runs)
    publish(run=run.name, span=span, kind=kind)
    going_on = is_going_on(run)
    live = st.fragment(_live, run_every=reading.REFRESH if going_on else None)
    kinds = None if kind == "all" else kind
    live(database, run.id, span, kinds, going_on=going_on, explain=explain)


def prepare_page() -> None:
    """Set what must be set before anything is drawn."""
    st.set_page_config(page_title="Tapewatch", layout="wide", initial_sidebar_state="collapsed")
    apply_style(palette_for(st.context.theme.type))


def render_unavailable() -> None:
    """Say that the database is away, and look again by and by."""
    _title()
    _say_away()


def _title() -> None:
    st.title("Tapewatch", anchor=False)


def _header(runs: list[RunSummary]) -> tuple[RunSummary, str, str]:
    names = {run.name: run for run in runs}
    chosen = restore("run", names, first_choice(runs).name)
    with st.container(horizontal=True, vertical_alignment="bottom", key="header", gap="medium"):
        with st.container(width="stretch", key="brand"):
            _title()
        run = st.selectbox(
            "Run", list(names), key="run", format_func=lambda name: plain(name, 60), width=260
        )
        usual = "24h" if chosen == LIVE else "all"
        span = _segments("Span up to the newest document", "span", SPANS, usual)
        kind = _segments("Kind", "kind", KINDS, "all")
    return names[str(run)], span, kind


def _segments(label: str, key: str, names: dict[str, str], default: str) -> str:
    restore(key, names, default)
    choice = st.segmented_control(
        label, list(names), key=key, format_func=names.__getitem__, required=True
    )
    return str(choice)


def _live(  # noqa: PLR0913 - what a look takes
    database: Database,
    run_id: int,
    span: str,
    kind: str | None,
    *,
    going_on: bool,
    explain: Explain | None,
) -> None:
    try:
        run = next((run for run in reading.runs(database) if run.id == run_id), None)
        if run is None or is_going_on(run) != going_on:
            st.rerun()
        filled = reading.span(database, run.id)
        if filled is None:
            st.info(
                "This run has no documents yet. They appear here as they come in.",
                icon=":material/hourglass_empty:",
            )
        else:
            show_overview(database, run, filled, span, kind, explain)
    except DatabaseUnavailableError:
        _say_away()


def _wait(database: Database) -> None:
    """Draw the page anew when the first run appears."""

    def look() -> None:
        with suppress(DatabaseUnavailableError):
            if reading.runs(database):
                st.rerun()

    st.fragment(look, run_every=reading.REFRESH)()


def _say_away() -> None:
    st.error(_AWAY, icon=":material/cloud_off:")
    said = monotonic()

    def look_again() -> None:
        if monotonic() - said > reading.REFRESH / 2:
            st.rerun()

    st.fragment(look_again, run_every=reading.REFRESH)()
