"""The page of alerts: what was active when, how each stands, and one of them whole.

The link carries the filters and the id of the alert that is open, so that a message may name it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import streamlit as st

from alerts.actions import present
from alerts.listing import MOST, Listed
from dashboard.access.signing import stay
from dashboard.alerts.forms import show_silences
from dashboard.alerts.listing import describe, show_list
from dashboard.alerts.timeline import draw_alerts
from dashboard.alerts.whole import show_alert
from dashboard.common import reading
from dashboard.common.choices import publish, put
from dashboard.common.frame import AWAY, choose_run, find_runs, say_away, segments, select
from dashboard.common.theme import palette_for
from dashboard.common.view import is_going_on
from dashboard.common.words import later, say
from store.database import Database
from store.errors import AlertActionError, UnknownRunError
from store.runs import LIVE
from store.views import RunSummary

STATES = {"all": later("All"), "firing": later("Active"), "resolved": later("Ended")}
SPANS = {
    "24h": later("24 h"),
    "7d": later("7 days"),
    "30d": later("30 days"),
    "all": later("Whole run"),
}
SEVERITIES = {"1": later("Any"), "4": later("4 and over"), "7": later("7 and over")}
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
_LENGTHS = {"24h": _DAY, "7d": 7 * _DAY, "30d": 30 * _DAY}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which alerts of which run; ``rule`` and ``key`` None mean any."""

    run: str
    span: str
    state: str
    severity: int
    rule: str | None
    key: str | None

    def fits(self, listed: Listed) -> bool:
        """Whether a row of the span is asked for."""
        row = listed.row
        active = row.ended_at is None
        return (
            (self.state == "all" or active == (self.state == "firing"))
            and row.severity >= self.severity
            and self.rule in {None, row.rule}
            and self.key in {None, row.key}
        )


def show_alerts_page(database: Database) -> None:
    """Draw the page."""
    runs = find_runs(database)
    if not runs:
        return
    try:
        run, asked = _ask(database, runs)
    except (*AWAY, UnknownRunError) as error:
        say_away(error)
        return
    live = st.fragment(_live, run_every=reading.REFRESH if is_going_on(run) else None)
    live(database, run.id, asked)


def since(span: str, now: datetime) -> datetime | None:
    """From when on; None: from the run's beginning. On a whole minute, so that it is kept."""
    length = _LENGTHS.get(span)
    return None if length is None else now.replace(second=0, microsecond=0) - length


def _ask(database: Database, runs: list[RunSummary]) -> tuple[RunSummary, Asked]:
    with st.container(horizontal=True, vertical_alignment="bottom", key="header", gap="medium"):
        run = choose_run(runs)
        usual = "7d" if run.name == LIVE else "all"
        span = segments(say("Active within"), "within", SPANS, usual)
    known = _listed(database, run.name, span)
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        state = segments(say("State"), "state", STATES, "all")
        severity = segments(say("Severity"), "severity", SEVERITIES, "1")
        rule = select(say("Rule"), "rule", sorted({each.row.rule for each in known}), 220)
        keys = sorted({each.row.key for each in known if each.row.key})
        key = select(say("Subject"), "about", keys, 200)
    asked = Asked(run.name, span, state, int(severity), rule, key)
    publish(
        run=run.name, within=span, state=state, severity=severity, rule=rule or "", about=key or ""
    )
    return run, asked


def _listed(database: Database, run_name: str, span: str) -> list[Listed]:
    run = reading.run(database, run_name)
    return reading.listed(database, run, since(span, present(run, datetime.now(UTC))))


def _live(database: Database, run_id: int, asked: Asked) -> None:
    stay()
    try:
        run = reading.run(database, asked.run)
        if run.id != run_id:
            st.rerun()
        now = present(run, datetime.now(UTC))
        beginning = since(asked.span, now)
        listed = reading.listed(database, run, beginning)
        rows = [each for each in listed if asked.fits(each)]
        opened = _opened(asked.run)
        if rows:
            draw_alerts(rows, beginning, now, palette_for(st.context.theme.type))
            st.caption(describe(rows, cut=len(listed) >= MOST))
            show_list(rows, now, lambda number: _open(asked.run, number), hash(asked))
        else:
            _say_calm(any_at_all=bool(listed))
        put(alert=opened)
        if opened:
            _whole(database, asked.run, opened)
        show_silences(database, asked.run, reading.silences(database, run_id), now)
    except (*AWAY, UnknownRunError) as error:
        say_away(error)


def _say_calm(*, any_at_all: bool) -> None:
    if any_at_all:
        st.info(
            say("No alert is like that. Choose other filters."), icon=":material/filter_alt_off:"
        )
        return
    with st.container(border=True, key="calm"):
        st.markdown(
            say(":green[:material/check_circle:] Nothing is active, and nothing was in this span.")
        )


def _open(run_name: str, number: str) -> None:
    st.session_state["opened-alert"] = (run_name, number)


def _opened(run_name: str) -> str:
    """The id of the alert that is open; a link's, where nothing was opened yet."""
    if "opened-alert" not in st.session_state:
        _open(run_name, str(st.query_params.get("alert", ""))[:64])
    about, number = st.session_state["opened-alert"]
    return str(number) if about == run_name else ""


def _whole(database: Database, run_name: str, number: str) -> None:
    with st.container(border=True, key="alert"):
        try:
            view = reading.alert(database, run_name, number)
        except AlertActionError:
            st.info(say("The alert that the link names is not in this run."))
        else:
            show_alert(database, view)
        st.button(
            say("Close"), key="close-alert", on_click=_open, args=(run_name, ""), type="tertiary"
        )
