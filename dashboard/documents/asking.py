"""What the reader asks for on the page of documents, and its form. Knows no result."""

from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from dashboard.common import reading
from dashboard.common.choices import publish, restore_text
from dashboard.common.clock import on_the_clock
from dashboard.common.frame import choose_run, choose_until, segments, select, write_until
from dashboard.common.view import KINDS, SPANS, bounds, usual_span
from dashboard.common.words import later, say
from store.database import Database
from store.search import LONGEST_WORDS, Order, Place, Search
from store.views import RunSummary, Slice

ORDERS = {
    Order.NEWEST.value: later("Newest"),
    Order.NEGATIVE.value: later("Most negative"),
    Order.UNCERTAIN.value: later("Least certain"),
}
VIEWS = {"results": later("Results"), "queue": later("Labelling queue")}
SENTIMENTS = ("negative", "neutral", "positive")


@dataclass(frozen=True, slots=True)
class Asked:
    """A search, the run it is in, and which view of it; ``choices`` are those of the link."""

    run: RunSummary
    search: Search | None
    view: str
    choices: tuple[tuple[str, str], ...]


def ask(database: Database, runs: list[RunSummary]) -> Asked:
    """Draw the form; what it asks for. Without documents in the run there is no search."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="header", gap="medium"):
        run = choose_run(runs)
        span = segments(say("Span"), "span", SPANS, usual_span(run))
        until = choose_until()
    filled = reading.span(database, run.id)
    with st.container(horizontal=True, vertical_alignment="bottom", key="asking"):
        words = ask_words()
        view = segments(say("View"), "view", VIEWS, "results")
        order = (
            segments(say("Order"), "sort", ORDERS, "newest") if view == "results" else "uncertain"
        )
    chosen = {
        "run": run.name,
        "span": span,
        "until": write_until(until),
        "words": words,
        "view": view,
    }
    if view == "results":
        chosen["sort"] = order
    if filled is None:
        publish(**chosen)
        return Asked(run, None, view, tuple(chosen.items()))
    start, end = bounds(filled, span, until)
    filters = _filters(database, Slice(run.id, "all", start, end))
    chosen |= filters
    publish(**chosen)
    kind = filters.pop("kind")
    asked = Search(
        run.id,
        start,
        end,
        words,
        **{name: value or None for name, value in filters.items()},
        kind=None if kind == "all" else kind,
        order=Order(order),
        uncorrected=view == "queue",
    )
    return Asked(run, asked, view, tuple(chosen.items()))


def read_place(written: str) -> Place | None:
    """The place that a link names; None where it names none."""
    rank, _, rest = written.partition("~")
    at, _, identity = rest.partition("~")
    try:
        place = Place(int(rank), datetime.fromisoformat(at), identity)
    except ValueError:
        return None
    sound = place.published_at.tzinfo and identity and abs(place.rank) <= 1_000_000
    return place if sound and "\x00" not in identity else None


def write_place(place: Place | None) -> str:
    """How a place is named in a link."""
    return f"{place.rank}~{place.published_at.isoformat()}~{place.id}" if place else ""


def look_further_back(until: datetime) -> None:
    """Let the span end at a moment."""
    st.session_state["until"] = on_the_clock(until)


def ask_words() -> str:
    """What is searched for in titles and texts."""
    restore_text("words", LONGEST_WORDS)
    words = st.text_input(
        say("Search in titles and texts"),
        key="words",
        max_chars=LONGEST_WORDS,
        icon=":material/search:",
        placeholder=say('downgrade or "profit warning" -crypto'),
    )
    return str(words or "").strip()


def _filters(database: Database, part: Slice) -> dict[str, str]:
    def keys(scope: str) -> list[str]:
        named = Slice(part.run_id, scope, part.start, part.end)
        return sorted(reading.keys(database, named))

    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        return {
            "kind": segments(say("Kind"), "kind", KINDS, "all"),
            "sentiment": select(say("Sentiment"), "sentiment", SENTIMENTS, 120) or "",
            "topic": select(say("Topic"), "topic", keys("topic"), 170) or "",
            "symbol": select(say("Symbol"), "symbol", keys("symbol"), 105) or "",
            "source": select(say("Source"), "source", keys("source"), 130) or "",
            "model": select(say("Model"), "model", reading.models(database), 140) or "",
        }
