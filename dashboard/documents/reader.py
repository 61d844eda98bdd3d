"""One document whole: its text, what the model said of it, and what people say of it.

Feed text is hostile: it is shown by tables and ``st.text`` only.
"""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from classifier.prediction import SCALE
from dashboard.common import reading
from dashboard.common.choices import put
from dashboard.common.clock import dated
from dashboard.common.plain import paragraphs, plain
from dashboard.common.wording import worded
from dashboard.common.words import say
from dashboard.documents.correcting import show_corrections
from dashboard.documents.explaining import Explain, show_explanation
from dashboard.documents.table import SIGNS
from store.database import Database
from store.search import WholeDocument, margin_of
from store.views import RunSummary

_SHOWN = 3


def open_document(run_name: str, document_id: str) -> None:
    """Have the document shown by ``show_opened``; "" closes it."""
    st.session_state["opened"] = (run_name, document_id)


def show_opened(database: Database, run: RunSummary, explain: Explain | None) -> None:
    """The document that is open, which the page's link names, with a button that closes it."""
    if "opened" not in st.session_state:
        open_document(run.name, st.query_params.get("document", ""))
    run_name, document_id = st.session_state["opened"]
    if run_name != run.name or not document_id:
        put(document="")
        return
    put(document=document_id)
    with st.container(border=True, key="document"):
        if not show_whole(database, run.id, document_id, explain):
            st.info(say("The document that the link names is not in this run, or was pruned."))
        st.button(
            say("Close"), key="close", on_click=open_document, args=(run_name, ""), type="tertiary"
        )


def show_whole(database: Database, run_id: int, document_id: str, explain: Explain | None) -> bool:
    """Draw the document; False where the run has none of that id."""
    found = reading.whole(database, run_id, document_id)
    if found is None:
        return False
    with st.container(key="document-title"):
        st.text(plain(found.title or found.text, 300))
    with st.container(key="document-facts"):
        st.text(" · ".join(filter(None, _facts(found))))
    st.text(paragraphs(found.text))
    if found.url:
        st.text(plain(found.url, 300))
    _probabilities(found)
    show_corrections(database, run_id, document_id)
    content = reading.content(database, run_id, document_id) if explain else None
    if explain and content is not None:
        show_explanation((run_id, document_id), content, explain)
    return True


def tabulate(probabilities: Mapping[str, int], name: str) -> pd.DataFrame:
    """One row a class in plain text, the three likeliest; probabilities in %."""
    ordered = sorted(probabilities.items(), key=lambda pair: -pair[1])[:_SHOWN]
    rows = [(plain(key, 60), 100 * value / SCALE) for key, value in ordered]
    return pd.DataFrame(rows, columns=[name, "Probability"])


def describe_margin(probabilities: Mapping[str, int]) -> str:
    """How close the two likeliest are."""
    (first, high), (second, low) = sorted(probabilities.items(), key=lambda pair: -pair[1])[:2]
    return say(
        "{first} {high:.0%}, {second} {low:.0%}: {apart:.1%} apart",
        first=plain(first, 20),
        high=high / SCALE,
        second=plain(second, 20),
        low=low / SCALE,
        apart=margin_of(list(probabilities.values())) / SCALE,
    )


def _facts(found: WholeDocument) -> list[str]:
    return [
        dated(found.published_at),
        plain(found.source, 60),
        plain(found.author or "", 60),
        worded(found.kind),
        plain(found.language or "", 20),
        f"{say(SIGNS.get(found.sentiment, found.sentiment))} {found.score / SCALE:+.2f}",
        ", ".join(plain(symbol, 20) for symbol in found.symbols),
        say("came in {ingested_at}", ingested_at=dated(found.ingested_at)),
        say("model {model}", model=plain(found.model, 80)),
        say("the model read only its beginning") if found.truncated else "",
    ]


def _probabilities(found: WholeDocument) -> None:
    sides = (
        (say("Sentiment"), found.sentiment_probabilities),
        (say("Topic"), found.topic_probabilities),
    )
    for column, (name, values) in zip(st.columns(2), sides, strict=True):
        table = tabulate(values, name)
        column.dataframe(
            table,
            key=f"probabilities-{name.lower()}",
            hide_index=True,
            height=38 + 35 * len(table),
            column_config={
                name: st.column_config.TextColumn(width=140),
                "Probability": st.column_config.ProgressColumn(
                    format="%.1f%%", min_value=0, max_value=100, width=120
                ),
            },
            alt=say("Probabilities of the likeliest: {name}", name=name.lower()),
        )
