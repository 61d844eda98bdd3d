"""The labelling queue: one text after another, those first of which the model is least sure.

A text that somebody has corrected leaves it, with all its copies.
"""

from collections.abc import Callable

import streamlit as st

from dashboard.common import reading
from dashboard.common.clock import dated
from dashboard.common.words import say
from dashboard.documents.explaining import Explain
from dashboard.documents.reader import describe_margin, show_whole
from store.database import Database
from store.search import READ, FoundDocument, Place, Search


def show_queue(
    database: Database,
    asked: Search,
    skipped: list[Place],
    skip: Callable[[list[Place]], None],
    explain: Explain | None,
) -> None:
    """Draw the first text beyond the last that was skipped; ``skip`` takes all of these anew."""
    page = reading.found(database, asked, skipped[-1] if skipped else None, 1)
    if not page.rows:
        _say_empty(skipped, skip)
        return
    (row,) = page.rows
    _head(database, asked, page.texts, row, skipped, skip)
    if page.read_from is not None:
        st.text(
            say(
                "Of the newest {most:,} documents of the span, back to {read_from}.",
                most=READ,
                read_from=dated(page.read_from),
            )
        )
    with st.container(border=True, key="document"):
        show_whole(database, asked.run_id, row.id, explain)


def _say_empty(skipped: list[Place], skip: Callable[[list[Place]], None]) -> None:
    if not skipped:
        st.success(
            say("Nothing is left to label here. Choose a longer span or fewer filters."),
            icon=":material/done_all:",
        )
        return
    st.info(say("This is the end of the queue."), icon=":material/done_all:")
    st.button(say("Begin again with what was skipped"), key="again", on_click=skip, args=([],))


def _head(  # noqa: PLR0913 - what is told of the text at hand, and the way on
    database: Database,
    asked: Search,
    texts: int,
    row: FoundDocument,
    skipped: list[Place],
    skip: Callable[[list[Place]], None],
) -> None:
    on = [*skipped, Place(row.margin, row.published_at, row.id)]
    whole = reading.whole(database, asked.run_id, row.id)
    with st.container(horizontal=True, vertical_alignment="center", key="queue"):
        with st.container(width="stretch", key="queue-facts"):
            close = f" · {describe_margin(whole.sentiment_probabilities)}" if whole else ""
            copies = say(" · {copies} copies", copies=row.copies) if row.copies > 1 else ""
            left = say("1 text") if texts == 1 else say("{texts:,} texts", texts=texts)
            st.text(
                say(
                    "{left} that nobody has corrected{close}{copies}",
                    left=left,
                    close=close,
                    copies=copies,
                )
            )
        st.button(say("Skip"), key="skip", icon=":material/skip_next:", on_click=skip, args=(on,))
