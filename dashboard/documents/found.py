"""A table of texts that a search found, and how much that is.

Feed text is hostile: it is shown by tables and ``st.text`` only, never as Markdown or a link.
"""

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from classifier.prediction import SCALE
from dashboard.common.clock import times
from dashboard.common.headings import show_table
from dashboard.common.plain import plain
from dashboard.common.wording import worded
from dashboard.common.words import say
from dashboard.documents.table import SIGNS
from store.search import FoundDocument, Page

COLUMNS = [
    "Time", "Score", "Headline", "Copies", "Sentiment", "Apart", "Topic", "Symbols", "Source",
    "Kind",
]  # fmt: skip


def show_found(
    rows: Sequence[FoundDocument], key: str, picked: Callable[[], None], order: Sequence[str]
) -> None:
    """The table with the columns of ``order``; ``picked`` is called when a row is chosen."""
    repeated = any(row.copies > 1 for row in rows)
    shown = [name for name in order if name != "Copies" or repeated]
    show_table(
        tabulate(rows),
        key=key,
        hide_index=True,
        height=min(530, 38 + 35 * len(rows)),
        column_order=shown,
        column_config={
            "Time": times(say("Time")),
            "Score": st.column_config.NumberColumn(
                format="%+.2f", width=60, help=say("P(positive) - P(negative)")
            ),
            "Headline": st.column_config.TextColumn(width=430),
            "Copies": st.column_config.NumberColumn(
                format="%d", width=65, help=say("Documents of the span with this text")
            ),
            "Sentiment": st.column_config.TextColumn(width=90),
            "Apart": st.column_config.NumberColumn(
                format="%.1f%%", width=70, help=say("Between the two likeliest sentiments")
            ),
            "Topic": st.column_config.TextColumn(width=170),
            "Symbols": st.column_config.TextColumn(width=80),
            "Source": st.column_config.TextColumn(width=100),
            "Kind": st.column_config.TextColumn(width=80),
        },
        on_select=picked,
        selection_mode="single-row",
        alt=say("Documents that were found"),
    )


def tabulate(rows: Sequence[FoundDocument]) -> pd.DataFrame:
    """One row a text, in plain text; ``Apart`` is the margin in %."""
    table = [
        (
            row.published_at,
            row.score / SCALE,
            plain(row.title or row.text, 200),
            row.copies,
            say(SIGNS.get(row.sentiment, plain(row.sentiment, 20))),
            100 * row.margin / SCALE,
            plain(row.topic, 60),
            ", ".join(plain(symbol, 20) for symbol in row.symbols),
            plain(row.source, 40),
            worded(row.kind),
        )
        for row in rows
    ]
    return pd.DataFrame(table, columns=COLUMNS)


def describe(page: Page) -> str:
    """How much was found."""
    texts = say("1 text") if page.texts == 1 else say("{texts:,} texts", texts=page.texts)
    repeats = page.documents - page.texts
    more = (
        say(" in {documents:,} documents: repeats of a text are one row", documents=page.documents)
        if repeats
        else ""
    )
    return f"{texts}{more}"
