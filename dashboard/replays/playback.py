"""A run played back: at each moment of its own time, what an analyst would have seen then.

Nothing is read from later than the moment but the alerts' own log, of which the later part is cut
off. A fragment turns the reel while it plays; everything outside it stands still.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

import pandas as pd
import streamlit as st

from dashboard.common import reading
from dashboard.common.choices import linked, publish, restore
from dashboard.common.clock import dated, in_zone, lasting, moment, place, times
from dashboard.common.frame import say_away, segments
from dashboard.common.headings import show_table
from dashboard.common.plain import DASH, plain
from dashboard.common.theme import palette_for
from dashboard.common.view import (
    EVERYTHING,
    SPANS,
    Subject,
    View,
    is_going_on,
    make_view,
    subject_at,
)
from dashboard.common.words import say
from dashboard.now.firing import gravest, show_firing, subject_of
from dashboard.now.heatmap import chosen_cell, draw_heatmap, tabulate
from dashboard.now.status import show_figures, total
from dashboard.now.timeline import draw_timeline
from dashboard.replays import moments
from dashboard.replays.moments import Reel
from store.alertlog import Alert
from store.buckets import Sums
from store.database import Database
from store.errors import DatabaseUnavailableError
from store.views import Bin, RunSummary, Slice

TICK = 1.0
"""Seconds between two frames while it plays."""

_LONGEST_TICK = 3.0
"""After a longer pause it goes on from where it was."""

_EVENTS = 100
_AT, _PLAYING, _HEATMAP = "at", "playing", "played-heatmap"
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Played:
    """What is played, and how: the run, its moments, the span that is drawn."""

    run: RunSummary
    filled: tuple[datetime, datetime]
    reel: Reel
    span: str
    speed: str

    def view(self, at: datetime) -> View:
        """What is drawn at a moment: the whole run with its rest left blank, or a span up to it."""
        if self.span == "all":
            return replace(make_view(self.run, self.filled, "all", None), newest=at)
        newest = max(at - _MINUTE, self.filled[0])
        return replace(make_view(self.run, (self.filled[0], newest), self.span, None), newest=at)


def show_playback(database: Database, run: RunSummary, filled: tuple[datetime, datetime]) -> None:
    """Draw the controls and, turning by itself while it plays, the run at the moment."""
    reel = moments.make_reel(*filled)
    _restore_moment(run, reel)
    played = _controls(database, run, filled, reel)
    playing = _PLAYING in st.session_state
    if not playing:
        publish(at=moments.write_moment(st.session_state[_AT]))
    frame = st.fragment(_frame, run_every=TICK if playing else None)
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


def _restore_moment(run: RunSummary, reel: Reel) -> None:
    """The session's moment, else the link's, else the run's end; always within the run."""
    known: datetime | None = None
    if st.session_state.get("played-run", run.id) == run.id:
        known = st.session_state.get(_AT) or moments.read_moment(linked(_AT))
    else:
        _pause()
    st.session_state["played-run"] = run.id
    st.session_state[_AT] = reel.at(known or reel.end)


def _controls(
    database: Database, run: RunSummary, filled: tuple[datetime, datetime], reel: Reel
) -> Played:
    changes = moments.changes(reading.alerts(database, run.name))
    playing = _PLAYING in st.session_state
    with st.container(horizontal=True, vertical_alignment="bottom", key="reel"):
        st.button(
            say("Last alert change"),
            icon=":material/skip_previous:",
            key="to-last",
            on_click=_to_last_change,
            args=(reel, changes),
            disabled=not changes,
        )
        st.button(
            say("A step back"),
            icon=":material/chevron_left:",
            key="step-back",
            on_click=_step,
            args=(reel, -1),
        )
        st.button(
            say("Pause") if playing else say("Play"),
            icon=":material/pause:" if playing else ":material/play_arrow:",
            key="play",
            type="primary",
            on_click=_pause if playing else _play,
            args=() if playing else (reel,),
        )
        st.button(
            say("A step on"),
            icon=":material/chevron_right:",
            key="step-on",
            on_click=_step,
            args=(reel, 1),
        )
        st.button(
            say("Next alert change"),
            icon=":material/skip_next:",
            key="to-next",
            on_click=_to_next_change,
            args=(reel, changes),
            disabled=not changes,
        )
        restore("speed", moments.SPEEDS, reel.usual_speed())
        speed = st.selectbox(
            say("Speed"),
            list(moments.SPEEDS),
            key="speed",
            format_func=lambda name: say(moments.SPEEDS[name]),
            width=170,
        )
        span = segments(say("Drawn up to then"), "played", SPANS, "all")
    publish(speed=str(speed), played=span)
    return Played(run, filled, reel, span, str(speed))


def _step(reel: Reel, frames: int) -> None:
    """Read when it is pressed: while it plays, the buttons are older than the moment."""
    _go(reel, st.session_state[_AT] + frames * reel.frame)


def _to_last_change(reel: Reel, changes: Sequence[moments.Change]) -> None:
    _go(reel, moments.change_before(changes, st.session_state[_AT]))


def _to_next_change(reel: Reel, changes: Sequence[moments.Change]) -> None:
    _go(reel, moments.next_change(changes, st.session_state[_AT]))


def _go(reel: Reel, to: datetime | None) -> None:
    _pause()
    if to is not None:
        # To the frame that shows it: the first one not before.
        st.session_state[_AT] = reel.at(to + reel.frame - timedelta(microseconds=1))


def _play(reel: Reel) -> None:
    if st.session_state[_AT] >= reel.end:
        st.session_state[_AT] = reel.start
    st.session_state[_PLAYING] = monotonic()


def _pause() -> None:
    st.session_state.pop(_PLAYING, None)


def _turn(played: Played) -> None:
    """Go on by as much as has passed since the last frame; stop at the end."""
    last = st.session_state.get(_PLAYING)
    if last is None:
        return
    now = monotonic()
    if now - last < TICK / 2:
        return
    passed = min(now - last, _LONGEST_TICK)
    st.session_state[_AT] = played.reel.after(st.session_state[_AT], passed, played.speed)
    st.session_state[_PLAYING] = now
    if st.session_state[_AT] >= played.reel.end:
        _pause()
        st.rerun()


def _frame(database: Database, played: Played) -> None:
    _turn(played)
    try:
        at = _slider(played.reel)
        _draw(database, played, at)
    except DatabaseUnavailableError:
        say_away()


def _slider(reel: Reel) -> datetime:
    """The moment; moving it stops the playing, for who looks closer wants it to stand still."""
    at: datetime = st.slider(
        say("Event time (UTC)"),
        min_value=reel.start,
        max_value=max(reel.end, reel.start + reel.frame),
        step=reel.frame,
        format="D MMM YYYY HH:mm",
        key=_AT,
        on_change=_pause,
    )
    if _PLAYING not in st.session_state:
        publish(at=moments.write_moment(at))
    return at


def _draw(database: Database, played: Played, at: datetime) -> None:
    run, view = played.run, played.view(at)
    alerts = moments.known(reading.alerts(database, run.name), at)
    firing = [alert for alert in alerts if alert.resolved_at is None]
    before = total(seen(database, run, view.part("all"), view.cell, at))
    _figures(played, at, before, firing, len(alerts))
    # What keeps its height comes first, so that little jumps while it plays.
    _subject(database, played, view, at, alerts)
    _topics(database, played, view, at)
    st.subheader(say("Firing then"), anchor=False)
    shown = [(alert.rule, alert.key, alert.fired_at) for alert in gravest(firing)]
    why = reading.cards(database, run.id, shown) if shown else {}
    show_firing(view, firing, why, _choose)
    st.subheader(say("What had happened by then"), anchor=False)
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
    st.subheader(say("Negative share by topic"), anchor=False)
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
