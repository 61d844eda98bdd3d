"""What can be done about an alert from its page: acknowledge, comment, silence; and end a silence.

Knows who may: forms are drawn for those, and ``dashboard.access.acting`` checks again.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from alerts.actions import AlertView
from alerts.rules.matchers import MatcherError
from alerts.rules.ruleset import duration
from alerts.telling.silences import SilenceState, state_at
from dashboard.access import acting
from dashboard.access.acting import Actor, AlertName
from dashboard.access.roles import AccessDeniedError, Deed
from dashboard.access.signing import ask_name, current_user, may_act, remember_name
from dashboard.common import reading
from dashboard.common.clock import dated, from_the_clock, place, times
from dashboard.common.headings import show_table
from dashboard.common.plain import plain
from dashboard.common.words import later, say
from store.alert_actions import LONGEST_AUTHOR, LONGEST_COMMENT
from store.database import Database
from store.errors import DatabaseUnavailableError, StoreError
from store.silences import Silence

_LONGEST_PATTERN = 200
_SPECIAL = re.compile(r"[*?\[]")
_STATE_SIGNS = {
    SilenceState.ACTIVE: later("▲ active"),
    SilenceState.PENDING: later("◌ pending"),
    SilenceState.EXPIRED: later("● expired"),
}


def show_forms(database: Database, view: AlertView) -> None:
    """The forms for one alert, side by side and folded."""
    if not may_act(Deed.ACKNOWLEDGE):
        return
    alert = AlertName(view.run, view.rule, view.key)
    with st.container(horizontal=True, key="alert-forms"):
        if view.acknowledged:
            _one_line(
                database,
                say("Take acknowledgement back"),
                ":material/undo:",
                lambda actor, said: acting.unacknowledge(actor, alert, said),
            )
        elif view.active:
            _one_line(
                database,
                say("Acknowledge"),
                ":material/done:",
                lambda actor, said: acting.acknowledge(actor, alert, said),
            )
        _one_line(
            database,
            say("Comment"),
            ":material/chat_bubble:",
            lambda actor, said: acting.comment_on(actor, alert, said),
            must_say=True,
        )
        with st.popover(
            say("Silence"), icon=":material/notifications_paused:", key=_key("silence")
        ):
            _silence_form(database, view.run, literally(view.rule), literally(view.key), "alert")


def show_silences(
    database: Database, run_name: str, silences: Sequence[Silence], now: datetime
) -> None:
    """The silences of a run, the latest first, with forms to end one and to begin another."""
    going_on = [s for s in silences if state_at(s, now) is not SilenceState.EXPIRED]
    with st.expander(
        say("Silences ({count} in force or to come)", count=len(going_on)), key="silences"
    ):
        if silences:
            _silence_table(silences, now)
        else:
            st.caption(say("Nothing was ever silenced in this run."))
        if not may_act(Deed.SILENCE):
            return
        with st.container(horizontal=True, key="silence-forms"):
            if going_on:
                with st.popover(
                    say("End one now"), icon=":material/alarm_off:", key=_key("expire")
                ):
                    _expire_form(database, run_name, going_on)
            with st.popover(
                say("New silence"), icon=":material/notifications_paused:", key=_key("new")
            ):
                _silence_form(database, run_name, "", "", "run")


def literally(name: str) -> str:
    """A name as a pattern that fits it and nothing else."""
    return _SPECIAL.sub(lambda found: f"[{found[0]}]", name)


def tabulate(silences: Sequence[Silence], now: datetime) -> pd.DataFrame:
    """One row a silence in plain text, the latest first."""
    rows = [
        {
            "Number": silence.id,
            "State": say(_STATE_SIGNS[state_at(silence, now)]),
            "Holds back": describe(silence),
            "From": silence.starts_at,
            "Until": silence.ends_at,
            "Who": plain(silence.author, LONGEST_AUTHOR),
            "Comment": plain(silence.comment, LONGEST_COMMENT),
        }
        for silence in reversed(silences)
    ]
    return pd.DataFrame(rows)


def describe(silence: Silence) -> str:
    """What a silence is about."""
    parts = (f"{name}={pattern}" for name, pattern in silence.matchers.items())
    return plain(", ".join(parts), 300)


def _silence_table(silences: Sequence[Silence], now: datetime) -> None:
    show_table(
        tabulate(silences, now),
        key="silence-table",
        hide_index=True,
        height=min(250, 38 + 35 * len(silences)),
        column_config={
            "Number": st.column_config.NumberColumn(width=70),
            "Holds back": st.column_config.TextColumn(width=300),
            "From": times(say("From")),
            "Until": times(say("Until")),
            "Comment": st.column_config.TextColumn(width=300),
        },
        alt=say("Silences of this run, the latest first"),
    )


def _one_line(
    database: Database,
    title: str,
    icon: str,
    act: Callable[[Actor, str], None],
    *,
    must_say: bool = False,
) -> None:
    """A form of a comment and, where nobody signs in, a name."""
    key = _key(title.lower())
    with st.popover(title, icon=icon, key=key), st.form(f"{key}-form", border=False):
        name = ask_name(f"{key}-name")
        comment = _comment(key, optional=not must_say)
        sent = st.form_submit_button(title, key=f"{key}-send")
    if not sent:
        return
    if must_say and not comment.strip():
        _refuse(say("Write a comment first."))
        return
    _do(database, name, lambda actor: act(actor, comment))


def _silence_form(database: Database, run_name: str, rule: str, key: str, about: str) -> None:
    form = f"{_key('silence')}-{about}"
    with st.form(f"{form}-form", border=False):
        st.caption(say("It holds back what all of these fit. `*` stands for anything."))
        left, right = st.columns(2)
        with left:
            patterns = {
                "rule": _pattern(say("Rule"), f"{form}-rule", rule),
                "scope": _pattern(say("Scope"), f"{form}-scope", ""),
            }
            start = st.datetime_input(
                say("From ({place}); empty: now", place=place()),
                value=None,
                key=f"{form}-start",
                format="YYYY-MM-DD",
            )
        with right:
            patterns |= {
                "key": _pattern(say("Subject"), f"{form}-key", key),
                "severity": _pattern(say("Severity, such as <=5"), f"{form}-severity", ""),
            }
            lasting = st.text_input(say("For"), value="2h", key=f"{form}-for", max_chars=20)
        name = ask_name(f"{form}-name")
        comment = _comment(form, optional=True)
        sent = st.form_submit_button(say("Silence"), key=f"{form}-send")
    if not sent:
        return
    given = {name: pattern for name, pattern in patterns.items() if pattern}
    begin = from_the_clock(start) if start else None
    try:
        length = duration(str(lasting))
    except (ValueError, OverflowError) as error:
        _refuse(str(error))
        return
    _do(
        database,
        name,
        lambda actor: _silence(actor, run_name, given, begin, length, comment),
    )


def _silence(  # noqa: PLR0913 - a silence, who and why
    actor: Actor,
    run_name: str,
    matchers: dict[str, str],
    start: datetime | None,
    length: timedelta,
    comment: str,
) -> None:
    acting.silence(actor, run_name, matchers, start, length, comment)


def _expire_form(database: Database, run_name: str, going_on: Sequence[Silence]) -> None:
    key = _key("expire")
    known = {silence.id: silence for silence in going_on}
    with st.form(f"{key}-form", border=False):
        number = st.selectbox(
            say("Silence"),
            list(known),
            key=f"{key}-number",
            format_func=lambda number: say(
                "{number}: {matchers}, until {ends_at}",
                number=number,
                matchers=describe(known[number]),
                ends_at=dated(known[number].ends_at),
            ),
        )
        name = ask_name(f"{key}-name")
        comment = _comment(key, optional=True)
        sent = st.form_submit_button(say("End it now"), key=f"{key}-send")
    if sent and number is not None:
        _do(database, name, lambda actor: acting.expire(actor, run_name, number, comment))


def _pattern(label: str, key: str, value: str) -> str:
    given = st.text_input(label, value=value, key=key, max_chars=_LONGEST_PATTERN)
    return str(given or "").strip()


def _comment(key: str, *, optional: bool) -> str:
    hint = say("optional") if optional else say("what there is to say")
    given = st.text_input(
        say("Comment"), key=f"{key}-comment", max_chars=LONGEST_COMMENT, placeholder=hint
    )
    return str(given or "")


def _key(name: str) -> str:
    """Of a form; after an action all forms begin anew, and are folded again."""
    return f"{name.replace(' ', '-')}-{st.session_state.get('acted', 0)}"


def _do(database: Database, name: str, act: Callable[[Actor], None]) -> None:
    """Act as whoever it is now and draw the page anew, or say why it was not done."""
    actor = Actor(database, current_user(), name)
    if not actor.name.strip():
        _refuse(say("Type your name first."))
        return
    try:
        act(actor)
    except DatabaseUnavailableError:
        raise
    except (AccessDeniedError, MatcherError, StoreError, OverflowError) as error:
        _refuse(str(error))
        return
    remember_name(name)
    st.session_state["acted"] = st.session_state.get("acted", 0) + 1
    for kept in (reading.alert, reading.listed, reading.silences):
        kept.clear()
    st.rerun()


def _refuse(why: str) -> None:
    st.error(say("This was not done:"), icon=":material/error:")
    st.text(plain(why, 600))
