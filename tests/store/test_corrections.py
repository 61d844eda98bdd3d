"""What analysts say of documents, on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store.commits import commit_batch, register_model
from store.corrections import (
    LONGEST_AUTHOR,
    LONGEST_NOTE,
    Correction,
    add_correction,
    corrections_of,
    labels_of,
    read_corrections,
    withdraw_corrections,
)
from store.errors import CorrectionError, UnknownDocumentError
from store.preparing import prepare_batch
from store.runs import delete_run, open_run
from store.schema import corrections, documents, time_buckets
from store.views import read_content

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TOPICS = ("Hailstorms", "Tulips")
HOSTILE = "'; drop table corrections; -- <b>\u202e**$x$**\n\x1b[31m\\N\t"


@pytest.fixture
def connection(database):
    with database.engine.connect() as opened:
        yield opened
        opened.rollback()


@pytest.fixture
def run_id(connection):
    """A run of three documents: one with a title, one without, one that another model scored."""
    register_model(connection, "garden", Labels(TOPICS))
    register_model(connection, "bank", Labels(("Loans", "Bonds")))
    run = open_run(connection, "replay")
    posts = [
        Document(id="a", source="s", kind="news", published_at=NOON, text="text a", title="Title"),
        Document(id="b", source="s", kind="comment", published_at=NOON, text="text b"),
        Document(id="c", source="s", kind="news", published_at=NOON, text="text c"),
    ]
    said = [predicted("garden", TOPICS), predicted("garden", TOPICS), predicted("bank", ("Loans",))]
    commit_batch(connection, run.id, prepare_batch(ScoredBatch(posts, said, [], [])))
    return run.id


def predicted(model, topics):
    even = 10_000 // len(topics)
    return Prediction(
        dict.fromkeys(topics, even), {"negative": 2, "neutral": 3, "positive": 5}, model, 1
    )


def say(connection, run_id, document_id, topic=None, sentiment=None, author="ann", note=None):
    said = Correction(run_id, document_id, topic, sentiment, author, note)
    return add_correction(connection, said)


def labels_by_document(connection, run_id=None, since=None):
    found = read_corrections(connection, run_id, since)
    return {row.document_id: (row.topic, row.sentiment) for row in found}


def test_a_correction_comes_back_with_the_text_that_the_model_saw(connection, run_id):
    say(connection, run_id, "a", "Tulips", "negative", note="it is about flowers")

    (row,) = read_corrections(connection, run_id)

    assert (row.run, row.document_id, row.text) == ("replay", "a", "Title\ntext a")
    assert (row.topic, row.sentiment) == ("Tulips", "negative")
    assert (row.author, row.note) == ("ann", "it is about flowers")
    assert row.at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("title", "content"), [(None, "t"), ("", "t"), ("T", "T\nt"), (" ", " \nt")]
)
def test_the_text_is_put_together_as_the_classifier_was_given_it(
    connection, run_id, title, content
):
    connection.execute(text("update documents set title = :title, text = 't'"), {"title": title})
    document = Document(id="a", source="s", kind="news", published_at=NOON, text="t", title=title)

    assert read_content(connection, run_id, "a") == content == document.content


def test_the_latest_correction_counts_and_the_history_stays(connection, run_id):
    say(connection, run_id, "a", "Tulips", "negative", author="ann")
    say(connection, run_id, "b", sentiment="neutral")
    say(connection, run_id, "a", "Hailstorms", author="bob", note="no, weather")

    assert labels_by_document(connection, run_id) == {
        "a": ("Hailstorms", None),
        "b": (None, "neutral"),
    }
    history = corrections_of(connection, run_id, "a")
    assert [(row.topic, row.sentiment, row.author) for row in history] == [
        ("Hailstorms", None, "bob"),
        ("Tulips", "negative", "ann"),
    ]


def test_what_was_taken_back_is_left_out_until_it_is_said_again(connection, run_id):
    say(connection, run_id, "a", "Tulips")
    withdraw_corrections(connection, run_id, "a", "bob")
    assert labels_by_document(connection) == {}
    assert len(corrections_of(connection, run_id, "a")) == 2

    say(connection, run_id, "a", "Tulips")
    assert labels_by_document(connection) == {"a": ("Tulips", None)}


def test_corrections_of_all_runs_are_read_and_those_of_one(connection, run_id):
    other = open_run(connection, "other").id
    post = Document(id="a", source="s", kind="news", published_at=NOON, text="x")
    connection.commit()  # a commit is once a transaction
    try:
        batch = ScoredBatch([post], [predicted("garden", TOPICS)], [], [])
        commit_batch(connection, other, prepare_batch(batch))
        say(connection, other, "a", "Tulips")
        say(connection, run_id, "b", "Tulips")

        assert len(read_corrections(connection)) == 2
        assert [row.run for row in read_corrections(connection, other)] == ["other"]
    finally:
        connection.rollback()
        delete_run(connection, "other")
        delete_run(connection, "replay")
        connection.commit()


def test_only_those_since_a_moment_are_read(connection, run_id):
    for document, days in (("a", 3), ("a", 1), ("b", 2)):
        number = say(connection, run_id, document, "Tulips")
        connection.execute(
            corrections.update()
            .where(corrections.c.id == number)
            .values(at=NOON - timedelta(days=days))
        )

    assert set(labels_by_document(connection, since=NOON - timedelta(days=2))) == {"a", "b"}
    assert set(labels_by_document(connection, since=NOON - timedelta(days=1))) == {"a"}
    assert labels_by_document(connection, since=NOON) == {}


@pytest.mark.parametrize(
    ("document", "topic", "sentiment", "message"),
    [
        ("a", "Loans", None, "'Loans' is no topic .* it knows Hailstorms, Tulips"),
        ("a", "tulips", None, "'tulips' is no topic"),
        ("a", "", None, "'' is no topic"),
        ("a", None, "angry", "'angry' is no sentiment .* negative, neutral, positive"),
        ("c", "Tulips", None, "'Tulips' is no topic .* it knows Loans, Bonds"),
        ("a", HOSTILE, None, "is no topic"),
        ("a", None, None, "names a topic, a sentiment or both"),
    ],
)
def test_a_name_that_the_documents_model_does_not_know_is_refused(
    connection, run_id, document, topic, sentiment, message
):
    with pytest.raises(CorrectionError, match=message):
        say(connection, run_id, document, topic, sentiment)
    assert read_corrections(connection) == []


def test_the_labels_are_those_of_the_documents_own_model(connection, run_id):
    assert labels_of(connection, run_id, "a") == Labels(TOPICS)
    assert labels_of(connection, run_id, "c").topics == ("Loans", "Bonds")


def test_a_document_that_is_not_there_is_named(connection, run_id):
    with pytest.raises(UnknownDocumentError, match="no document with the id 'zzz'"):
        say(connection, run_id, "zzz", "Tulips")
    with pytest.raises(UnknownDocumentError, match="no document with the id 'zzz'"):
        withdraw_corrections(connection, run_id, "zzz", "ann")


@pytest.mark.parametrize("author", ["", "  ", "\x00"])
def test_a_correction_without_an_author_is_refused(connection, run_id, author):
    with pytest.raises(CorrectionError, match="say who you are"):
        say(connection, run_id, "a", "Tulips", author=author)


def test_names_and_notes_have_a_longest_length(connection, run_id):
    say(connection, run_id, "a", "Tulips", author="x" * LONGEST_AUTHOR, note="x" * LONGEST_NOTE)

    with pytest.raises(CorrectionError, match="the author has 101 characters, over 100"):
        say(connection, run_id, "a", "Tulips", author="x" * (LONGEST_AUTHOR + 1))
    with pytest.raises(CorrectionError, match="the note has 2001 characters, over 2000"):
        say(connection, run_id, "a", "Tulips", note="x" * (LONGEST_NOTE + 1))


def test_hostile_text_is_kept_as_it_is(connection, run_id):
    say(connection, run_id, "a", "Tulips", author=HOSTILE, note=HOSTILE)

    (row,) = corrections_of(connection, run_id, "a")
    assert (row.author, row.note) == (HOSTILE.strip(), HOSTILE.strip())


def test_what_no_database_stores_is_left_out(connection, run_id):
    say(connection, run_id, "a", "Tulips", author="a\x00nn", note="half \ud83d an emoji")

    (row,) = corrections_of(connection, run_id, "a")
    assert (row.author, row.note) == ("ann", "half ? an emoji")


def test_a_correction_changes_neither_the_document_nor_the_buckets(connection, run_id):
    before = [connection.execute(select(table)).all() for table in (documents, time_buckets)]

    say(connection, run_id, "a", "Tulips", "negative")

    after = [connection.execute(select(table)).all() for table in (documents, time_buckets)]
    assert after == before


def test_corrections_go_with_their_run(connection, run_id):
    say(connection, run_id, "a", "Tulips")
    delete_run(connection, "replay")

    assert connection.execute(select(corrections)).all() == []
