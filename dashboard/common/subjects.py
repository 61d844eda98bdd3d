"""The choice of a subject among a run's topics, symbols and sources, and of one beside it."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from dashboard.common import reading
from dashboard.common.choices import restore
from dashboard.common.view import EVERYTHING, Subject, View, fired_by, subject_at
from dashboard.common.words import later, say
from dashboard.now.firing import subject_of
from store.alertlog import Alert
from store.database import Database
from store.views import Slice

SCOPES = {"topic": later("Topic"), "symbol": later("Symbol"), "source": later("Source")}
_NOTHING = ""


def name_of(address: str) -> str:
    """How a subject's address is said on screen, in plain text."""
    subject = subject_at(address)
    scope = SCOPES.get(subject.scope)
    return f"{say(scope)}: {subject.label}" if scope else subject.label


def addresses_in(database: Database, part: Slice, *named: str | None) -> list[str]:
    """Everything, and the subjects of the slice's span; what a link names is among them."""
    addresses = [EVERYTHING.address]
    for scope in SCOPES:
        keys = reading.keys(database, replace(part, scope=scope, key=None))
        addresses += sorted(Subject(scope, key).address for key in keys)
    for address in named:
        if address and address not in addresses and subject_at(address) != EVERYTHING:
            addresses.append(address)
    return addresses


def choose_subject(database: Database, part: Slice) -> Subject:
    """The subject of the page."""
    named = (st.session_state.get("subject"), st.query_params.get("subject"))
    addresses = addresses_in(database, part, *named)
    restore("subject", addresses, EVERYTHING.address)
    chosen = st.selectbox(
        say("Topic, symbol or source"), addresses, key="subject", format_func=name_of, width=330
    )
    return subject_at(str(chosen))


def choose_other(database: Database, part: Slice, subject: Subject) -> Subject | None:
    """The subject that is laid beside ``subject``; None for none."""
    named = (st.session_state.get("against"), st.query_params.get("against"))
    addresses = [_NOTHING, *addresses_in(database, part, *named)]
    restore("against", addresses, _NOTHING)
    chosen = st.selectbox(
        say("Compare with"),
        addresses,
        key="against",
        format_func=lambda address: name_of(address) if address else say("Nothing"),
        width=330,
    )
    other = subject_at(str(chosen)) if chosen else None
    return None if other == subject else other


def about(subject: Subject, alerts: Sequence[Alert], view: View) -> list[Alert]:
    """The alerts on the subject that lasted into the view, the latest first."""
    return [
        alert
        for alert in alerts
        if subject in {EVERYTHING, subject_of(alert)}
        and fired_by(alert.fired_at, view.end, view.newest)
        and (alert.resolved_at is None or alert.resolved_at > view.start)
    ]
