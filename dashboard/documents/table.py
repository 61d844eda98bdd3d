"""The documents behind a subject: a table, and the whole text of the one that is chosen.

Feed text is hostile: it is shown by tables and ``st.text`` only, never as Markdown or a link.
"""

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from classifier.prediction import SCALE
from dashboard.common.clock import times, zoned
from dashboard.common.headings import show_table
from dashboard.common.plain import paragraphs, plain
from dashboard.common.wording import worded
from dashboard.common.words import later, say
from store.views import DocumentRow

LIMIT = 200
ORDERS = {"negative": later("Most negative"), "newest": later("Newest")}
SIGNS = {
    "negative": later("▼ negative"),
    "neutral": later("● neutral"),
    "positive": later("▲ positive"),
}
_COLUMNS = ["Time", "Score", "Headline", "Sentiment", "Topic", "Symbols", "Source", "Kind"]


def show_documents(
    rows: Sequence[DocumentRow], key: str, choose: Callable[[DocumentRow | None], None]
) -> None:
    """The table; ``choose`` is called with the row that the reader picks."""
    if not rows:
        st.info(say("No documents here. Choose a longer span, another subject or all kinds."))
        return

    def picked() -> None:
        numbers = st.session_state[key]["selection"]["rows"]
        choose(rows[numbers[0]] if numbers else None)

    show_table(
        tabulate(rows),
        key=key,
        hide_index=True,
        height=min(460, 38 + 35 * len(rows)),
        column_config={
            "Time": times(say("Time")),
            "Score": st.column_config.NumberColumn(
                format="%+.2f", width=60, help=say("P(positive) - P(negative)")
            ),
            "Headline": st.column_config.TextColumn(width=420),
            "Sentiment": st.column_config.TextColumn(width=90),
            "Topic": st.column_config.TextColumn(width=150),
            "Symbols": st.column_config.TextColumn(width=80),
            "Source": st.column_config.TextColumn(width=90),
            "Kind": st.column_config.TextColumn(width=75),
        },
        on_select=picked,
        selection_mode="single-row",
        alt=say("Documents behind the chosen subject"),
    )


def show_document(
    row: DocumentRow, text: str, close: Callable[[], None], more: Callable[[], None]
) -> None:
    """One document in full; ``more`` is called to draw what else is known of it."""
    with st.container(border=True, key="document"):
        with st.container(key="document-title"):
            st.text(plain(row.title or row.text, 300))
        symbols = ", ".join(plain(symbol, 20) for symbol in row.symbols)
        facts = [
            zoned(row.published_at),
            plain(row.source, 60),
            worded(row.kind),
            f"{say(SIGNS.get(row.sentiment, row.sentiment))} {row.score / SCALE:+.2f}",
            plain(row.topic, 60),
            symbols,
        ]
        with st.container(key="document-facts"):
            st.text(" · ".join(filter(None, facts)))
        st.text(paragraphs(text))
        if row.url:
            st.text(plain(row.url, 300))
        more()
        st.button(say("Close"), key="close-document", on_click=close, type="tertiary")


def tabulate(rows: Sequence[DocumentRow]) -> pd.DataFrame:
    """One row a document, in plain text."""
    table = [
        (
            row.published_at,
            row.score / SCALE,
            plain(row.title or row.text, 200),
            say(SIGNS.get(row.sentiment, plain(row.sentiment, 20))),
            plain(row.topic, 60),
            ", ".join(plain(symbol, 20) for symbol in row.symbols),
            plain(row.source, 40),
            worded(row.kind),
        )
        for row in rows
    ]
    return pd.DataFrame(table, columns=_COLUMNS)
