"""Two sets of rules over one run's history: the form, and how far the judging is.

The judging is that of ``tapewatch backtest``. It writes nothing and tells nobody.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import streamlit as st

from dashboard.common.plain import plain
from dashboard.common.words import say
from dashboard.replays.backtests import Backtest, Backtests, Rules, Stage
from dashboard.replays.choosing_rules import RulesInUse, choose_events, choose_rules
from dashboard.replays.compared import Known, show_compared
from store.database import Database
from store.views import RunSummary

_LOOK = 0.5
_MINUTE = timedelta(minutes=1)


@st.cache_resource
def keeper() -> Backtests:
    """The one keeper of this process."""
    return Backtests()


def show_comparison(
    database: Database,
    run: RunSummary,
    filled: tuple[datetime, datetime],
    in_use: RulesInUse | None,
) -> None:
    """Draw the form, how far the backtests are, and what came of them."""
    backtests = keeper()
    left, right = st.columns(2, gap="medium")
    with left:
        a = choose_rules("A", "use", backtests, in_use)
    with right:
        b = choose_rules("B", "file", backtests, in_use)
    known = _known()
    if a is None or b is None:
        st.info(say("Choose two sets of rules to compare."), icon=":material/compare_arrows:")
        return
    if a.digest == b.digest:
        st.info(say("Both judge the same: there is nothing to compare."), icon=":material/equal:")
        return
    asked = _ask(database, run, a, b, backtests)
    if len(asked) < 2:
        return
    if any(found.under_way for found in asked.values()):
        st.fragment(_progress, run_every=_LOOK)(asked)
        return
    if all(found.result is not None for found in asked.values()):
        show_compared(run, filled, asked, known)
    else:
        _say_why_not(asked)


def _ask(
    database: Database, run: RunSummary, a: Rules, b: Rules, backtests: Backtests
) -> dict[str, Backtest]:
    """The backtests of both by letter, begun when the button is pressed."""
    sides = {"A": a, "B": b}
    pressed = st.button(
        say("Compare on this run"), key="compare", type="primary", icon=":material/compare_arrows:"
    )
    if pressed:
        return {letter: backtests.ask(database, run.id, rules) for letter, rules in sides.items()}
    known = {letter: backtests.known(database, run.id, rules) for letter, rules in sides.items()}
    return {letter: found for letter, found in known.items() if found is not None}


def _progress(asked: Mapping[str, Backtest]) -> None:
    """How far they are; the page is drawn anew when both have ended."""
    if not any(found.under_way for found in asked.values()):
        st.rerun()
    for letter, found in asked.items():
        far = (
            say("{done:,} of {keys:,} keys", done=found.done, keys=found.keys)
            if found.keys
            else say(str(found.stage))
        )
        st.progress(
            1.0 if not found.under_way else found.share,
            text=say("Rules {letter}: {far}", letter=letter, far=far),
        )

    def cancel() -> None:
        for found in asked.values():
            found.cancel()

    st.button(say("Cancel"), key="cancel", icon=":material/cancel:", on_click=cancel)


def _say_why_not(asked: Mapping[str, Backtest]) -> None:
    for letter, found in asked.items():
        if found.stage is not Stage.DONE:
            st.warning(
                say(
                    "Rules {letter} have no result: {stage}.",
                    letter=letter,
                    stage=say(str(found.stage)),
                ),
                icon=":material/block:",
            )
            if found.error:
                st.text(plain(found.error, 400))


def _known() -> Known | None:
    with st.expander(say("Known events: what should have been told"), key="known"):
        events = choose_events()
        with st.container(horizontal=True, key="known-limits"):
            early = st.number_input(say("Minutes before"), 0, 10_000, 0, key="early", width=150)
            late = st.number_input(say("Minutes after"), 0, 10_000, 60, key="late", width=150)
        st.caption(
            say(
                "An alert belongs to an event if it fires between so many minutes before "
                "its start and so many after its end, for its key if it has one."
            )
        )
    return None if events is None else Known(events, early * _MINUTE, late * _MINUTE)
