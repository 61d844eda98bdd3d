"""``correct`` and ``corrections`` as commands, on a real PostgreSQL."""

import json
from datetime import UTC, datetime

import pytest
import typer
from typer.testing import CliRunner

from classifier.data.datasets import Example
from classifier.data.sources import read_file
from classifier.labels import UNLABELLED, Labels
from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store.commits import commit_batch, register_model
from store.errors import CorrectionError, UnknownDocumentError, UnknownRunError
from store.preparing import prepare_batch
from store.runs import delete_run, open_run
from tapewatch.commands import feedback

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TOPICS = ("Hailstorms", "Tulips")
HOSTILE = "note \x1b[31m[red]**x**\u202e"

app = typer.Typer()
app.command()(feedback.correct)
app.command()(feedback.corrections)


@pytest.fixture
def tapewatch(database, tmp_path, monkeypatch):
    """Run a command on a run ``live`` that holds two documents."""
    monkeypatch.chdir(tmp_path)
    with database.transaction() as connection:
        register_model(connection, "garden", Labels(TOPICS))
        run = open_run(connection, "live")
        posts = [
            Document(id=name, source="s", kind="news", published_at=NOON, text=text, title=title)
            for name, title, text in (("a", "Title", "text a"), ("b", None, "text b"))
        ]
        said = Prediction(
            dict.fromkeys(TOPICS, 5000), {"negative": 2, "neutral": 3, "positive": 5}, "garden", 1
        )
        commit_batch(connection, run.id, prepare_batch(ScoredBatch(posts, [said, said], [], [])))

    def run_command(*arguments):
        environment = {"TAPEWATCH_DATABASE_URL": database.url, "COLUMNS": "200"}
        done = CliRunner().invoke(app, [*map(str, arguments)], env=environment)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    yield run_command
    with database.transaction() as connection:
        delete_run(connection, "live")


def listed(tapewatch):
    lines = tapewatch("corrections", "--json").stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_a_correction_is_kept_and_listed(tapewatch):
    done = tapewatch(
        "correct", "a", "--topic", "Tulips", "--sentiment", "negative", "--author", "ann",
        "--note", "why",
    )  # fmt: skip

    assert done.stdout == "a is Tulips and negative, says ann\n"
    (row,) = listed(tapewatch)
    assert row.pop("at").endswith("+00:00")
    assert row == {
        "run": "live", "document_id": "a", "text": "Title\ntext a", "topic": "Tulips",
        "sentiment": "negative", "author": "ann", "note": "why",
    }  # fmt: skip


def test_a_label_that_is_not_given_stays_as_it_was_corrected(tapewatch):
    tapewatch("correct", "a", "--topic", "Tulips", "--author", "ann")
    done = tapewatch("correct", "a", "--sentiment", "neutral", "--author", "bob", "--json")

    said = json.loads(done.stdout)
    assert (said["topic"], said["sentiment"], said["author"]) == ("Tulips", "neutral", "bob")


def test_a_correction_is_taken_back(tapewatch):
    tapewatch("correct", "a", "--topic", "Tulips", "--author", "ann")
    done = tapewatch("correct", "a", "--withdraw", "--author", "ann")

    assert done.stdout == "a is as the model has it, says ann\n"
    assert listed(tapewatch) == []
    assert tapewatch("corrections").stdout == "Nothing has been corrected.\n"

    tapewatch("correct", "a", "--sentiment", "neutral", "--author", "ann")
    assert [row["topic"] for row in listed(tapewatch)] == [None]


def test_without_an_author_the_user_of_the_machine_is_named(tapewatch, monkeypatch):
    monkeypatch.setenv("LOGNAME", "somebody")
    tapewatch("correct", "a", "--topic", "Tulips")

    assert [row["author"] for row in listed(tapewatch)] == ["somebody"]


def test_the_export_can_be_trained_on(tapewatch, tmp_path):
    tapewatch("correct", "a", "--topic", "Tulips", "--author", "ann")
    tapewatch("correct", "b", "--sentiment", "negative", "--author", "ann")
    path = tmp_path / "corrections.jsonl"

    done = tapewatch("corrections", "--output", path)

    assert done.stdout == ""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [
        {"text": "Title\ntext a", "topic": "Tulips"},
        {"text": "text b", "sentiment": "negative"},
    ]
    assert read_file(path, labels=Labels(TOPICS)).examples == [
        Example("Title\ntext a", 1, UNLABELLED),
        Example("text b", UNLABELLED, 0),
    ]


def test_hostile_notes_cannot_steer_the_terminal(tapewatch):
    tapewatch("correct", "a", "--topic", "Tulips", "--author", HOSTILE, "--note", HOSTILE)

    shown = tapewatch("corrections").stdout

    assert "note [31m[red]**x**" in shown
    assert not {"\x1b", "\u202e"} & set(shown)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["correct", "zzz", "--topic", "Tulips"], UnknownDocumentError, "the id 'zzz'"),
        (["correct", "a", "--topic", "Macro"], CorrectionError, "knows Hailstorms, Tulips"),
        (["correct", "a", "--topic", "Tulips", "--run", "gone"], UnknownRunError, "'gone'"),
        (["corrections", "--run", "gone"], UnknownRunError, "'gone'"),
    ],
)
def test_what_cannot_be_done_is_an_error_of_the_store(tapewatch, arguments, error, message):
    with pytest.raises(error, match=message):
        tapewatch(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["correct", "a"],
        ["correct", "a", "--withdraw", "--topic", "Tulips"],
        ["corrections", "--output", "no/such/folder/file.jsonl"],
    ],
)
def test_a_wrong_call_is_told_how_to_be_mended(tapewatch, arguments):
    assert tapewatch(*arguments).exit_code == 2
