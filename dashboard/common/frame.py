"""What every page has: its head with the run, and the states in which there is nothing to show."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic

import streamlit as st

from dashboard.common import reading
from dashboard.common.choices import linked, restore
from dashboard.common.clock import from_the_clock, on_the_clock, place
from dashboard.common.plain import plain
from dashboard.common.preferences import LANGUAGES, UTC_ZONE, browser_zone, preferences
from dashboard.common.view import first_choice
from dashboard.common.words import later, say
from store.database import Database
from store.errors import DatabaseUnavailableError, StatementCutError, StoreError
from store.views import RunSummary

_AWAY = later(
    "The database cannot be reached. Nothing is lost: this page comes back "
    "by itself. Check that PostgreSQL is running and that "
    "`TAPEWATCH_DATABASE_URL` is right, or, with the embedded one, that its "
    "data folder is where it was."
)
_SLOW = later(
    "PostgreSQL took longer than it may for what this page shows, and ended "
    "it. It is tried again by itself; a shorter span or another run may be "
    "quicker."
)
_NO_RUNS = later(
    "No documents have come in yet. `tapewatch demo` plays a bundled feed, "
    "`tapewatch replay FEED` reads a file of yours, and `tapewatch worker` "
    "listens to Kafka. They appear here as they come."
)

AWAY = (DatabaseUnavailableError, StatementCutError)
"""What passes by itself: the page says so, and looks again."""


def find_runs(database: Database) -> list[RunSummary]:
    """Every run; where there is none, or no database, the page says so and this is empty."""
    try:
        runs = runs_as_linked(database)
    except AWAY as error:
        title()
        say_away(error)
        return []
    if not runs:
        title()
        st.info(say(_NO_RUNS), icon=":material/inbox:")
        _wait(database)
    return runs


def runs_as_linked(database: Database) -> list[RunSummary]:
    """Every run; they are read again where the link names one that began a moment ago."""
    runs = reading.runs(database)
    if (asked := linked("run")) and all(run.name != asked for run in runs):
        reading.runs.clear(database)
        runs = reading.runs(database)
    return runs


def title() -> None:
    """The name of the whole."""
    st.title("Tapewatch", anchor=False)


def choose_preferences() -> None:
    """The zone of times and the language, folded away beside the title."""
    zone = browser_zone()
    with st.popover(
        f"{place()} · {LANGUAGES[preferences().language]}",
        icon=":material/language:",
        type="tertiary",
        key="preferences-menu",
    ):
        if zone is not UTC_ZONE:
            names = {"local": say("My zone ({place})", place=place(zone)), "utc": "UTC"}
            segments(say("Show times in"), "tz", names, "local", on_change=_change_zone)
        segments(say("Language"), "lang", LANGUAGES, preferences().language)


def choose_run(runs: list[RunSummary]) -> RunSummary:
    """The title and the choice of a run, within the head that the caller has opened.

    Where the link names a run that is not there, the page says which one it shows instead.
    """
    with st.container(horizontal=True, vertical_alignment="center", width="stretch", key="brand"):
        title()
        choose_preferences()
    names = {run.name: run for run in runs}
    asked = linked("run")
    known = restore("run", names, first_choice(runs).name)
    if asked and asked not in names:
        st.session_state["absent-run"] = (asked, known)
    run = st.selectbox(
        say("Run"), list(names), key="run", format_func=lambda name: plain(name, 60), width=260
    )
    _say_absent(str(run))
    return names[str(run)]


def _say_absent(shown: str) -> None:
    """Tell of the run that the link asked for, while what is shown instead is still chosen."""
    absent, instead = st.session_state.get("absent-run", ("", ""))
    if instead == shown:
        st.warning(
            say(
                "There is no run {absent}: it was mistyped, or lies in another database. "
                "This is {shown}.",
                absent=plain(absent, 60),
                shown=plain(shown, 60),
            ),
            icon=":material/link_off:",
        )
    else:
        st.session_state.pop("absent-run", None)


def segments(
    label: str,
    key: str,
    names: dict[str, str],
    default: str,
    on_change: Callable[[], None] | None = None,
) -> str:
    """One of a few choices, side by side."""
    restore(key, names, default)
    choice = st.segmented_control(
        label,
        list(names),
        key=key,
        format_func=lambda name: say(names[name]),
        required=True,
        on_change=on_change,
    )
    return str(choice)


def select(label: str, key: str, options: Iterable[str], width: int) -> str | None:
    """One of many choices, or None for any; what a link names is among them."""
    known = list(options)
    for named in (st.session_state.get(key), st.query_params.get(key)):
        if named and named not in known:
            known.append(named)
    restore(key, ["", *known], "")
    choice = st.selectbox(
        label,
        ["", *known],
        key=key,
        format_func=lambda name: plain(name, 60) if name else say("Any"),
        width=width,
    )
    return str(choice) if choice else None


def choose_until() -> datetime | None:
    """The moment at which the span ends; None for the newest document."""
    if "until" not in st.session_state:
        st.session_state["until"] = on_the_clock(_read_until(linked("until")))
    chosen = st.datetime_input(
        say("Up to ({place})", place=place()),
        value=None,
        key="until",
        step=60,
        format="YYYY-MM-DD",
        width=200,
    )
    if chosen is None:
        return None
    # Where clocks are put back, an hour comes twice; the link knows which one was meant.
    known = _read_until(linked("until"))
    return known if known and on_the_clock(known) == chosen else from_the_clock(chosen)


def write_until(until: datetime | None) -> str:
    """How the end of a span is named in a link."""
    return f"{until:%Y-%m-%dT%H:%MZ}" if until else ""


def say_away(error: StoreError | None = None) -> None:
    """Say that the database is away, or was too slow, and look again by and by."""
    if isinstance(error, StatementCutError):
        st.warning(say(_SLOW), icon=":material/timer_off:")
    else:
        st.error(say(_AWAY), icon=":material/cloud_off:")
    said = monotonic()

    def look_again() -> None:
        if monotonic() - said > reading.REFRESH / 2:
            st.rerun()

    st.fragment(look_again, run_every=reading.REFRESH)()


def _read_until(written: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        return None
    at = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return at.replace(second=0, microsecond=0)


def _change_zone() -> None:
    """Have what is typed as a time of day be read from the link anew, which is in UTC."""
    st.session_state.pop("until", None)


def _wait(database: Database) -> None:
    """Draw the page anew when the first run appears."""

    def look() -> None:
        with suppress(*AWAY):
            if reading.runs(database):
                st.rerun()

    st.fragment(look, run_every=reading.REFRESH)()
