"""From a user's files to weights that serve, by the commands alone."""

import json

import pytest
from support.commands import last_json, tapewatch
from support.tiny_bases import write_base

from classifier.engine import Engine
from classifier.evaluation.card import read_card
from classifier.model import read_labels

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


MOODS = [
    {"text": f"people say {row['text']}", "sentiment": row["sentiment"]} for row in ROWS
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("training")
    (made / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    (made / "moods.jsonl").write_text("\n".join(map(json.dumps, MOODS)))
    texts = [f"{row['text']} number {n}" for n, row in enumerate(ROWS * 15)]
    (made / "texts.txt").write_text("\n".join(texts))
    write_base(made / "encoder", "bert", [r["text"] for r in ROWS], width=32, context=64, units=128)
    return made


def trained(folder, data, output):
    """What `train` says of the encoder, fine-tuned on these rows."""
    said = tapewatch(
        "train", "--data", data, "--base", "encoder", "--output", output, "--json",
        "--epochs", 6, *QUICK, folder=folder,
    )  # fmt: skip
    return last_json(said)


@pytest.fixture(scope="module")
def teacher(folder):
    """An encoder that was fine-tuned by `tapewatch train`, and what the command said."""
    return trained(folder, "rows.jsonl", "teacher")


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


@pytest.fixture(scope="module")
def moody(folder):
    """An encoder that was fine-tuned on sentiments alone, and what the command said."""
    return trained(folder, "moods.jsonl", "moody")


def distilled(folder, output, *given, fails=False):
    """What `distil` says of a student of the rows for which little is made and written."""
    return tapewatch(
        "distil", "--data", "rows.jsonl", "--base", "base", "--output", output, "--json",
        "--epochs", 6, *QUICK, "--set", "augmented=60", "--set", "written=40", *given,
        folder=folder, fails=fails,
    )  # fmt: skip


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


def test_a_language_model_writes_more_texts_for_the_student(folder, student):
    write_base(folder / "lm", "gpt2", [row["text"] for row in ROWS], width=32)
    tapewatch(
        "pretrain", "--data", "texts.txt", "--base", "lm", "--output", "writer", "--epochs", 4,
        "--learning-rate", 0.01, folder=folder,
    )  # fmt: skip

    said = distilled(
        folder, "taught", "--teacher", "teacher", "--set", "generated=50", "--set",
        "generated_from=rows.jsonl", "--set", f"generator={folder / 'writer'}",
    )  # fmt: skip

    assert min(accuracies(last_json(said)["after"]).values()) > 0.9
    fewer, card = read_card(folder / "student"), read_card(folder / "taught")
    added = [c["rows"]["labelled by teachers only"] for c in (fewer, card)]
    assert added[1] - added[0] == 50 + 20, "and 40 invented sentences for 20"
    assert "generator=writer" in card["commands"][-1]
    assert str(folder) not in json.dumps(card)
    assert not [*folder.glob("*.work")]


def test_what_was_trained_classifies(folder, student):
    said = last_json(
        tapewatch("classify", "the oil falls in week 3 of the year", "--json", folder=folder,
                  weights=folder / "student")
    )  # fmt: skip

    assert (said["topic"], said["sentiment"]) == ("Energy", "negative")
    assert said["model"] == student["version"]


def test_the_mean_of_weights_along_the_way_serves_like_any_other(folder, student):
    tapewatch(
        "train", "--data", "rows.jsonl", "--base", "student", "--output", "further", "--epochs", 1,
        *QUICK, folder=folder,
    )  # fmt: skip

    said = last_json(
        tapewatch("average", "student", "further", "--data", "rows.jsonl", "--output", "mean",
                  "--challenger", "--json", folder=folder, models_dir=folder / "registry")
    )  # fmt: skip

    assert min(accuracies(said["after"]).values()) > 0.9
    assert Engine(folder / "mean", "cpu").version == said["version"]
    done = last_json(tapewatch("models", "--json", models_dir=folder / "registry"))["history"][-1]
    assert (done["version"], done["by"]) == (said["version"], "tapewatch average")
    made = [command.split()[1] for command in read_card(folder / "mean")["commands"]]
    assert made == ["pretrain", "train", "distil", "train", "average"]
    assert not [*folder.glob("*.work")]


def test_a_mean_of_weights_that_have_none_is_refused(folder, student, teacher):
    done = tapewatch(
        "average", "student", "teacher", "--data", "rows.jsonl", "--output", "none",
        folder=folder, fails=True,
    )  # fmt: skip

    told = " ".join((done.stdout + done.stderr).split())
    assert "student and teacher have no mean: they differ in tokens, the architecture" in told
    assert not (folder / "none").exists()


def test_weights_that_are_told_no_topics_have_one_for_all(folder, moody):
    assert read_labels(folder / "moody").topics == ("Unsorted",)
    assert {head for _, head in accuracies(moody["after"])} == {"sentiment"}
    assert min(accuracies(moody["after"]).values()) > 0.9


def test_a_student_learns_invented_sentences_from_a_teacher_of_their_own(
    folder, student, teacher, moody
):
    said = distilled(
        folder, "of-written", "--teacher", "teacher", "--teacher", "moody:of=written",
        "--teacher", "shipped:of=written", "--set", "made_from=rows.jsonl",
    )  # fmt: skip

    assert min(accuracies(last_json(said)["after"]).values()) > 0.9
    names = [taught["name"] for taught in read_card(folder / "of-written")["teachers"]]
    assert names[:2] == [f"teacher ({teacher['version']})", f"moody ({moody['version']})"]
    assert len(names) == 3


def test_a_student_learns_one_file_from_a_teacher_that_knows_it_alone(folder, student, moody):
    said = distilled(
        folder, "of-moods", "--data", "moods.jsonl", "--teacher", "teacher", "--teacher",
        "moody:of=moods.jsonl+written",
    )  # fmt: skip

    assert min(accuracies(last_json(said)["after"]).values()) > 0.9


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--teacher", "teacher:of=rows.jsonl"], "name one without `of` for all the rest"),
        (
            ["--teacher", "teacher", "--teacher", "moody:of=mods.jsonl"],
            "no text is of mods.jsonl, which moody teaches; there are texts of rows.jsonl, written",
        ),
        (["--teacher", "shipped"], "knows other topics than the student: Analyst Update, "),
        (
            ["--teacher", "teacher", "--set", "made_from=row.jsonl"],
            "no training row is of row.jsonl; there are those of rows.jsonl: name some",
        ),
    ],
)
def test_what_teachers_cannot_teach_is_told(folder, student, moody, given, says):
    done = distilled(folder, "never", *given, fails=True)

    assert says in " ".join((done.stdout + done.stderr).split())
    assert not (folder / "never").exists()
