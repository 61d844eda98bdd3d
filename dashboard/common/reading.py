"""What the page reads, each answer kept for two seconds and shared by all who look.

By transactions that cannot write. An alert on screen is at most ``REFRESH`` and ``KEPT`` seconds
old. Knows no widget.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from alerts import actions, listing
from classifier.labels import Labels
from store import (
    alertlog,
    buckets,
    deadletters,
    health,
    movement,
    outbox,
    run_list,
    search,
    views,
)
from store import corrections as feedback
from store import drift as drifts
from store import runs as known_runs
from store import silences as known_silences
from store.cards import CardRow, read_cards_of_alert, read_cards_of_firings
from store.database import Database
from store.errors import UnknownDocumentError

REFRESH = 3.0
"""Seconds between two looks at a run that is still going on."""

KEPT = 2.0
"""Seconds for which an answer is given again unasked."""

_BY_URL: dict[str | type[Any], Callable[[Any], Any]] = {Database: lambda known: known.url}
_kept = st.cache_data(ttl=KEPT, max_entries=256, show_spinner=False, hash_funcs=_BY_URL)
_kept_longer = st.cache_data(ttl=60.0, max_entries=64, show_spinner="Searching", hash_funcs=_BY_URL)


@_kept
def runs(database: Database) -> list[views.RunSummary]:
    """Every run, the newest first."""
    with database.reading() as connection:
        return views.summarize_runs(connection)


@_kept
def span(database: Database, run_id: int) -> tuple[datetime, datetime] | None:
    """The run's first and last minute; None while it is empty."""
    with database.reading() as connection:
        return buckets.span(connection, run_id)


@_kept
def alerts(database: Database, run_name: str) -> list[alertlog.Alert]:
    """Every alert of the run, the newest first."""
    with database.reading() as connection:
        return alertlog.read_alerts(connection, run_name)


@_kept
def cards(
    database: Database, run_id: int, firings: list[tuple[str, str, datetime]]
) -> dict[tuple[str, str], CardRow]:
    """Why these alerts fired, each named by rule, key and when; by rule and key."""
    with database.reading() as connection:
        return read_cards_of_firings(connection, run_id, firings)


@_kept
def cards_of(
    database: Database, run_id: int, fired: list[tuple[str, str]]
) -> dict[tuple[str, str, datetime], CardRow]:
    """Why alerts fired, each named by rule and key; by rule, key and when."""
    with database.reading() as connection:
        return {
            (rule, key, card.at): card
            for rule, key in fired
            for card in read_cards_of_alert(connection, run_id, rule, key)
        }


@_kept
def changes(database: Database, part: views.Slice, since: datetime) -> list[movement.Change]:
    """The keys' sums before and since a moment."""
    with database.reading() as connection:
        return movement.read_changes(connection, part, since)


@_kept_longer
def parts(database: Database, part: views.Slice) -> list[movement.Part]:
    """What a subject is made of."""
    with database.reading() as connection:
        return movement.read_parts(connection, part)


@_kept
def bins(database: Database, part: views.Slice, size: timedelta) -> list[views.Bin]:
    """The sums of each key in each bin."""
    with database.reading() as connection:
        return views.read_bins(connection, part, size)


@_kept
def keys(database: Database, part: views.Slice) -> list[str]:
    """Keys of a scope; where there are many, those with most documents."""
    with database.reading() as connection:
        return views.largest_keys(connection, part)


@_kept
def documents(
    database: Database, part: views.Slice, *, negative_first: bool
) -> list[views.DocumentRow]:
    """The documents behind a subject."""
    with database.reading() as connection:
        return views.read_documents(connection, part, negative_first=negative_first)


@_kept
def left_out_until(database: Database, part: views.Slice) -> datetime | None:
    """Up to when none of those documents are looked at; None: all of them are."""
    with database.reading() as connection:
        return views.left_out_until(connection, part)


@_kept
def text(database: Database, run_id: int, document_id: str) -> str | None:
    """The whole text of one document."""
    with database.reading() as connection:
        return views.read_text(connection, run_id, document_id)


@_kept
def content(database: Database, run_id: int, document_id: str) -> str | None:
    """The text of one document as the model reads it."""
    with database.reading() as connection:
        return views.read_content(connection, run_id, document_id)


@_kept
def labels(database: Database, run_id: int, document_id: str) -> Labels | None:
    """The labels of the model that scored a document; None where the document is gone."""
    with suppress(UnknownDocumentError), database.reading() as connection:
        return feedback.labels_of(connection, run_id, document_id)
    return None


@_kept
def corrections(database: Database, run_id: int, document_id: str) -> list[feedback.CorrectionRow]:
    """What was said of one document, the latest first."""
    with database.reading() as connection:
        return feedback.corrections_of(connection, run_id, document_id)


@_kept_longer
def found(
    database: Database,
    asked: search.Search,
    after: search.Place | None,
    limit: int,
    read: int | None = None,
) -> search.Page:
    """A page of what was searched for; kept for a minute, so that a look at one costs nothing.

    Raises SearchCutError.
    """
    with database.reading() as connection:
        return search.search(connection, asked, after, limit=limit, read=read)


def exported(database: Database, asked: search.Search) -> tuple[list[search.FoundDocument], bool]:
    """All that was searched for, and whether there is more. Raises SearchCutError."""
    with database.reading() as connection:
        return search.export(connection, asked)


@_kept_longer
def says_something(database: Database, words: str) -> bool:
    """Whether any of the words can be searched for."""
    with database.reading() as connection:
        return search.says_something(connection, words)


@_kept
def whole(database: Database, run_id: int, document_id: str) -> search.WholeDocument | None:
    """Everything of one document; None where the run has none of that id."""
    with database.reading() as connection:
        return search.read_document(connection, run_id, document_id)


@_kept
def models(database: Database) -> list[str]:
    """The versions of all weights that ever scored."""
    with database.reading() as connection:
        return search.list_models(connection)


@_kept
def run(database: Database, name: str) -> known_runs.Run:
    """One run with its retention horizon. Raises UnknownRunError."""
    with database.reading() as connection:
        return known_runs.find_run(connection, name)


@_kept
def partitions(database: Database, run_id: int) -> list[health.PartitionState]:
    """How far each partition is."""
    with database.reading() as connection:
        return health.read_partitions(connection, run_id)


@_kept
def publish_lag(database: Database, run_id: int) -> health.PublishLag | None:
    """From the newest documents' own dates to their commits."""
    with database.reading() as connection:
        return health.read_publish_lag(connection, run_id)


@_kept
def reasons(database: Database, run_id: int) -> list[health.ReasonCount]:
    """The reasons of dead letters."""
    with database.reading() as connection:
        return health.read_reasons(connection, run_id)


@_kept
def dead_letters(
    database: Database, run_id: int, reason: str | None, limit: int, payload_bytes: int
) -> list[deadletters.DeadLetterRow]:
    """The newest dead letters, or those of one reason, with the beginning of their bytes."""
    with database.reading() as connection:
        return deadletters.list_dead_letters(
            connection, run_id, limit, reason=reason, payload_bytes=payload_bytes
        )


@_kept
def models_used(database: Database, run_id: int) -> list[health.ModelUse]:
    """The versions that scored the newest documents."""
    with database.reading() as connection:
        return health.read_models_used(connection, run_id)


@_kept
def listed_runs(database: Database) -> list[run_list.ListedRun]:
    """Every run with what one chooses it by, the newest first."""
    with database.reading() as connection:
        return run_list.list_with_figures(connection)


@st.cache_data(ttl=60.0, max_entries=64, show_spinner=False, hash_funcs=_BY_URL)
def finished_bins(database: Database, part: views.Slice, size: timedelta) -> list[views.Bin]:
    """The sums of each key in each bin, of a run that is complete."""
    with database.reading() as connection:
        return views.read_bins(connection, part, size)


@_kept
def drift_reports(database: Database, run_id: int) -> list[drifts.StoredReport]:
    """The newest reports on a run's drift, the newest first."""
    with database.reading() as connection:
        return drifts.latest_reports(connection, run_id, 400)


@_kept
def table_sizes(database: Database) -> list[health.TableSize]:
    """How large the tables are."""
    with database.reading() as connection:
        return health.read_table_sizes(connection)


@_kept
def notifications(database: Database) -> dict[str, int]:
    """How many messages are pending, delivered and dead."""
    with database.reading() as connection:
        return outbox.count_by_status(connection)


@_kept
def outcomes(database: Database, since: datetime) -> list[health.OutcomeCount]:
    """Attempts at delivery by outcome."""
    with database.reading() as connection:
        return health.count_by_outcome(connection, since)


@_kept
def listed(database: Database, run: known_runs.Run, since: datetime | None) -> list[listing.Listed]:
    """What is active, then what ended since; the latest first."""
    with database.reading() as connection:
        return listing.list_alerts(connection, run, since)


@_kept
def alert(database: Database, run_name: str, number: str) -> actions.AlertView:
    """Everything about the alert of that id. Raises UnknownRunError and AlertActionError."""
    with database.reading() as connection:
        return actions.view_alert(
            connection, known_runs.find_run(connection, run_name), number, None
        )


@_kept
def silences(database: Database, run_id: int) -> list[known_silences.Silence]:
    """The silences of a run in order of their numbers."""
    with database.reading() as connection:
        return known_silences.read_silences(connection, run_id)
