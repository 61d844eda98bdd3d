"""One alert whole: how it stands, why it fired, its states, who did what, and who was told.

Names, comments and details are of others' making: tables and ``st.text`` only.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from alerts.actions import AlertView
from dashboard.alerts.forms import show_forms
from dashboard.alerts.listing import named, signed
from dashboard.common.clock import dated, times, zoned
from dashboard.common.headings import show_table
from dashboard.common.plain import plain
from dashboard.common.wording import explained, said, worded
from dashboard.common.words import say
from dashboard.now.firing import show_badge, show_card
from store.alert_actions import LONGEST_AUTHOR, LONGEST_COMMENT, ActionRow
from store.alertlog import EventRow
from store.database import Database
from store.delivery_log import LoggedMessage
from store.notifications import NotificationRow

_SHOWN = 200
"""Rows of a table; the command lists more."""


def show_alert(database: Database, view: AlertView) -> None:
    """Draw everything that is known of it, and what can be done about it."""
    _head(view)
    show_forms(database, view)
    if view.cards:
        show_card("opened", view.cards[0], say("Why it fired at {at}", at=zoned(view.cards[0].at)))
    _table(
        say("States"),
        say("What became of it, in event time"),
        tabulate_events(view.events),
        "states",
        say("It has no state yet."),
    )
    _table(
        say("Told, and held back"),
        say("Each notification and each that was held back, with the reason"),
        tabulate_notifications(view.notifications),
        "told",
        say("Nothing was to be told of it."),
    )
    _table(
        say("Messages"),
        say("What was sent to whom, by the clock, and how that went"),
        tabulate_messages(view.messages),
        "messages",
        say("No message was sent."),
    )
    _table(
        say("Who did what"),
        say("Acknowledgements and comments, by the clock"),
        tabulate_actions(view.actions),
        "actions",
        say("Nobody has done anything about it."),
    )


def tabulate_events(events: Sequence[EventRow]) -> pd.DataFrame:
    """One row a change of state."""
    rows = [
        {
            "When": event.at,
            "From": signed(event.previous),
            "To": signed(event.state),
            "Why": worded(event.reason),
            "Value": event.value,
            "Documents": event.documents,
            "Detail": explained(event.detail),
        }
        for event in events[:_SHOWN]
    ]
    return pd.DataFrame(rows)


def tabulate_notifications(told: Sequence[NotificationRow]) -> pd.DataFrame:
    """One row each time that it was told or held back."""
    rows = [
        {
            "When": row.at,
            "Told": say("✓ told") if row.told else say("○ held back"),
            "As": signed(row.state or "resolved"),
            "Why": worded(row.reason),
            "To": plain(", ".join(row.receivers), 200),
            "Detail": explained(row.detail),
        }
        for row in told[:_SHOWN]
    ]
    return pd.DataFrame(rows)


def tabulate_messages(messages: Sequence[LoggedMessage]) -> pd.DataFrame:
    """One row a message to one receiver, with its last attempt."""
    return pd.DataFrame([_message(message) for message in messages[:_SHOWN]])


def tabulate_actions(actions: Sequence[ActionRow]) -> pd.DataFrame:
    """One row each time that somebody did something about it."""
    rows = [
        {
            "When": action.at,
            "Who": plain(action.author, LONGEST_AUTHOR),
            "What": worded(action.action),
            "Comment": plain(action.comment or "", LONGEST_COMMENT),
        }
        for action in actions[:_SHOWN]
    ]
    return pd.DataFrame(rows)


def _message(message: LoggedMessage) -> dict[str, Any]:
    last = message.deliveries[-1] if message.deliveries else None
    return {
        "When": message.posted_at,
        "To": plain(message.receiver, 80),
        "Status": worded(message.status),
        "Why": worded(message.reason),
        "Attempts": len(message.deliveries),
        "Last attempt": last.at if last else None,
        "Answer": plain(last.detail, 300) if last else "",
    }


def _head(view: AlertView) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="alert-head"):
        # The event that ends an alert whose rule is gone says nothing of its severity.
        show_badge(next((event.severity for event in view.events if event.scope), 1))
        with st.container(key="alert-name-opened", width="content"):
            st.text(named(view.rule, view.key))
    facts = [
        say("{state} since {since}", state=signed(view.state), since=dated(view.since))
        if view.since
        else signed(view.state),
        worded("acknowledged") if view.acknowledged else "",
        say("silenced by {silenced_by}", silenced_by=view.silenced_by)
        if view.silenced_by is not None
        else "",
        worded("flapping") if view.flapping else "",
        plain(said(view.why_not_told), 300),
        say("id {id}", id=view.id),
    ]
    with st.container(key="alert-facts-opened"):
        st.text(" · ".join(filter(None, facts)))


def _table(title: str, about: str, table: pd.DataFrame, key: str, empty: str) -> None:
    st.markdown(f"**{title}**", help=about)
    if table.empty:
        st.caption(empty)
        return
    show_table(
        table,
        key=f"alert-{key}",
        hide_index=True,
        height=min(250, 38 + 35 * len(table)),
        column_config={
            "When": times(say("When")),
            "Last attempt": times(say("Last attempt"), 155, seconds=True),
            "Value": st.column_config.NumberColumn(format="%.3g", width=65),
            "Documents": st.column_config.NumberColumn(format="localized", width=90),
            "Comment": st.column_config.TextColumn(width=420),
            "Detail": st.column_config.TextColumn(width=260),
            "Answer": st.column_config.TextColumn(width=260),
        },
        alt=about,
    )
