"""From a user's files to weights that serve, by the commands alone."""

import json

import pytest
from support.commands import last_json, tapewatch
from support.tiny_bases import write_base

from classifier.engine import Engine
from classifier.evaluation.card import read_card

pytestmark = pytest.mark.acceptance

NOUNS = {"Energy": "oil", "Banks": "bank"}
VERBS = {"negative": "falls", "neutral": "stays", "positive": "rises"}
ROWS = [
    {"text": f"the {noun} {verb} in week {week} of the year", "topic": topic, "sentiment": mood}
    for week in range(30)
    for topic, noun in NOUNS.items()
    for mood, verb in VERBS.items()
]
QUICK = ("--set", "batch_texts=16", "--set", "learning_rate=0.005", "--set", "precision=fp32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("training")
    (made / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    texts = [f"{row['text']} number {n}" for n, row in enumerate(ROWS * 15)]
    (made / "texts.txt").write_text("\n".join(texts))
    write_base(made / "encoder", "bert", [r["text"] for r in ROWS], width=32, context=64, units=128)
    return made


@pytest.fixture(scope="module")
def teacher(folder):
    """An encoder that was fine-tuned by `tapewatch train`, and what the command said."""
    said = tapewatch(
        "train", "--data", "rows.jsonl", "--base", "encoder", "--output", "teacher", "--json",
        "--epochs", 6, *QUICK, folder=folder,
    )  # fmt: skip
    return last_json(said)


@pytest.fixture(scope="module")
def student(folder, teacher):
    """A GPT of the encoder's first block that learned from the teacher."""
    tapewatch(
        "pretrain", "--data", "texts.txt", "--output", "base", "--blocks-from", "teacher",
        "--layers", 1, "--vocabulary", 320, "--context", 32, "--epochs", 0, folder=folder,
    )  # fmt: skip
    said = tapewatch(
        "distil", "--data", "rows.jsonl", "--base", "base", "--teacher", "teacher", "--output",
        "student", "--json", "--epochs", 6, *QUICK, "--set", "augmented=60", "--set", "written=20",
        folder=folder,
    )  # fmt: skip
    return last_json(said)


def accuracies(scores):
    return {(name, s["head"]): s["accuracy"] for name, of_set in scores.items() for s in of_set}


def test_training_learns_and_is_measured_before_and_after(teacher):
    before, after = accuracies(teacher["before"]), accuracies(teacher["after"])

    assert before.keys() == after.keys()
    assert {head for _, head in after} == {"topic", "sentiment"}
    assert min(after.values()) > 0.9
    assert set(teacher["calibration"]) == {"topic", "sentiment"}


def test_the_student_learns_from_its_teacher_and_is_a_gpt(folder, student):
    assert min(accuracies(student["after"]).values()) > 0.9
    engine = Engine(folder / "student", "cpu")
    assert engine.version == student["version"]
    assert engine.version.startswith("openai-gpt-1x32-")
    assert set(engine.labels.topics) == set(NOUNS)


def test_the_card_says_how_it_was_made_and_nothing_is_left_over(folder, student, teacher):
    card = read_card(folder / "student")

    assert card["version"] == student["version"]
    assert [command.split()[1] for command in card["commands"]] == ["pretrain", "train", "distil"]
    assert card["summary"].startswith("Its trunk started from the first block of teacher.")
    assert "nats_per_token" not in card["base"]
    assert [t["name"] for t in card["teachers"]] == [f"teacher ({teacher['version']})"]
    assert card["rows"]["labelled by teachers only"] > 60
    assert not [*folder.glob("*.work")]


def test_what_was_trained_classifies(folder, student):
    said = last_json(
        tapewatch("classify", "the oil falls in week 3 of the year", "--json", folder=folder,
                  weights=folder / "student")
    )  # fmt: skip

    assert (said["topic"], said["sentiment"]) == ("Energy", "negative")
    assert said["model"] == student["version"]
