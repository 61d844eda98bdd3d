"""What analysts say of one document: what was said so far, and a form to say more.

A correction changes no figure on the page: it is kept to be trained on. Names, notes and labels
are of others' making, and shown by tables and ``st.text`` only.
"""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from classifier.labels import Labels
from dashboard.access.acting import Actor, correct, take_back
from dashboard.access.roles import AccessDeniedError, Deed
from dashboard.access.signing import ask_name, current_user, may_act, remember_name
from dashboard.common import reading
from dashboard.common.clock import times
from dashboard.common.headings import show_table
from dashboard.common.plain import plain
from dashboard.common.words import later, say
from store.corrections import (
    LONGEST_AUTHOR,
    LONGEST_NOTE,
    Correction,
    CorrectionRow,
)
from store.database import Database
from store.errors import CorrectionError, UnknownDocumentError

_COLUMNS = ["When", "Who", "Topic", "Sentiment", "Note"]
_TAKEN_BACK = later("(taken back)")


def show_corrections(database: Database, run_id: int, document_id: str) -> None:
    """The history of a document's corrections, and the form."""
    labels = reading.labels(database, run_id, document_id)
    if labels is None:  # the run was begun again meanwhile
        return
    history = reading.corrections(database, run_id, document_id)
    latest = history[0] if history else None
    with st.container(key="correcting"):
        _show_history(history)
        if not may_act(Deed.CORRECT):
            return
        # A form begins anew when somebody has said something new of the document.
        key = f"correction-{hash((run_id, document_id))}-{latest.id if latest else 0}"
        with st.form(key, border=False):
            said = _fields(key, labels, latest, Correction(run_id, document_id, None, None, ""))
            with st.container(horizontal=True, key="correction-buttons"):
                save = st.form_submit_button(say("Save correction"), icon=":material/edit_note:")
                withdraw = _judges(latest) and st.form_submit_button(
                    say("Take back"), type="tertiary"
                )
        if save or withdraw:
            _keep(database, said, withdraw=bool(withdraw))


def tabulate(history: Sequence[CorrectionRow]) -> pd.DataFrame:
    """One row a correction, in plain text."""
    rows = [
        (
            row.at,
            plain(row.author, LONGEST_AUTHOR),
            plain(row.topic or "", 60) if _judges(row) else say(_TAKEN_BACK),
            plain(row.sentiment or "", 20),
            plain(row.note or "", LONGEST_NOTE),
        )
        for row in history
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _judges(row: CorrectionRow | None) -> bool:
    return row is not None and (row.topic is not None or row.sentiment is not None)


def _show_history(history: Sequence[CorrectionRow]) -> None:
    if not history:
        st.caption(say("Nobody has corrected it. Corrections are kept to train the next model on."))
        return
    show_table(
        tabulate(history),
        key="corrections",
        hide_index=True,
        height=min(180, 38 + 35 * len(history)),
        column_config={
            "When": times(say("When")),
            "Note": st.column_config.TextColumn(width=300),
        },
        alt=say("Corrections of this document"),
    )


def _fields(
    key: str, labels: Labels, latest: CorrectionRow | None, about: Correction
) -> Correction:
    with st.container(horizontal=True, vertical_alignment="bottom", key="correction-fields"):
        topic = _label(
            f"{key}-topic", say("Topic"), labels.topics, latest.topic if latest else None
        )
        sentiment = _label(
            f"{key}-sentiment",
            say("Sentiment"),
            labels.sentiments,
            latest.sentiment if latest else None,
        )
        author = ask_name(f"{key}-author")
        note = st.text_input(
            say("Note"),
            key=f"{key}-note",
            max_chars=LONGEST_NOTE,
            placeholder=say("optional"),
            width=280,
        )
    return Correction(about.run_id, about.document_id, topic, sentiment, author, note or None)


def _label(key: str, title: str, names: Sequence[str], current: str | None) -> str | None:
    """The chosen name; None where it is not judged."""
    return st.selectbox(
        title,
        names,
        index=names.index(current) if current in names else None,
        key=key,
        format_func=lambda name: plain(name, 60),
        placeholder=say("not judged"),
        width=240,
    )


def _keep(database: Database, said: Correction, *, withdraw: bool) -> None:
    """Write it and draw the page anew, or say why it was not written."""
    actor = Actor(database, current_user(), said.author)
    try:
        (take_back if withdraw else correct)(actor, said)
    except (AccessDeniedError, CorrectionError, UnknownDocumentError) as error:
        st.error(say("This was not saved:"), icon=":material/error:")
        st.text(plain(str(error), 600))
        return
    remember_name(said.author)
    reading.corrections.clear()
    reading.found.clear()
    st.rerun()
