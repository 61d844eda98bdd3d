"""Alerts: a card for each that is firing, a table of those that have ended."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from alerts.cards.wording import facts
from alerts.common.links import alert_id
from dashboard.common.clock import lasting, times, zoned
from dashboard.common.folding import folded
from dashboard.common.headings import show_table
from dashboard.common.links import go_to, link
from dashboard.common.plain import DASH, plain
from dashboard.common.view import Subject, View
from dashboard.common.wording import said, worded
from dashboard.common.words import say
from store.alertlog import Alert
from store.cards import CardRow

GRAVE, SERIOUS = 7, 4
"""Severities go from 1 to 10; from here on they are red, and orange."""

SHOWN = 6
"""Cards; what is more goes into a table."""

_DRIVER_COLUMNS = [
    "Score", "Times", "Time", "Headline", "Text", "Source", "Kind", "URL", "Id",
]  # fmt: skip


def gravest(firing: Sequence[Alert]) -> list[Alert]:
    """Those that are shown one by one, the gravest first."""
    return _by_severity(firing)[:SHOWN]


def show_firing(
    view: View,
    firing: Sequence[Alert],
    why: Mapping[tuple[str, str], CardRow],
    choose: Callable[[Subject], None],
) -> None:
    """A card for each firing alert, the gravest first; ``choose`` is called to look into one.

    ``why`` they fired is by rule and key.
    """
    if not firing:
        with st.container(border=True, key="calm"):
            st.markdown(say(":green[:material/check_circle:] Nothing is firing."))
        return
    for number, alert in enumerate(gravest(firing)):
        _card(number, alert, view, why.get((alert.rule, alert.key)), choose)
    if more := _by_severity(firing)[SHOWN:]:
        label = say("{count} more are firing", count=len(more))
        _fold_table(label, more, view.newest, "more-firing")


def show_fired(
    view: View, alerts: Sequence[Alert], why: Mapping[tuple[str, str, datetime], CardRow]
) -> None:
    """A card for each alert, firing or ended, in their order; ``why`` is by rule, key and time."""
    for number, alert in enumerate(alerts[:SHOWN]):
        with st.container(border=True, key=f"alert-card-{number}"):
            _head(number, alert, view.newest)
            row = why.get((alert.rule, alert.key, alert.fired_at))
            if row is not None:
                show_card(str(number), row)
    if more := alerts[SHOWN:]:
        label = say("{count} earlier alerts", count=len(more))
        _fold_table(label, more, view.newest, "earlier-alerts")


def show_resolved(view: View, resolved: Sequence[Alert]) -> None:
    """Those that have ended, folded away."""
    if resolved:
        label = say("Resolved alerts ({count})", count=len(resolved))
        _fold_table(label, resolved, view.newest, "resolved")


def show_card(name: str, row: CardRow, title: str = "") -> None:
    """The card of a firing, folded away; ``name`` tells it from others on the page."""
    with folded(title or say("Why it fired"), f"why-{name}") as is_open:
        if row.card is None:
            st.text(say("There is no card: {reason}.", reason=worded(row.reason)))
            return
        st.text("\n".join(plain(said(line), 500) for line in facts(row.card)))
        if not (is_open and row.card["drivers"]):
            return
        show_table(
            tabulate_drivers(row.card),
            key=f"drivers-{name}",
            hide_index=True,
            column_config={
                "Score": st.column_config.NumberColumn(format="%+.2f", width=60),
                "Times": st.column_config.NumberColumn(
                    width=60, help=say("How often the text came")
                ),
                "Time": times(say("Time")),
                "Headline": st.column_config.TextColumn(width=300),
                "URL": st.column_config.TextColumn(),
            },
            alt=say("Documents that drove the alert, the most negative first"),
        )


def show_badge(severity: int) -> None:
    """A severity with its sign and colour."""
    name = say("severity {severity}", severity=severity)
    if severity >= GRAVE:
        st.badge(name, icon=":material/error:", color="red")
    elif severity >= SERIOUS:
        st.badge(name, icon=":material/warning:", color="orange")
    else:
        st.badge(name, icon=":material/info:", color="blue")


def subject_of(alert: Alert) -> Subject:
    """What an alert is about."""
    return Subject(alert.scope, alert.key) if alert.scope != "all" else Subject()


def tabulate(alerts: Sequence[Alert], newest: datetime) -> pd.DataFrame:
    """One row an alert, in plain text."""
    rows = [
        {
            "Severity": alert.severity,
            "Rule": plain(alert.rule, 80),
            "Subject": subject_of(alert).label,
            "Fired": alert.fired_at,
            "Resolved": alert.resolved_at,
            "Lasted": lasting((alert.resolved_at or newest) - alert.fired_at),
            "Value": _value(alert),
            "Documents": alert.documents,
        }
        for alert in alerts
    ]
    return pd.DataFrame(rows)


def tabulate_drivers(card: Mapping[str, Any]) -> pd.DataFrame:
    """One row a document that drove the alert, in plain text."""
    rows = [
        (
            driver["score"],
            driver["repeats"],
            datetime.fromisoformat(driver["published_at"]),
            plain(driver["title"] or driver["text"], 200),
            plain(driver["text"], 300),
            plain(driver["source"], 40),
            worded(driver["kind"]),
            plain(driver["url"] or "", 300),
            plain(driver["id"], 80),
        )
        for driver in card["drivers"]
    ]
    return pd.DataFrame(rows, columns=_DRIVER_COLUMNS)


def _by_severity(firing: Sequence[Alert]) -> list[Alert]:
    return sorted(firing, key=lambda alert: alert.severity, reverse=True)


def _card(
    number: int,
    alert: Alert,
    view: View,
    why: CardRow | None,
    choose: Callable[[Subject], None],
) -> None:
    with st.container(border=True, key=f"alert-card-{number}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            _head(number, alert, view.newest)
            st.button(
                say("Look into it"),
                key=f"look-{number}",
                on_click=choose,
                args=(subject_of(alert),),
                type="tertiary",
            )
            about = {"run": view.run.name, "subject": subject_of(alert).address}
            link("subject", say("Open its page"), ":material/monitoring:", **about)
            if st.button(say("Open alert"), key=f"open-alert-{number}", type="tertiary"):
                number_of = alert_id(alert.run, alert.rule, alert.key)
                st.session_state["opened-alert"] = (alert.run, number_of)
                go_to("alerts", run=alert.run, alert=number_of)
        if why is not None:
            show_card(str(number), why)


def _head(number: int, alert: Alert, newest: datetime) -> None:
    lasted = lasting((alert.resolved_at or newest) - alert.fired_at)
    ended = (
        say("resolved after {lasted}", lasted=lasted)
        if alert.resolved_at
        else say("for {lasted} now", lasted=lasted)
    )
    told = say(
        "value {value} over {documents:,} documents when it fired, {fired_at}; {ended}",
        value=_value(alert),
        documents=alert.documents,
        fired_at=zoned(alert.fired_at),
        ended=ended,
    )
    with st.container(
        horizontal=True, vertical_alignment="center", width="stretch", key=f"alert-head-{number}"
    ):
        show_badge(alert.severity)
        with st.container(key=f"alert-name-{number}", width="content"):
            st.text(f"{subject_of(alert).label} · {plain(alert.rule, 80)}")
        with st.container(key=f"alert-facts-{number}", width="stretch"):
            st.text(told)


def _fold_table(label: str, alerts: Sequence[Alert], newest: datetime, key: str) -> None:
    with folded(label, key) as is_open:
        if is_open:
            show_table(
                tabulate(alerts, newest),
                key=f"{key}-alerts",
                hide_index=True,
                placeholder=DASH,
                column_config={"Fired": times(say("Fired")), "Resolved": times(say("Resolved"))},
            )


def _value(alert: Alert) -> str:
    return say("no value") if alert.value is None else f"{alert.value:.3g}"
