"""Alerts: a card for each that is firing, a table of those that have ended."""

from collections.abc import Callable, Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from dashboard.plain import lasting, moment, plain
from dashboard.view import Subject, View
from store.alertlog import Alert

_GRAVE, _SERIOUS = 7, 4
"""Severities go from 1 to 10; from here on they are red, and orange."""

_CARDS = 6


def show_firing(view: View, firing: Sequence[Alert], choose: Callable[[Subject], None]) -> None:
    """A card for each firing alert, the gravest first; ``choose`` is called to look into one."""
    if not firing:
        with st.container(border=True, key="calm"):
            st.markdown(":green[:material/check_circle:] Nothing is firing.")
        return
    gravest = sorted(firing, key=lambda alert: alert.severity, reverse=True)
    for number, alert in enumerate(gravest[:_CARDS]):
        _card(number, alert, view.newest, choose)
    if len(gravest) > _CARDS:
        with st.expander(f"{len(gravest) - _CARDS} more are firing"):
            _table(gravest[_CARDS:], view.newest, "more-firing")


def show_resolved(view: View, resolved: Sequence[Alert]) -> None:
    """Those that have ended, folded away."""
    if resolved:
        with st.expander(f"Resolved alerts ({len(resolved)})", key="resolved"):
            _table(resolved, view.newest, "resolved-alerts")


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


def _card(number: int, alert: Alert, newest: datetime, choose: Callable[[Subject], None]) -> None:
    subject = subject_of(alert)
    facts = (
        f"value {_value(alert)} over {alert.documents:,} documents when it fired, "
        f"{moment(alert.fired_at)} UTC; for {lasting(newest - alert.fired_at)} now"
    )
    with (
        st.container(border=True, key=f"alert-card-{number}"),
        st.container(horizontal=True, vertical_alignment="center"),
    ):
        _badge(alert.severity)
        with st.container(key=f"alert-name-{number}", width="content"):
            st.text(f"{subject.label} · {plain(alert.rule, 80)}")
        with st.container(key=f"alert-facts-{number}", width="stretch"):
            st.text(facts)
        st.button(
            "Look into it", key=f"look-{number}", on_click=choose, args=(subject,), type="tertiary"
        )


def _table(alerts: Sequence[Alert], newest: datetime, key: str) -> None:
    times = st.column_config.DatetimeColumn(format="D MMM YYYY HH:mm", timezone="UTC")
    st.dataframe(
        tabulate(alerts, newest),
        key=key,
        hide_index=True,
        column_config={"Fired": times, "Resolved": times},
    )


def _badge(severity: int) -> None:
    name = f"severity {severity}"
    if severity >= _GRAVE:
        st.badge(name, icon=":material/error:", color="red")
    elif severity >= _SERIOUS:
        st.badge(name, icon=":material/warning:", color="orange")
    else:
        st.badge(name, icon=":material/info:", color="blue")


def _value(alert: Alert) -> str:
    return "no value" if alert.value is None else f"{alert.value:.3g}"
