"""What the page reads, each answer kept for two seconds and shared by all who look.

An alert on screen is therefore at most ``REFRESH`` and two seconds old. Knows no widget.
"""

from contextlib import suppress
from datetime import datetime, timedelta

import streamlit as st

from classifier.labels import Labels
from store import alertlog, buckets, views
from store import corrections as feedback
from store.cards import CardRow, read_cards_of_firings
from store.database import Database
from store.errors import UnknownDocumentError

REFRESH = 3.0
"""Seconds between two looks at a run that is still going on."""

_kept = st.cache_data(
    ttl=2.0, max_entries=256, show_spinner=False, hash_funcs={Database: lambda known: known.url}
)


@_kept
def runs(database: Database) -> list[views.RunSummary]:
    """Every run, the newest first."""
    with database.transaction() as connection:
        return views.summarize_runs(connection)


@_kept
def span(database: Database, run_id: int) -> tuple[datetime, datetime] | None:
    """The run's first and last minute; None while it is empty."""
    with database.transaction() as connection:
        return buckets.span(connection, run_id)


@_kept
def alerts(database: Database, run_name: str) -> list[alertlog.Alert]:
    """Every alert of the run, the newest first."""
    with database.transaction() as connection:
        return alertlog.read_alerts(connection, run_name)


@_kept
def cards(
    database: Database, run_id: int, firings: list[tuple[str, str, datetime]]
) -> dict[tuple[str, str], CardRow]:
    """Why these alerts fired, each named by rule, key and when; by rule and key."""
    with database.transaction() as connection:
        return read_cards_of_firings(connection, run_id, firings)


@_kept
def bins(database: Database, part: views.Slice, size: timedelta) -> list[views.Bin]:
    """The sums of each key in each bin."""
    with database.transaction() as connection:
        return views.read_bins(connection, part, size)


@_kept
def keys(database: Database, part: views.Slice) -> list[str]:
    """The keys of a scope with most documents."""
    with database.transaction() as connection:
        return views.largest_keys(connection, part)


@_kept
def documents(
    database: Database, part: views.Slice, *, negative_first: bool
) -> list[views.DocumentRow]:
    """The documents behind a subject."""
    with database.transaction() as connection:
        return views.read_documents(connection, part, negative_first=negative_first)


@_kept
def text(database: Database, run_id: int, document_id: str) -> str | None:
    """The whole text of one document."""
    with database.transaction() as connection:
        return views.read_text(connection, run_id, document_id)


@_kept
def content(database: Database, run_id: int, document_id: str) -> str | None:
    """The text of one document as the model reads it."""
    with database.transaction() as connection:
        return views.read_content(connection, run_id, document_id)


@_kept
def labels(database: Database, run_id: int, document_id: str) -> Labels | None:
    """The labels of the model that scored a document; None where the document is gone."""
    with suppress(UnknownDocumentError), database.transaction() as connection:
        return feedback.labels_of(connection, run_id, document_id)
    return None


@_kept
def corrections(database: Database, run_id: int, document_id: str) -> list[feedback.CorrectionRow]:
    """What was said of one document, the latest first."""
    with database.transaction() as connection:
        return feedback.corrections_of(connection, run_id, document_id)
