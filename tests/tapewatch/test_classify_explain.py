"""`tapewatch classify --explain` in this process, with tiny weights for which words decide."""

import json
import math

import pytest
import typer
from support.tiny_weights import write_weights
from typer.testing import CliRunner

from classifier.attribution import ExplanationError
from tapewatch.commands.classifying import classify

TEXT = "The report says that hail [red]PLUNGES[/red] plunges today"
HOSTILE = "hail\x1b[2J\x1b]0;title\x07 plunges \u202ethe\u202c week\r\nover"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "deciding"
    topics = {"Hailstorms": "hail", "Tulips": "tulips", "Other": "other"}
    return write_weights(folder, topics, {"negative": "plunges", "positive": "soars"})


@pytest.fixture
def run(weights, tmp_path, monkeypatch):
    """Runs the command with arguments, in an empty folder."""
    app = typer.Typer()
    app.command()(classify)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAPEWATCH_WEIGHTS", str(weights))
    monkeypatch.setenv("COLUMNS", "120")

    def invoke(*arguments, status=0):
        done = CliRunner().invoke(app, [*map(str, arguments), "--device", "cpu"])
        assert done.exit_code == status, done.output
        return done

    return invoke


def explained(done):
    return json.loads(done.stdout)["explanation"]


def test_programs_get_the_words_and_what_they_sum_to(run):
    explanation = explained(run(TEXT, "--explain", "--json"))

    assert list(explanation) == ["target", "baseline", "output", "completeness_error", "words"]
    assert explanation["target"] == "negative"
    assert "".join(word["text"] for word in explanation["words"]) == TEXT
    weights = [word["weight"] for word in explanation["words"]]
    change = explanation["output"] - explanation["baseline"]
    assert math.fsum(weights) + explanation["completeness_error"] == pytest.approx(change)
    assert max(explanation["words"], key=lambda word: word["weight"])["text"] == "plunges "


def test_another_class_is_explained_when_it_is_named(run):
    topic = explained(run(TEXT, "--explain", "--target", "Hailstorms", "--json"))
    positive = explained(run(TEXT, "--explain", "--target", "positive", "--json"))

    assert (topic["target"], positive["target"]) == ("Hailstorms", "positive")
    assert max(topic["words"], key=lambda word: word["weight"])["text"] == "hail "
    assert min(positive["words"], key=lambda word: word["weight"])["text"] == "plunges "


def test_without_the_option_nothing_is_explained(run):
    assert "explanation" not in json.loads(run(TEXT, "--json").stdout)
    assert "completeness" not in run(TEXT).stdout


def test_people_get_the_text_and_its_strongest_words_with_signs(run):
    shown = run(TEXT, "--explain").stdout
    lines = shown.splitlines()

    (sums,) = [line for line in lines if line.startswith("P(negative) is")]
    assert "completeness error" in sums
    # as it is: what looks like markup stays in the text
    assert TEXT in lines
    (row,) = [line for line in lines if "│ plunges" in line]
    assert "+" in row


@pytest.mark.parametrize("text", [HOSTILE, "plunges \udcff\udcfe the week", "📉🏳️‍🌈 郁金香 plunges"])
def test_a_terminal_is_sent_no_control_characters(run, text):
    shown = run(text, "--explain").stdout

    assert "plunges" in shown
    assert not [c for c in shown if not c.isprintable() and c not in "\n\u200d"]


def test_a_text_of_nothing_has_no_words(run):
    done = run("", "--explain")

    assert "P(negative) is" in done.stdout
    assert "For (+)" not in done.stdout
    assert explained(run("", "--explain", "--json"))["words"] == []


def test_a_file_is_explained_line_by_line(run, tmp_path):
    source, target = tmp_path / "texts.jsonl", tmp_path / "out.jsonl"
    lines = [{"text": "hail plunges"}, {"title": "Tulips", "text": "the week soars"}]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))

    run("--input", source, "--output", target, "--explain", "--target", "Tulips")

    said = [json.loads(line)["explanation"] for line in target.read_text().splitlines()]
    assert [one["target"] for one in said] == ["Tulips", "Tulips"]
    texts = ["".join(word["text"] for word in one["words"]) for one in said]
    assert texts == ["hail plunges", "Tulips\nthe week soars"]


def test_an_unknown_class_is_refused_before_anything_is_written(run, tmp_path):
    source, target = tmp_path / "texts.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "hail"}\n')

    done = run("--input", source, "--output", target, "--explain", "--target", "Macro", status=1)

    assert isinstance(done.exception, ExplanationError)
    assert "no class 'Macro'" in str(done.exception)
    assert not target.exists()


def test_a_target_without_an_explanation_is_refused(run):
    done = run(TEXT, "--target", "Tulips", status=2)

    assert "add --explain" in " ".join(done.output.split())
