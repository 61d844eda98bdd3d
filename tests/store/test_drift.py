"""What drift is measured on, and its reports, on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from classifier.labels import SENTIMENTS, Labels
from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store.commits import commit_batch, register_model
from store.drift import (
    DriftReport,
    latest_reports,
    sample_for_drift,
    save_report,
)
from store.preparing import prepare_batch
from store.runs import delete_run, open_run

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
EARLY, LATE = NOON - 24 * HOUR, NOON + 24 * HOUR
TOPICS = ("Hailstorms", "Tulips")


@pytest.fixture
def connection(database):
    with database.engine.connect() as opened:
        yield opened
        opened.rollback()


def filled(connection, minutes, name="replay"):
    """A run with one document a minute of ``minutes``; its classes go round by the minute."""
    register_model(connection, "garden", Labels(TOPICS))
    run = open_run(connection, name)
    posts = [
        Document(
            id=f"d{minute}", source="s", kind="news", published_at=NOON + minute * MINUTE,
            text=f"text {minute}", title=f"title {minute}" if minute % 2 else None,
        )
        for minute in minutes
    ]  # fmt: skip
    batch = ScoredBatch(posts, [predicted(minute) for minute in minutes], [], [])
    commit_batch(connection, run.id, prepare_batch(batch))
    return run.id


def predicted(minute):
    topics = dict.fromkeys(TOPICS, 1000) | {TOPICS[minute % 2]: 9000}
    sentiments = dict.fromkeys(SENTIMENTS, 1000) | {SENTIMENTS[minute % 3]: 8000}
    return Prediction(topics, sentiments, "garden", 3)


def report(run_id, verdict="stable", **values):
    measured = dict.fromkeys(("topic_psi", "sentiment_psi", "confidence_psi"), 0.25)
    fields = {"documents": 12, "vocabulary_psi": None, **measured, **values}
    details = {"topics": {"Tulips": [0.5, 0.25]}, "note": "é 📉"}
    return DriftReport(
        run_id, "garden", NOON, NOON + HOUR, verdict=verdict, report=details, **fields
    )


def test_a_report_comes_back_as_it_was_saved(connection):
    run_id = filled(connection, [0])
    number = save_report(connection, report(run_id))

    (found,) = latest_reports(connection, run_id)

    assert (found.id, found.run_id, found.model) == (number, run_id, "garden")
    assert (found.window_start, found.window_end) == (NOON, NOON + HOUR)
    assert (found.documents, found.topic_psi, found.vocabulary_psi) == (12, 0.25, None)
    assert found.report == {"topics": {"Tulips": [0.5, 0.25]}, "note": "é 📉"}
    assert found.at.tzinfo is not None


def test_the_newest_reports_of_a_run_come_first(connection):
    run_id, other = filled(connection, [0]), open_run(connection, "other").id
    for verdict in ("one", "two", "three"):
        save_report(connection, report(run_id, verdict))
    save_report(connection, report(other, "theirs"))

    assert [r.verdict for r in latest_reports(connection, run_id, 2)] == ["three", "two"]
    assert [r.verdict for r in latest_reports(connection, other)] == ["theirs"]


def test_reports_go_with_their_run(connection):
    run_id = filled(connection, [0])
    save_report(connection, report(run_id))
    delete_run(connection, "replay")

    assert latest_reports(connection, run_id) == []


def test_a_sampled_document_has_its_text_and_what_the_model_said(connection):
    run_id = filled(connection, [1])

    (found,) = sample_for_drift(connection, run_id, EARLY, LATE, 5)

    assert (found.text, found.topic, found.model) == ("title 1\ntext 1", "Tulips", "garden")
    assert found.topic_probabilities == (1000, 9000)
    assert found.sentiment_probabilities == (1000, 8000, 1000)


def test_the_sample_is_the_same_on_every_call_and_a_smaller_one_is_part_of_it(connection):
    run_id = filled(connection, range(200))

    large = sample_for_drift(connection, run_id, EARLY, LATE, 50)

    assert len(large) == 50
    assert sample_for_drift(connection, run_id, EARLY, LATE, 50) == large
    assert sample_for_drift(connection, run_id, EARLY, LATE, 10) == large[:10]


def test_the_sample_is_from_all_over_the_span_and_not_of_the_newest(connection):
    run_id = filled(connection, range(400))

    found = sample_for_drift(connection, run_id, EARLY, LATE, 100)

    minutes = [int(row.text.rsplit(" ", 1)[1]) for row in found]
    quarters = [sum(100 * q <= minute < 100 * (q + 1) for minute in minutes) for q in range(4)]
    assert min(quarters) >= 10


def test_the_sample_ends_before_the_end_of_the_span(connection):
    run_id = filled(connection, range(10))

    found = sample_for_drift(connection, run_id, NOON + 3 * MINUTE, NOON + 6 * MINUTE, 99)

    assert {row.text.rsplit(" ", 1)[1] for row in found} == {"3", "4", "5"}


def test_a_span_without_documents_has_no_sample(connection):
    run_id = open_run(connection, "replay").id

    assert sample_for_drift(connection, run_id, EARLY, LATE, 5) == []
