"""The strip that is read from across the room: is something wrong, and how fresh is this?"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime

import streamlit as st

from alerts.policies import PipelinePolicy
from dashboard.plain import DASH, lasting, moment
from dashboard.view import View, is_going_on
from store.alertlog import Alert
from store.buckets import Sums
from store.runs import LIVE
from store.views import Bin

STALE = PipelinePolicy().stalled_after
"""A live run without a document for so long is not calm: it may have stalled."""


def total(bins: Iterable[Bin]) -> Sums:
    """The sums of everything in ``bins``."""
    return sum((found.sums for found in bins), Sums())


def show_status(view: View, sums: Sums, firing: Sequence[Alert]) -> None:
    """Five figures of the view; what is wrong with it stands out."""
    share = f"{sums.negative / sums.documents:.0%}" if sums.documents else DASH
    late = datetime.now(UTC) - view.newest
    stale = view.run.name == LIVE and late > STALE
    age = f"{'▲ ' if stale else ''}{lasting(late)} ago"
    figures = [
        ("Firing alerts", str(len(firing)), "look below" if firing else "all calm"),
        ("Documents", f"{sums.documents:,}", "in this span"),
        ("Negative share", share, f"{sums.negative:,} negative"),
        (
            "Newest document",
            moment(view.newest),
            age if view.run.name == LIVE else f"{view.newest.year}, UTC",
        ),
        ("Dead letters", f"{view.run.dead_letters:,}", "in the whole run"),
    ]
    wrong = {figures[0][0]: bool(firing), figures[3][0]: stale}
    show_figures(figures, alarming={label for label, holds in wrong.items() if holds})


def show_figures(
    figures: Iterable[tuple[str, str, str]], alarming: Collection[str] = frozenset()
) -> None:
    """A strip of figures: label, value and a note; those called ``alarming`` stand out."""
    with st.container(key="status"):
        for number, (label, value, note) in enumerate(figures):
            stands_out = label in alarming
            with st.container(key=f"alarming-{number}") if stands_out else nullcontext():
                st.metric(
                    label, value, delta=note, delta_color="off", delta_arrow="off", border=True
                )


def describe(view: View) -> str:
    """What kind of run this is, in a line."""
    going_on = is_going_on(view.run)
    kind = "Live" if view.run.name == LIVE else "Replay, still running" if going_on else "Replay"
    first, last = moment(view.start), f"{moment(view.end)} {view.end.year}"
    if view.start.year != view.end.year:
        first += f" {view.start.year}"
    return f"{kind} · {first} {DASH} {last} · times are UTC"
