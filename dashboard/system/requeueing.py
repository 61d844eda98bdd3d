"""Trying dead letters again: what would come of it, and then doing it. Feed text stays out.

Who tries them is handed in: it takes the model, which pages do not know. Operators may.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from dashboard.access.acting import try_dead_letters
from dashboard.access.roles import AccessDeniedError, Deed
from dashboard.access.signing import current_user, may_act
from dashboard.common import reading
from dashboard.common.plain import plain
from dashboard.common.wording import worded
from dashboard.common.words import say
from store.views import RunSummary


class RetryError(RuntimeError):
    """Dead letters could not be tried again; the message says why."""


@dataclass(frozen=True, slots=True)
class Retried:
    """What came of trying dead letters again, or would come of it: then ``documents`` is None.

    ``prospects`` counts letters; ``reasons`` those that were turned away again, by reason.
    ``repeats`` were known already.
    """

    prospects: Mapping[str, int]
    reasons: Mapping[str, int]
    documents: int | None = None
    repeats: int = 0


Retry = Callable[[str, bool], Retried]
"""Tries the dead letters of the run of that name again, or only says what would come of it: the
second is whether to do it. Raises RetryError."""


def show_requeueing(run: RunSummary, retry: Retry | None) -> None:
    """The command that tries dead letters again, and for operators the buttons that do."""
    st.caption(
        say(
            "A newer version may read what an older one turned away. This command "
            "tries all of them again, and counts each once:"
        )
    )
    name = shlex.quote(plain(run.name, 200))
    st.code(f"tapewatch dead-letters requeue --run {name} --apply", language=None)
    if retry is None or not may_act(Deed.TRY_DEAD_LETTERS):
        return
    with st.container(horizontal=True, key="requeueing"):
        if st.button(say("What would come of it?"), key="dry-run", icon=":material/science:"):
            _try(run, retry, apply=False)
        told = _told(run)
        mended = told.prospects.get("mended", 0) if told and told.documents is None else 0
        if mended and st.button(
            say("Try them again ({count:,})", count=mended),
            key="requeue",
            icon=":material/replay:",
            type="primary",
        ):
            _try(run, retry, apply=True)
    if told := _told(run):
        st.text(describe(told))


def describe(told: Retried) -> str:
    """What came of requeueing, or would come of it, in a line."""
    words = {
        "mended": say("would become documents"),
        "still_rejected": say("would be turned away again"),
        "too_many_replays": say("were tried too often"),
        "payload_cut": say("were too large to be kept whole"),
    }
    if told.documents is not None:
        words |= {
            "mended": say("were read, of which {count:,} were known", count=told.repeats),
            "still_rejected": say("were turned away again"),
        }
    order = [*words, *(name for name in told.prospects if name not in words)]
    parts = [
        f"{told.prospects[name]:,} {words.get(name, plain(name, 40))}"
        for name in order
        if told.prospects.get(name)
    ]
    why = ", ".join(f"{worded(name)} {count:,}" for name, count in told.reasons.items())
    return "; ".join(parts or [say("there are none")]) + (f" ({why})" if why else "") + "."


def _try(run: RunSummary, retry: Retry, *, apply: bool) -> None:
    try:
        with st.spinner(say("Reading them again")):
            told = try_dead_letters(current_user(), lambda: retry(run.name, apply))
    except AccessDeniedError as error:
        st.error(str(error), icon=":material/error:")
        return
    except RetryError as error:
        st.error(say("They cannot be tried again:"), icon=":material/error:")
        st.text(plain(str(error), 600))
        return
    st.session_state["retried"] = (run.id, told)
    if apply:
        reading.reasons.clear()
        reading.dead_letters.clear()
        st.rerun()


def _told(run: RunSummary) -> Retried | None:
    about, told = st.session_state.get("retried", (None, None))
    return told if about == run.id else None
