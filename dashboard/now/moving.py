"""A row of the page Now: what has changed most, and the symbols by volume. A click chooses."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import streamlit as st

from dashboard.common import reading
from dashboard.common.clock import zoned_interval
from dashboard.common.theme import Palette
from dashboard.common.view import Subject, View
from dashboard.common.words import say
from dashboard.now import movers, treemap
from store.database import Database
from store.movement import Change


def show_moving(
    database: Database,
    view: View,
    until: datetime | None,
    palette: Palette,
    choose: Callable[[Subject], None],
) -> None:
    """Draw both; ``choose`` is called with the subject that the reader picks.

    Movers are of the latest part of the span, or of the one that ends with ``until``.
    """
    left, right = st.columns(2, gap="large")
    with left:
        _movers(database, view, movers.latest(view, until), palette, choose)
    with right:
        # Of the whole span, whatever its latest part is: the movers have asked for the same.
        since, _ = movers.latest(view)
        _symbols(reading.changes(database, view.part("symbol"), since), palette, choose)


def _movers(
    database: Database,
    view: View,
    during: tuple[datetime, datetime],
    palette: Palette,
    choose: Callable[[Subject], None],
) -> None:
    st.header(say("Biggest movers"), anchor=False)
    since, end = during
    table = movers.tabulate(
        {
            scope: reading.changes(database, replace(view.part(scope), end=end), since)
            for scope in ("topic", "symbol")
        }
    )
    if table.empty:
        st.info(
            say(
                "No negative share moved beyond chance in {during} against the "
                "span before. Select a cell of the heatmap to see what moved up to then.",
                during=zoned_interval(since, end),
            )
        )
        return

    def picked() -> None:
        if chosen := _selected("movers", "mover"):
            choose(Subject(chosen["scope"], chosen["key"]))

    movers.draw_movers(table, palette, "movers", picked)
    st.caption(
        say(
            "Negative share in {during} (arrow) against the span before "
            "(ring), where chance hardly explains the change (99 %). The surest come "
            "first. Select a cell of the heatmap to see what moved up to then.",
            during=zoned_interval(since, end),
        )
    )


def _symbols(changes: list[Change], palette: Palette, choose: Callable[[Subject], None]) -> None:
    st.header(say("Symbols by volume"), anchor=False)
    table = treemap.tabulate(changes)
    if table.empty:
        st.info(say("No document of this span names a symbol."))
        return

    def picked() -> None:
        if chosen := _selected("treemap", "symbol"):
            choose(Subject("symbol", chosen["key"]))

    treemap.draw_treemap(table, palette, "treemap", picked)
    st.caption(
        say(
            "Area: documents of the {most} largest. Colour and sign: positive less "
            "negative share, held back where documents are few. Select one to look "
            "into it.",
            most=treemap.MOST,
        )
    )


def _selected(key: str, name: str) -> dict[str, str] | None:
    selection = st.session_state.get(key, {}).get("selection", {}).get(name, [])
    return dict(selection[0]) if selection else None
