"""The controls of a replay: the moment, how fast it goes on, and the slider that says it.

The moment is kept in the session and carried by the link. Draws nothing of what is played.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

import streamlit as st

from dashboard.common.choices import linked, publish, restore
from dashboard.common.frame import segments
from dashboard.common.view import SPANS, View, make_view
from dashboard.common.words import say
from dashboard.replays import moments
from dashboard.replays.moments import Reel
from store.views import RunSummary

TICK = 1.0
"""Seconds between two frames while it plays."""

_LONGEST_TICK = 3.0
"""After a longer pause it goes on from where it was."""

_AT, _PLAYING = "at", "playing"
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


def restore_moment(run: RunSummary, reel: Reel) -> None:
    """The session's moment, else the link's, else the run's end; always within the run."""
    known: datetime | None = None
    if st.session_state.get("played-run", run.id) == run.id:
        known = st.session_state.get(_AT) or moments.read_moment(linked(_AT))
    else:
        _pause()
    st.session_state["played-run"] = run.id
    st.session_state[_AT] = reel.at(known or reel.end)


def draw_controls(
    run: RunSummary,
    filled: tuple[datetime, datetime],
    reel: Reel,
    changes: Sequence[moments.Change],
) -> Played:
    """Draw the buttons, the speed and the span; what is played by them."""
    playing = is_playing()
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
    if not playing:
        publish(at=moments.write_moment(st.session_state[_AT]))
    return Played(run, filled, reel, span, str(speed))


def is_playing() -> bool:
    """Whether the reel turns by itself."""
    return _PLAYING in st.session_state


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


def turn(played: Played) -> None:
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


def draw_slider(reel: Reel) -> datetime:
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
    if not is_playing():
        publish(at=moments.write_moment(at))
    return at
