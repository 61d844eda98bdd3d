"""The strip that is read from across the room: is something wrong, and how fresh is this?"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime

import streamlit as st

from alerts.rules.policies import PipelinePolicy
from dashboard.common.clock import in_zone, lasting, moment, place, zone_at
from dashboard.common.plain import DASH
from dashboard.common.view import View, is_going_on
from dashboard.common.words import say
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
    ago = say("{age} ago", age=lasting(late))
    age = f"▲ {ago}" if stale else ago
    figures = [
        (say("Firing alerts"), str(len(firing)), say("look below") if firing else say("all calm")),
        (say("Documents"), f"{sums.documents:,}", say("in this span")),
        (say("Negative share"), share, say("{negative:,} negative", negative=sums.negative)),
        (
            say("Newest document"),
            moment(view.newest),
            age if view.run.name == LIVE else f"{in_zone(view.newest).year}, {place()}",
        ),
        (say("Dead letters"), f"{view.run.dead_letters:,}", say("in the whole run")),
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
    kind = (
        say("Live")
        if view.run.name == LIVE
        else say("Replay, still running")
        if going_on
        else say("Replay")
    )
    years = [in_zone(at).year for at in (view.start, view.end)]
    first, last = moment(view.start), f"{moment(view.end)} {years[1]}"
    if years[0] != years[1]:
        first += f" {years[0]}"
    return say(
        "{kind} · {first} {dash} {last} · times are {zone}",
        kind=kind,
        first=first,
        dash=DASH,
        last=last,
        zone=zone_at(view.end),
    )
