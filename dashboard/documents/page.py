"""The page of documents: what was searched for, page by page, one of them whole, and as a file."""

from datetime import timedelta

import streamlit as st

from dashboard.common import reading
from dashboard.common.choices import put
from dashboard.common.clock import dated
from dashboard.common.frame import AWAY, find_runs, say_away
from dashboard.common.words import say
from dashboard.documents.asking import Asked, ask, look_further_back, read_place, write_place
from dashboard.documents.explaining import Explain
from dashboard.documents.exporting import as_csv, as_parquet
from dashboard.documents.found import COLUMNS, describe, show_found
from dashboard.documents.labelling import show_queue
from dashboard.documents.reader import open_document, show_opened
from store.database import Database
from store.errors import SearchCutError
from store.search import READ, Page, Place, Search

ROWS = 50


def show_documents_page(database: Database, explain: Explain | None) -> None:
    """Draw the page; without ``explain``, no document can be explained."""
    runs = find_runs(database)
    if not runs:
        return
    try:
        _show(database, ask(database, runs), explain)
    except AWAY as error:
        say_away(error)


def _show(database: Database, asked: Asked, explain: Explain | None) -> None:
    if asked.search is None:
        st.info(
            say("This run has no documents yet. They can be searched as they come in."),
            icon=":material/hourglass_empty:",
        )
        return
    places = _places(asked)
    after = places[-1] if places else None
    put(after=write_place(after))
    try:
        if asked.search.words and not reading.says_something(database, asked.search.words):
            st.info(say("These words are too common to be searched for, or are none."))
        elif asked.view == "queue":
            show_queue(database, asked.search, places, _turn, explain)
        else:
            _results(database, asked, places, explain)
    except SearchCutError as error:
        st.warning(say("Nothing is shown: {error}.", error=error), icon=":material/timer_off:")


def _results(
    database: Database, asked: Asked, places: list[Place], explain: Explain | None
) -> None:
    assert asked.search is not None  # noqa: S101 - the caller has looked
    after = places[-1] if places else None
    page = reading.found(database, asked.search, after, ROWS)
    _say_how_far(page)
    if page.rows:
        with st.container(horizontal=True, vertical_alignment="center", key="count"):
            with st.container(width="content", key="count-text"):
                st.text(describe(page))
            _export_button(database, asked.search)
            _exported(asked.search)
        _table(asked, page, after)
        _turning(page, places)
    elif after:
        st.info(say("Nothing follows here."))
        st.button(say("First page"), key="first-page", on_click=_turn, args=([],))
    else:
        st.info(
            say("No documents here. Choose a longer span, other words or fewer filters."),
            icon=":material/search_off:",
        )
    show_opened(database, asked.run, explain)


def _say_how_far(page: Page) -> None:
    if page.read_from is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="read-from"):
        st.text(
            say(
                "The newest {most:,} documents of the span were searched, back to {read_from}.",
                most=READ,
                read_from=dated(page.read_from),
            )
        )
        st.button(
            say("Search further back"),
            key="further",
            type="tertiary",
            icon=":material/history:",
            on_click=look_further_back,
            args=(page.read_from + timedelta(minutes=1),),
        )


def _table(asked: Asked, page: Page, after: Place | None) -> None:
    key = f"found-{hash((asked.choices, after))}"

    def picked() -> None:
        numbers = st.session_state[key]["selection"]["rows"]
        open_document(asked.run.name, page.rows[numbers[0]].id if numbers else "")

    sort = dict(asked.choices).get("sort")
    order = [name for name in COLUMNS if name != "Apart" or sort == "uncertain"]
    show_found(page.rows, key, picked, order)


def _turning(page: Page, places: list[Place]) -> None:
    if not places and page.after is None:
        return
    with st.container(horizontal=True, horizontal_alignment="right", key="turning"):
        st.button(
            say("Back"),
            key="back",
            icon=":material/chevron_left:",
            disabled=not places,
            on_click=_turn,
            args=(places[:-1],),
        )
        st.button(
            say("Next"),
            key="next",
            icon=":material/chevron_right:",
            disabled=page.after is None,
            on_click=_turn,
            args=([*places, page.after],),
        )


def _places(asked: Asked) -> list[Place]:
    """Where the pages up to this one begin, but for the first; forgotten when more is asked."""
    asked_before, places = st.session_state.get("places", (None, []))
    if asked_before is None:
        linked = read_place(st.query_params.get("after", ""))
        places = [linked] if linked else []
    elif asked_before != asked.choices:
        places = []
    st.session_state["places"] = (asked.choices, places)
    return list(places)


def _turn(places: list[Place]) -> None:
    asked, _ = st.session_state.get("places", (None, []))
    st.session_state["places"] = (asked, places)


def _export_button(database: Database, asked: Search) -> None:
    if st.button(say("Export"), key="export", icon=":material/download:", type="tertiary"):
        with st.spinner(say("Reading what was found")):
            rows, cut = reading.exported(database, asked)
            st.session_state["exported"] = (asked, len(rows), cut, as_csv(rows), as_parquet(rows))


def _exported(asked: Search) -> None:
    about, count, cut, table, parquet = st.session_state.get("exported", (None, 0, False, b"", b""))
    if about != asked:
        return
    _download("CSV", table, "text/csv")
    _download("Parquet", parquet, "application/vnd.apache.parquet")
    if cut:
        with st.container(width="content", key="exported-text"):
            st.text(say("Cut after {count:,} texts: a shorter span holds the rest.", count=count))


def _download(name: str, content: bytes, mime: str) -> None:
    st.download_button(
        name,
        content,
        file_name=f"tapewatch-documents.{name.lower()}",
        mime=mime,
        key=f"download-{name.lower()}",
        on_click="ignore",
        icon=":material/download:",
    )
