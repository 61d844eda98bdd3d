"""The page of the model: what serves, what it was made of, how good it is, and who wants its place.

Cards are read from files that may be of a user's making: what they say goes into tables and plain
text only. The page needs no document, and of the database only the reports on drift.
"""

import streamlit as st

from dashboard.common import reading
from dashboard.common.choices import publish, restore
from dashboard.common.frame import choose_run, runs_as_linked, say_away, title
from dashboard.common.plain import plain
from dashboard.common.theme import palette_for
from dashboard.common.words import later, say
from dashboard.model.contest import show_contest, show_history
from dashboard.model.drift import newest_of_each, show_drift
from dashboard.model.lineup import Lineup, Models, ModelsError
from dashboard.model.model_card import CardError, read_card
from dashboard.model.sections import show_card
from store.database import Database
from store.errors import DatabaseUnavailableError
from store.views import RunSummary


def show_model(database: Database, models: Models | None) -> None:
    """Draw the page; without ``models`` there is nothing to show."""
    runs = _runs(database)
    try:
        lineup = models.lineup() if models else None
    except ModelsError as error:
        title()
        _failed(say("The weights cannot be looked at:"), error)
        return
    if models is None or lineup is None:
        title()
        st.info(say("This dashboard was opened without the weights registry."))
        return
    run, version = _header(runs or [], lineup)
    _roles(lineup, version)
    try:
        plain_card = models.card(version)
        card = read_card(plain_card)
    except (ModelsError, CardError) as error:
        _failed(say("There is no card to show:"), error)
    else:
        show_card(card, plain_card)
    if runs is None:
        say_away()
    else:
        _drift(database, models, run)
    _contest(models, lineup)


def _runs(database: Database) -> list[RunSummary] | None:
    """Every run; None while the database is away, which the rest of the page can do without."""
    try:
        return runs_as_linked(database)
    except DatabaseUnavailableError:
        return None


def _header(runs: list[RunSummary], lineup: Lineup) -> tuple[RunSummary | None, str]:
    run = None
    with st.container(horizontal=True, vertical_alignment="bottom", key="header", gap="medium"):
        if runs:
            run = choose_run(runs)
        else:
            with st.container(width="stretch", key="brand"):
                title()
        restore("version", lineup.versions, lineup.serving)
        version = st.selectbox(
            say("Model"),
            lineup.versions,
            key="version",
            format_func=lambda name: _named(lineup, name),
            width=440,
        )
    publish(**({"run": run.name} if run else {}), version=str(version))
    return run, str(version)


def _named(lineup: Lineup, version: str) -> str:
    roles = lineup.roles(version)
    return f"{plain(version, 60)} · {', '.join(map(say, roles))}" if roles else plain(version, 60)


def _roles(lineup: Lineup, version: str) -> None:
    roles = lineup.roles(version)
    icons = {
        later("serves now"): (":material/play_arrow:", "green"),
        later("champion"): (":material/trophy:", "blue"),
        later("challenger"): (":material/swords:", "orange"),
        later("shipped"): (":material/package_2:", "gray"),
    }
    with st.container(horizontal=True, vertical_alignment="center", key="roles"):
        for role in roles or [later("in no role")]:
            icon, colour = icons.get(role, (":material/inventory_2:", "gray"))
            st.badge(say(role), icon=icon, color=colour)  # type: ignore[arg-type]
    if lineup.elsewhere:
        st.info(
            say(
                "Documents are scored by another machine (`TAPEWATCH_SCORER_URL`). This "
                "is what the registry of this machine holds; the page System says which "
                "versions scored."
            ),
            icon=":material/lan:",
        )
    elif lineup.serving != lineup.champion:
        st.info(
            say(
                "`TAPEWATCH_WEIGHTS` is set: the weights that it names serve, whoever is champion."
            ),
            icon=":material/push_pin:",
        )


def _drift(database: Database, models: Models, run: RunSummary | None) -> None:
    st.header(say("Drift"), anchor=False)
    if run is None:
        st.info(say("There is no run to measure yet."))
        return
    try:
        reports = newest_of_each(reading.drift_reports(database, run.id))
    except DatabaseUnavailableError:
        say_away()
        return
    if reports:
        show_drift(reports, models.limits, palette_for(st.context.theme.type))
    else:
        st.info(say("Drift of this run was not measured yet."), icon=":material/query_stats:")
    _measure(models, run)


def _measure(models: Models, run: RunSummary) -> None:
    if st.button(say("Measure drift"), key="measure-drift", icon=":material/query_stats:"):
        with st.spinner(say("Measuring day by day")):
            try:
                made = models.measure(run.name)
            except (ModelsError, DatabaseUnavailableError) as error:
                _failed(say("It cannot be measured:"), error)
                return
        reading.drift_reports.clear()
        st.session_state["drift-made"] = (run.id, made)
        st.rerun()
    about, made = st.session_state.get("drift-made", (None, 0))
    if about == run.id:
        st.caption(
            say("{made} reports were made.", made=made)
            if made
            else say("Every day has its report already.")
        )


def _contest(models: Models, lineup: Lineup) -> None:
    st.header(say("Champion and challenger"), anchor=False)
    show_contest(models, lineup, palette_for(st.context.theme.type))
    show_history(lineup)


def _failed(what: str, error: Exception) -> None:
    st.error(what, icon=":material/error:")
    st.text(plain(str(error), 600))
