"""A run played back: at each moment of its own time, what an analyst would have seen then.

Nothing is read from later than the moment but the alerts' own log, of which the later part is cut
off. A fragment turns the reel while it plays; everything outside it stands still.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from dashboard.common import reading
from dashboard.common.choices import linked, publish
from dashboard.common.clock import dated, in_zone, lasting, moment, place, times
from dashboard.common.frame import say_away
from dashboard.common.headings import show_table
from dashboard.common.plain import DASH, plain
from dashboard.common.theme import palette_for
from dashboard.common.view import (
    EVERYTHING,
    SPANS,
    Subject,
    View,
    is_going_on,
    subject_at,
)
from dashboard.common.words import say
from dashboard.now.firing import gravest, show_firing, subject_of
from dashboard.now.heatmap import chosen_cell, draw_heatmap, tabulate
from dashboard.now.status import show_figures, total
from dashboard.now.timeline import draw_timeline
from dashboard.replays import moments
from dashboard.replays.controls import (
    TICK,
    Played,
    draw_controls,
    draw_slider,
    is_playing,
    restore_moment,
    turn,
)
from store.alertlog import Alert
from store.buckets import Sums
from store.database import Database
from store.errors import DatabaseUnavailableError
from store.views import Bin, RunSummary, Slice

_EVENTS = 100
_HEATMAP = "played-heatmap"
_MINUTE = timedelta(minutes=1)


def show_playback(database: Database, run: RunSummary, filled: tuple[datetime, datetime]) -> None:
    """Draw the controls and, turning by itself while it plays, the run at the moment."""
    reel = moments.make_reel(*filled)
    restore_moment(run, reel)
    played = draw_controls(run, filled, reel, moments.changes(reading.alerts(database, run.name)))
    frame = st.fragment(_frame, run_every=TICK if is_playing() else None)
    frame(database, played)


def seen(
    database: Database, run: RunSummary, part: Slice, size: timedelta, at: datetime
) -> list[Bin]:
    """The sums of each key in each bin of ``part``, of documents before ``at`` only.

    The bin that ``at`` lies in holds what had come by then.
    """
    read = reading.bins if is_going_on(run) else reading.finished_bins
    until = min(at, part.end)
    whole, hour = moments.edges(until, size)
    bins = moments.cut(read(database, part, size), whole, size) if whole > part.start else []
    rest: list[Bin] = []
    if hour > whole:
        hours = replace(part, start=max(part.start, whole), end=hour)
        rest += reading.bins(database, hours, timedelta(hours=1))
    if until > hour:
        minutes = replace(part, start=max(part.start, hour), end=until)
        rest += reading.bins(database, minutes, _MINUTE)
    return bins + moments.gather(rest, whole)


def tabulate_changes(changes: Sequence[moments.Change]) -> pd.DataFrame:
    """One row a change, in plain text, the latest first."""
    rows = [
        (
            change.at,
            say("▲ fired") if change.fired else say("✓ resolved"),
            plain(change.alert.rule, 80),
            subject_of(change.alert).label,
            change.alert.severity,
            DASH if change.fired else lasting(change.at - change.alert.fired_at),
        )
        for change in changes
    ]
    return pd.DataFrame(rows, columns=["Time", "What", "Rule", "Subject", "Severity", "After"])


def _frame(database: Database, played: Played) -> None:
    turn(played)
    try:
        at = draw_slider(played.reel)
        _draw(database, played, at)
    except DatabaseUnavailableError:
        say_away()


def _draw(database: Database, played: Played, at: datetime) -> None:
    run, view = played.run, played.view(at)
    alerts = moments.known(reading.alerts(database, run.name), at)
    firing = [alert for alert in alerts if alert.resolved_at is None]
    before = total(seen(database, run, view.part("all"), view.cell, at))
    _figures(played, at, before, firing, len(alerts))
    # What keeps its height comes first, so that little jumps while it plays.
    _subject(database, played, view, at, alerts)
    _topics(database, played, view, at)
    st.header(say("Firing then"), anchor=False)
    shown = [(alert.rule, alert.key, alert.fired_at) for alert in gravest(firing)]
    why = reading.cards(database, run.id, shown) if shown else {}
    show_firing(view, firing, why, _choose)
    st.header(say("What had happened by then"), anchor=False)
    _events(moments.changes(alerts))


def _figures(
    played: Played, at: datetime, sums: Sums, firing: Sequence[Alert], alerts: int
) -> None:
    reel = played.reel
    share = f"{sums.negative / sums.documents:.0%}" if sums.documents else DASH
    part = (at - reel.start) / max(reel.end - reel.start, reel.frame)
    figures = [
        (
            say("It is"),
            moment(at),
            say(
                "{year} {place}, {part:.0%} played", year=in_zone(at).year, place=place(), part=part
            ),
        ),
        (say("Firing alerts"), str(len(firing)), say("of {alerts:,} so far", alerts=alerts)),
        (
            say("Documents"),
            f"{sums.documents:,}",
            say("up to then, {span}", span=say(SPANS[played.span]).lower()),
        ),
        (say("Negative share"), share, say("{negative:,} negative", negative=sums.negative)),
    ]
    show_figures(figures, alarming={figures[1][0]} if firing else ())


def _topics(database: Database, played: Played, view: View, at: datetime) -> None:
    st.header(say("Negative share by topic"), anchor=False)
    bins = seen(database, played.run, view.part("topic"), view.cell, at)
    if not bins:
        st.info(say("No document had come by then."), icon=":material/hourglass_empty:")
        return
    subject = subject_at(str(st.session_state.get("played-subject", "")))
    topic = subject.key if subject.scope == "topic" else None
    cells = tabulate(bins, view.cell, topic)
    draw_heatmap(view, cells, palette_for(st.context.theme.type), _HEATMAP, _choose_cell)


def _subject(
    database: Database, played: Played, view: View, at: datetime, alerts: Sequence[Alert]
) -> None:
    """The timeline of a subject, up to the moment; what is not known yet is shaded."""
    address = restore_subject()
    subject = subject_at(address)
    with st.container(horizontal=True, vertical_alignment="bottom", key="played-about"):
        with st.container(key="queue-facts"):
            st.text(say("Timeline: {label}", label=subject.label))
        if subject != EVERYTHING:
            st.button(
                say("All documents"),
                icon=":material/close:",
                key="played-everything",
                on_click=_choose,
                args=(EVERYTHING,),
            )
    part = replace(view.part(subject.scope), key=subject.key or None)
    early = replace(part, start=view.start - view.window)
    bins = seen(database, played.run, early, view.step, at)
    about = [alert for alert in alerts if subject in {EVERYTHING, subject_of(alert)}]
    unknown = (at, view.end) if at < view.end else None
    palette = palette_for(st.context.theme.type)
    draw_timeline(view, bins, about, unknown, palette, until=at)
    if unknown:
        st.caption(say("Shaded: after {at}, not known yet.", at=dated(at)))


def restore_subject() -> str:
    """The address of the subject: the session's, else the link's, else everything."""
    known = st.session_state.get("played-subject")
    if known is None:
        known = linked("about")
        st.session_state["played-subject"] = subject_at(known).address
    publish(about="" if st.session_state["played-subject"] == "all" else str(known))
    return str(st.session_state["played-subject"])


def _choose(subject: Subject) -> None:
    st.session_state["played-subject"] = subject.address
    publish(about="" if subject == EVERYTHING else subject.address)


def _choose_cell() -> None:
    cell = chosen_cell(_HEATMAP)
    _choose(Subject("topic", cell[0]) if cell else EVERYTHING)


def _events(changes: Sequence[moments.Change]) -> None:
    if not changes:
        st.text(say("No alert had fired."))
        return
    if len(changes) > _EVENTS:
        st.caption(
            say("The latest {events} of {changes:,} changes", events=_EVENTS, changes=len(changes))
        )
    show_table(
        tabulate_changes(changes[:_EVENTS]),
        key="changes",
        hide_index=True,
        height=min(360, 38 + 35 * min(len(changes), _EVENTS)),
        column_config={
            "Time": times(say("Time"), 140),
            "Rule": st.column_config.TextColumn(width=240),
            "Subject": st.column_config.TextColumn(width=220),
        },
        alt=say("Alerts that had fired and resolved, the latest first"),
    )
