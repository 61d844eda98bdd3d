"""`tapewatch classify`: one text, a file of texts, and what is wrong with a call."""

import json

import pytest
from support.commands import last_json, tapewatch

from classifier.evaluation.card import read_card
from classifier.labels import SENTIMENTS, TOPICS
from tapewatch.champion import SHIPPED

pytestmark = pytest.mark.acceptance

PLUNGE = "Meridian Harbor Bank shares plunge 40% after credit rating downgrade, losses mount"


def test_one_text_has_every_probability_by_name():
    said = last_json(tapewatch("classify", PLUNGE, "--json"))
    assert said["sentiment"] == "negative"
    assert set(said["topic_probabilities"]) == set(TOPICS)
    assert set(said["sentiment_probabilities"]) == set(SENTIMENTS)
    assert sum(said["topic_probabilities"].values()) == pytest.approx(1, abs=0.002)
    of_sentiment = said["sentiment_probabilities"]
    assert said["score"] == pytest.approx(of_sentiment["positive"] - of_sentiment["negative"])
    assert said["model"] == read_card(SHIPPED)["version"]
    assert not said["truncated"]


def test_people_get_the_answer_in_words():
    assert "negative" in tapewatch("classify", PLUNGE).stdout


def test_a_file_comes_out_line_by_line_in_its_order(tmp_path):
    texts = [PLUNGE, "Profit jumps 26%, shares rise", "word " * 5000]
    source, target = tmp_path / "f.jsonl", tmp_path / "g.jsonl"
    lines = [json.dumps({"id": n, "text": text, "more": 1}) for n, text in enumerate(texts)]
    source.write_text("\n".join(lines))
    tapewatch("classify", "--input", source, "--output", target)
    said = [json.loads(line) for line in target.read_text().splitlines()]
    assert [line["id"] for line in said] == ["0", "1", "2"]
    assert [line["sentiment"] for line in said[:2]] == ["negative", "positive"]
    assert [line["truncated"] for line in said] == [False, False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either a text or --input FILE"),
        (("--input", "nowhere.jsonl"), "there is no feed at nowhere.jsonl"),
        (("--input", "README.txt"), "there is no feed at"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(arguments, message):
    done = tapewatch("classify", *arguments, fails=True)
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_missing_weights_say_what_to_do(tmp_path):
    done = tapewatch("classify", "text", weights=tmp_path, fails=True)
    assert "no weights in" in done.stderr
    assert "tapewatch train" in done.stderr


def test_a_wrong_setting_is_named():
    done = tapewatch("classify", "text", threads="many", fails=True)
    assert "TAPEWATCH_THREADS" in done.stderr
    assert "Traceback" not in done.stderr
