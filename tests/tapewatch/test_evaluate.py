"""``tapewatch evaluate`` in this process, with tiny weights for which words decide."""

import csv
import json
import random
import re

import pytest
import typer
from support.public_sets import PublicSets
from support.tiny_bases import write_base
from support.tiny_weights import FILLERS, write_weights
from typer.testing import CliRunner

from classifier.data.datasets import DatasetError
from classifier.evaluation.prompting import PromptingError
from classifier.labels import TOPICS
from classifier.model import WeightsError
from tapewatch.commands.evaluating import evaluate

WORDS = {"Banks": "loan", "Oil | Gas": "barrel"}
FEELINGS = {"negative": "falls", "positive": "rises"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "deciding", WORDS, FEELINGS)


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    """A language model that knows nothing."""
    texts = ["Text: topic sentiment: negative, neutral, positive. Banks Oil | Gas."]
    return write_base(tmp_path_factory.mktemp("lm") / "tiny-lm", "gpt2", texts * 5, context=128)


@pytest.fixture
def run(weights, tmp_path, monkeypatch):
    """Runs the command with arguments, in an empty folder."""
    app = typer.Typer()
    app.command()(evaluate)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAPEWATCH_WEIGHTS", str(weights))
    monkeypatch.setenv("COLUMNS", "250")

    def invoke(*arguments, status=0):
        done = CliRunner().invoke(app, [*map(str, arguments), "--device", "cpu"])
        if isinstance(done.exception, Exception):
            raise done.exception
        assert done.exit_code == status, done.output
        return done

    return invoke


def rows_of(count, seed, wrong=0.0):
    """Rows in which words decide; of a share of ``wrong`` the topic is the other one."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        topic, feeling = chance.choice(list(WORDS)), chance.choice(["neutral", *FEELINGS])
        words = [*chance.choices(FILLERS, k=6), WORDS[topic], FEELINGS.get(feeling, "")]
        chance.shuffle(words)
        if chance.random() < wrong:
            topic = next(name for name in WORDS if name != topic)
        rows.append({"text": " ".join(words), "topic": topic, "sentiment": feeling})
    return rows


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def judged(tmp_path):
    return write(tmp_path / "judged.csv", rows_of(60, seed=1, wrong=0.1))


@pytest.fixture
def learned(tmp_path):
    return write(tmp_path / "learned.csv", rows_of(150, seed=2))


def told(done):
    """The figures by classifier and head."""
    (rows,) = json.loads(done.stdout)["tests"].values()
    return {(row["classifier"], row["head"]): row for row in rows}


def test_weights_are_measured_on_a_file(run, judged):
    found = told(run("--input", judged, "--json"))

    ((version, _), _) = found
    assert version.startswith("gpt2-2x32-")
    topic, sentiment = found[version, "topic"], found[version, "sentiment"]
    assert (topic["rows"], sentiment["rows"]) == (60, 60)
    assert 0.8 < topic["accuracy"] < 1
    assert sentiment["accuracy"] > 0.95
    assert topic["accuracy_interval"][0] < topic["accuracy"] < topic["accuracy_interval"][1]
    assert set(topic["classes"]) == set(WORDS)
    assert topic["less_weights"] is None


def test_all_baselines_are_in_one_table_on_the_same_rows(run, judged, learned, lm):
    baselines = ("majority", "linear", "zero-shot", "few-shot")
    chosen = [word for name in baselines for word in ("--baseline", name)]

    found = told(
        run("--input", judged, "--train", learned, *chosen, "--lm", lm, "--shots", 4, "--json")
    )

    version = next(iter(found))[0]
    of_topic = {name: row for (name, head), row in found.items() if head == "topic"}
    few = next(name for name in of_topic if "few-shot" in name)
    assert list(of_topic) == [version, "majority", "linear", "tiny-lm, zero-shot", few]
    assert len(found) == 10
    assert {row["rows"] for row in found.values()} == {60}
    assert of_topic["majority"]["accuracy"] <= of_topic["majority"]["majority_accuracy"]
    assert of_topic["linear"]["accuracy"] > 0.8
    for name, row in of_topic.items():
        if name != version:
            change = row["less_weights"]["accuracy"]["value"]
            assert change == pytest.approx(row["accuracy"] - of_topic[version]["accuracy"])


def test_people_get_a_table_for_each_head(run, judged, learned):
    done = run("--input", judged, "--train", learned, "--baseline", "majority", "--classes")

    assert "judged.csv: topic, with 95 % intervals" in done.stdout
    assert "judged.csv: sentiment, with 95 % intervals" in done.stdout
    lines = [line for line in done.stdout.splitlines() if "majority" in line]
    assert len(lines) == 2
    assert re.search(r"0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", lines[0])
    assert re.search(r"-0\.\d{3} \(-0\.\d{3} to -0\.\d{3}\)", lines[0])
    assert "Oil | Gas" in done.stdout


def test_the_order_of_the_answer_needs_no_terminal(run, judged):
    done = run("--input", judged, "--json")

    assert json.loads(done.stdout)["weights"].startswith("gpt2-")
    assert len(done.stdout.splitlines()) == 1


def test_other_columns_are_named(run, tmp_path):
    rows = [{"headline": r["text"], "mood": r["sentiment"]} for r in rows_of(30, seed=3)]
    path = write(tmp_path / "moods.csv", rows)

    found = told(
        run("--input", path, "--text-column", "headline", "--sentiment-column", "mood", "--json")
    )

    assert [head for _, head in found] == ["sentiment"]


def test_fewer_rows_can_be_judged(run, judged):
    found = told(run("--input", judged, "--rows", 20, "--json"))

    assert {row["rows"] for row in found.values()} == {20}


def test_other_weights_than_those_that_serve_are_measured(run, judged, tmp_path):
    other = write_weights(tmp_path / "other", WORDS, FEELINGS, seed=2)

    mine, theirs = (
        json.loads(run("--input", judged, *more, "--json").stdout)["weights"]
        for more in ((), ("--weights", other))
    )

    assert mine != theirs


def test_rows_to_judge_are_not_learned_from(run, judged, tmp_path):
    path = write(tmp_path / "leaking.csv", [*rows_of(60, seed=1), *rows_of(40, seed=4)])

    done = run("--input", judged, "--train", path, "--baseline", "majority", "--json")

    assert "rows repeat rows to judge; not used" in done.stderr


def test_a_baseline_is_not_left_without_rows_in_silence(run, judged):
    with pytest.raises(DatasetError, match=r"no row is left to learn from.*--train"):
        run("--input", judged, "--train", judged, "--baseline", "majority")


def test_pictures_are_drawn_of_every_classifier(run, judged, learned, tmp_path):
    run("--input", judged, "--train", learned, "--baseline", "majority", "--plots", "pictures")

    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    endings = ("confusion-sentiment.png", "confusion-topic.png", "reliability.png")
    for ending in endings:
        assert f"majority-judged-csv-{ending}" in names
    assert len(names) == 6


def test_the_fixed_test_rows_of_the_public_sets_are_judged(run, tmp_path):
    sets = PublicSets(tmp_path / "public")
    feelings = ("negative", "neutral", "positive")
    sets.headlines = [(t, f'{{"Bank": "{feelings[i % 3]}"}}')
                      for i, (t, _) in enumerate(sets.headlines)]  # fmt: skip
    words = {name: f"word{number}" for number, name in enumerate(TOPICS)}
    public = write_weights(tmp_path / "public-weights", words, FEELINGS)

    done = run(
        "--weights", public, "--data", sets.write(), "--baseline", "majority",
        "--baseline", "linear", "--json",
    )  # fmt: skip

    tests = json.loads(done.stdout)["tests"]
    assert len(tests) == 4
    for name, rows in tests.items():
        assert {row["head"] for row in rows} == {name.split(",")[0]}
        assert [row["classifier"] for row in rows][1:] == ["majority", "linear"]


def test_weights_with_topics_of_their_own_are_not_judged_on_the_public_sets(run, tmp_path):
    with pytest.raises(DatasetError, match=r"topics of their own.*--input"):
        run("--data", PublicSets(tmp_path / "public").write())


@pytest.mark.parametrize("name", ["sentfin", "twitter-financial-news-sentiment"])
def test_weights_with_topics_of_their_own_are_judged_on_a_public_set_of_sentiments(
    run, tmp_path, name
):
    sets = PublicSets(tmp_path / "public")
    moods = ("negative", "neutral", "positive")
    sets.headlines = [(t, f'{{"Bank": "{moods[i % 3]}"}}')
                      for i, (t, _) in enumerate(sets.headlines)]  # fmt: skip

    done = run("--data", sets.write() / name, "--json")

    (judged,) = json.loads(done.stdout)["tests"].values()
    assert {row["head"] for row in judged} == {"sentiment"}


def test_they_are_not_judged_on_the_public_set_of_topics(run, tmp_path):
    folder = PublicSets(tmp_path / "public").write()

    with pytest.raises(DatasetError, match=r"topics of their own.*--input"):
        run("--data", folder / "twitter-financial-news-topic")


@pytest.mark.parametrize("name", ["stocknet", "absent", "surge_stock_sentiment"])
def test_a_set_without_test_rows_is_told(run, tmp_path, name):
    folder = PublicSets(tmp_path / "public").write()

    with pytest.raises(DatasetError):
        run("--data", folder / name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either --data DIR or --input FILE"),
        (("--data", ".", "--input", "x.csv"), "give either --data DIR or --input FILE"),
        (("--input", "x.csv", "--baseline", "linear"), "learns from rows: give --train FILE"),
        (("--input", "x.csv", "--baseline", "zero-shot"), "give --lm"),
        (("--data", ".", "--baseline", "few-shot"), "give --lm"),
        (("--data", ".", "--lm", "gpt2"), "--lm does nothing without"),
        (("--data", ".", "--baseline", "sevenfold"), "sevenfold"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(run, arguments, message):
    done = run(*arguments, status=2)

    assert message in " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"topic": "Sport"}, "unknown topic 'Sport'"),
        ({"sentiment": "cheerful"}, "unknown sentiment 'cheerful'"),
    ],
)
def test_a_label_that_the_weights_do_not_know_is_an_error(run, tmp_path, change, message):
    rows = rows_of(10, seed=5)
    path = write(tmp_path / "odd.csv", [*rows, {**rows[0], **change}])

    with pytest.raises(DatasetError, match=message):
        run("--input", path)


def test_a_file_of_one_class_is_an_error(run, tmp_path):
    path = write(tmp_path / "one.csv", [{**r, "topic": "Banks"} for r in rows_of(9, seed=6)])

    with pytest.raises(DatasetError, match=r"one\.csv: every topic is 'Banks'"):
        run("--input", path)

    assert [head for _, head in told(run("--input", path, "--topic-column", "", "--json"))] == [
        "sentiment"
    ]


def test_a_file_without_labels_is_an_error(run, tmp_path):
    path = write(tmp_path / "bare.csv", [{"text": "loan falls", "other": "x"}])

    with pytest.raises(DatasetError, match="no column 'topic' or 'sentiment'"):
        run("--input", path)


def test_a_missing_file_is_an_error(run):
    with pytest.raises(DatasetError, match="no labelled file"):
        run("--input", "nowhere.csv")


def test_missing_weights_are_an_error(run, judged, tmp_path):
    with pytest.raises(WeightsError, match="no weights in"):
        run("--input", judged, "--weights", tmp_path / "nothing")


def test_a_language_model_that_cannot_be_read_is_an_error(run, judged, tmp_path):
    with pytest.raises(PromptingError, match="cannot be read"):
        run("--input", judged, "--baseline", "zero-shot", "--lm", tmp_path)


def test_weights_are_no_language_model(run, judged, weights):
    with pytest.raises(PromptingError, match="is no causal language model"):
        run("--input", judged, "--baseline", "zero-shot", "--lm", weights)
