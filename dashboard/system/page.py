"""The page of the system: does it keep up, what was turned away, how large has it become?"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from dashboard.access.signing import show_access, stay
from dashboard.common import reading
from dashboard.common.choices import publish
from dashboard.common.clock import dated, in_zone, lasting, moment, place
from dashboard.common.frame import AWAY, choose_run, find_runs, say_away
from dashboard.common.plain import DASH
from dashboard.common.theme import palette_for
from dashboard.common.view import is_going_on
from dashboard.common.words import say
from dashboard.now.status import show_figures
from dashboard.system import tables
from dashboard.system.rates import (
    BEFORE,
    draw_rates,
    recent_rate,
    span_of,
    tabulate,
    usual_rates,
)
from dashboard.system.requeueing import Retry, show_requeueing
from store.database import Database
from store.errors import UnknownRunError
from store.runs import LIVE
from store.views import RunSummary, Slice

_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)
_DELIVERIES = timedelta(days=7)
_REASONS, _EXAMPLES, _PAYLOAD = 8, 3, 300


def show_system(database: Database, retry: Retry | None) -> None:
    """Draw the page; without ``retry``, dead letters are tried again by the command alone."""
    runs = find_runs(database)
    if not runs:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="header", gap="medium"):
        run = choose_run(runs)
    publish(run=run.name)
    live = st.fragment(_live, run_every=reading.REFRESH if is_going_on(run) else None)
    live(database, run.id, retry)
    st.header(say("Access"), anchor=False)
    show_access()


def _live(database: Database, run_id: int, retry: Retry | None) -> None:
    stay()
    try:
        run = next((run for run in reading.runs(database) if run.id == run_id), None)
        if run is None:
            st.rerun()
        now = datetime.now(UTC)
        _flow(database, run, now)
        _partitions(database, run, now)
        _dead_letters(database, run, retry)
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _models(database, run)
        with right:
            _deliveries(database, now)
        _storage(database, run)
    except (*AWAY, UnknownRunError) as error:
        say_away(error)


def _flow(database: Database, run: RunSummary, now: datetime) -> None:
    """The figures, and the rate over time. A live run goes on while nothing comes."""
    filled = reading.span(database, run.id)
    end = now if run.name == LIVE or filled is None else filled[1] + _MINUTE
    start, last = span_of(end)
    everything = Slice(run.id, "all", start, last)
    bins = reading.bins(database, everything, _MINUTE)
    week = Slice(run.id, "all", start - BEFORE, start)
    hours = reading.bins(database, week, _HOUR) if filled else []
    usual = usual_rates(hours, filled[0], start) if filled else {}
    _figures(database, run, now, recent_rate(bins, end), usual.get(end.hour))
    st.header(say("Documents a minute"), anchor=False)
    if filled is None:
        st.info(
            say("This run has no documents yet. They appear here as they come in."),
            icon=":material/hourglass_empty:",
        )
        return
    note = say("The line is what is usual: the median of the same hour over the 7 days before.")
    st.caption(note if usual else say("Nothing to compare with yet: the run is younger than that."))
    draw_rates(tabulate(bins, usual, start, last), start, last, palette_for(st.context.theme.type))


def _figures(
    database: Database, run: RunSummary, now: datetime, rate: float, usual: float | None
) -> None:
    live = run.name == LIVE
    lag = reading.publish_lag(database, run.id)
    known = [state.newest_event_at for state in reading.partitions(database, run.id)]
    times = [at for at in known if at is not None]
    slowest = min(times) if times and len(times) == len(known) else None
    waiting = reading.notifications(database)
    compared = (
        say("nothing to compare with")
        if usual is None
        else say("usual at this hour: {usual:.1f}", usual=usual)
    )
    figures = [
        (say("Documents a minute"), f"{rate:.1f}", compared),
        (
            say("Publish lag"),
            tables.seconds(lag.median) if lag and live else DASH,
            say("95 % under {high}", high=tables.seconds(lag.high))
            if lag and live
            else say("of the live run only"),
        ),
        (
            say("Watermark"),
            DASH if slowest is None else lasting(now - slowest) if live else moment(slowest),
            say("a partition has sent nothing")
            if slowest is None
            else say("behind the clock")
            if live
            else f"{in_zone(slowest).year}, {place()}",
        ),
        (say("Dead letters"), f"{run.dead_letters:,}", say("in the whole run")),
        (
            say("Notifications"),
            f"{waiting.get('pending', 0):,}",
            say("wait; {dead:,} given up", dead=waiting.get("dead", 0)),
        ),
    ]
    show_figures(figures)


def _partitions(database: Database, run: RunSummary, now: datetime) -> None:
    st.header(say("Partitions"), anchor=False)
    states = reading.partitions(database, run.id)
    if not states:
        st.info(say("No partition has been read yet."))
        return
    tables.show_partitions(states, now if run.name == LIVE else None)


def _dead_letters(database: Database, run: RunSummary, retry: Retry | None) -> None:
    st.header(say("Dead letters"), anchor=False)
    reasons = reading.reasons(database, run.id)
    if not reasons:
        with st.container(border=True, key="calm"):
            st.markdown(say(":green[:material/check_circle:] Nothing was turned away."))
        return
    examples = [
        letter
        for each in reasons[:_REASONS]
        for letter in reading.dead_letters(database, run.id, each.reason, _EXAMPLES, _PAYLOAD)
    ]
    counts, again = st.columns([2, 3], gap="large")
    with counts:
        tables.show_reasons(reasons)
    with again:
        show_requeueing(run, retry)
    tables.show_examples(examples)


def _models(database: Database, run: RunSummary) -> None:
    st.header(say("Models"), anchor=False)
    used = reading.models_used(database, run.id)
    if used:
        tables.show_models(used)
    else:
        st.info(say("No document was scored yet."))


def _deliveries(database: Database, now: datetime) -> None:
    st.header(say("Deliveries"), anchor=False)
    since = now.replace(minute=0, second=0, microsecond=0) - _DELIVERIES
    outcomes = reading.outcomes(database, since)
    if outcomes:
        tables.show_outcomes(outcomes)
    else:
        st.info(say("Nobody was told anything in the last 7 days."))


def _storage(database: Database, run: RunSummary) -> None:
    st.header(say("Storage"), anchor=False)
    found = reading.run(database, run.name)
    st.caption(_horizon([found.documents_from, found.hours_from]))
    tables.show_sizes(reading.table_sizes(database))


def _horizon(moments: Sequence[datetime | None]) -> str:
    documents, hours = (dated(at) if at else None for at in moments)
    if documents is None:
        return say("All runs together. Nothing of this run was pruned.")
    kept = say(
        "All runs together. Of this run, documents and minutes are kept from {documents} on",
        documents=documents,
    )
    return (
        say("{kept}, hours from {hours} on.", kept=kept, hours=hours)
        if hours
        else say("{kept}, all hours.", kept=kept)
    )
