"""The documents of one subject: found by words, repeats as one row, one of them whole.

What is not on the first page is on the page of documents, to which a link leads.
"""

import streamlit as st

from dashboard.common import reading
from dashboard.common.choices import publish
from dashboard.common.clock import dated
from dashboard.common.frame import segments
from dashboard.common.links import link
from dashboard.common.view import Subject, View
from dashboard.common.words import say
from dashboard.documents.asking import ORDERS, ask_words
from dashboard.documents.explaining import Explain
from dashboard.documents.found import COLUMNS, describe, show_found
from dashboard.documents.reader import open_document, show_opened
from store.database import Database
from store.errors import SearchCutError
from store.search import GLANCED, Order, Search

ROWS = 30


def show_subject_documents(
    database: Database,
    view: View,
    subject: Subject,
    linked: dict[str, str],
    explain: Explain | None,
) -> None:
    """Draw the form, what it finds and what is open; ``linked`` is what a link on carries."""
    st.header(say("Documents"), anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom", key="asking"):
        words = ask_words()
        order = segments(say("Order"), "sort", ORDERS, "negative")
    publish(words=words, sort=order)
    named = {} if subject.scope == "all" else {subject.scope: subject.key}
    asked = Search(
        view.run.id,
        view.start,
        view.end,
        words,
        topic=named.get("topic"),
        symbol=named.get("symbol"),
        source=named.get("source"),
        kind=view.kind,
        order=Order(order),
    )
    try:
        if words and not reading.says_something(database, words):
            st.info(say("These words are too common to be searched for, or are none."))
        else:
            _results(database, view, asked, {**linked, **named, "words": words, "sort": order})
    except SearchCutError as error:
        st.warning(say("Nothing is shown: {error}.", error=error), icon=":material/timer_off:")
    show_opened(database, view.run, explain)


def _results(database: Database, view: View, asked: Search, linked: dict[str, str]) -> None:
    # This page lives: as long as nobody has asked for words, it reads no more than a glance takes.
    page = reading.found(database, asked, None, ROWS, None if asked.words else GLANCED)
    if not page.rows:
        st.info(
            say("No documents here. Choose a longer span, other words or all kinds."),
            icon=":material/search_off:",
        )
        return
    key = f"found-{hash((asked.words, asked.order, asked.kind, linked.get('subject'), page.rows))}"

    def picked() -> None:
        numbers = st.session_state[key]["selection"]["rows"]
        open_document(view.run.name, page.rows[numbers[0]].id if numbers else "")

    with st.container(horizontal=True, vertical_alignment="center", key="count"):
        with st.container(width="content", key="count-text"):
            first = say(", the first {rows} are below", rows=ROWS) if page.after else ""
            since = (
                say(", read back to {read_from}", read_from=dated(page.read_from))
                if page.read_from
                else ""
            )
            st.text(f"{describe(page)}{first}{since}")
        link("documents", say("All of them, filters and export"), ":material/search:", **linked)
    order = [name for name in COLUMNS if name != "Apart" or asked.order is Order.UNCERTAIN]
    show_found(page.rows, key, picked, order)
