"""The list of alerts: one row each time that one was active. Names are of others' making."""

from collections.abc import Callable, Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from alerts.listing import MOST, Listed
from dashboard.common.clock import lasting, place, times
from dashboard.common.headings import show_table
from dashboard.common.plain import DASH, plain
from dashboard.common.wording import worded
from dashboard.common.words import later, say

ALL_DOCUMENTS = later("all documents")
SIGNS = {
    "firing": later("▲ firing"),
    "recovering": later("△ recovering"),
    "resolved": later("✓ resolved"),
    "no_data": later("○ no data"),
    "error": later("✕ error"),
    "pending": later("◌ pending"),
    "inactive": later("● inactive"),
    "stalled": later("✕ stalled"),
    "lagging": later("△ lagging"),
    "current": later("● current"),
}
"""A state with its own sign, so that colour is not needed."""

_OF_ACTIVE = {"Acknowledged", "Told"}
"""Columns that say something only of what is active."""


def signed(state: str | None) -> str:
    """A state with its sign."""
    return say(SIGNS[state]) if state in SIGNS else worded(state) or DASH


def named(rule: str, key: str) -> str:
    """An alert as it is called."""
    return f"{plain(rule, 80)} · {plain(key, 60) or say(ALL_DOCUMENTS)}"


def told(listed: Listed) -> str:
    """Whether receivers know how an active alert stands."""
    if listed.row.ended_at is not None:
        return DASH
    if listed.held is not None:
        return say("held: {held}", held=worded(listed.held))
    return (
        say("told: {told_state}", told_state=worded(listed.told_state))
        if listed.told_state
        else say("not told")
    )


def describe(rows: Sequence[Listed], *, cut: bool) -> str:
    """How many there are."""
    active = sum(each.row.ended_at is None for each in rows)
    said = say(
        "{active:,} active, {ended:,} ended; times are event time in {place}",
        active=active,
        ended=len(rows) - active,
        place=place(),
    )
    return (
        say(
            "{said}. Of what has ended, the last {most:,} of the span are listed.",
            said=said,
            most=MOST,
        )
        if cut
        else said
    )


def tabulate(rows: Sequence[Listed], now: datetime) -> pd.DataFrame:
    """One row each, in plain text."""
    table = [
        {
            "State": signed(each.row.state),
            "Severity": each.row.severity,
            "Rule": plain(each.row.rule, 80),
            "Subject": plain(each.row.key, 60) or say(ALL_DOCUMENTS),
            "Began": each.row.began_at,
            "Ended": each.row.ended_at,
            "Lasted": lasting((each.row.ended_at or now) - each.row.began_at),
            "Value": each.row.value,
            "Documents": each.row.documents,
            "Acknowledged": say("✓ yes") if each.acknowledged else DASH,
            "Told": told(each),
        }
        for each in rows
    ]
    return pd.DataFrame(table).astype({"Ended": "datetime64[us, UTC]", "Value": "float64"})


def show_list(
    rows: Sequence[Listed], now: datetime, choose: Callable[[str], None], about: int
) -> None:
    """The table; ``choose`` is called with the id of the alert that the reader picks, or "".

    ``about`` is of what is listed: a table of something else begins without a selection.
    """
    key = f"alert-list-{about}"

    def picked() -> None:
        numbers = st.session_state[key]["selection"]["rows"]
        choose(rows[numbers[0]].id if numbers else "")

    table = tabulate(rows, now)
    active = any(each.row.ended_at is None for each in rows)
    show_table(
        table,
        key=key,
        column_order=[str(name) for name in table if active or name not in _OF_ACTIVE],
        hide_index=True,
        placeholder=DASH,
        height=min(390, 38 + 35 * len(rows)),
        column_config={
            "State": st.column_config.TextColumn(width=110),
            "Severity": st.column_config.NumberColumn(width=75, help=say("From 1 to 10")),
            "Rule": st.column_config.TextColumn(width=200),
            "Subject": st.column_config.TextColumn(width=150),
            "Began": times(say("Began")),
            "Ended": times(say("Ended")),
            "Lasted": st.column_config.TextColumn(width=95),
            "Value": st.column_config.NumberColumn(format="%.3g", width=65),
            "Documents": st.column_config.NumberColumn(format="localized", width=90),
            "Acknowledged": st.column_config.TextColumn(width=105),
            "Told": st.column_config.TextColumn(width=150),
        },
        on_select=picked,
        selection_mode="single-row",
        alt=say("Alerts; choosing one opens it below"),
    )
