import json
from datetime import date

import numpy as np
import pytest
from transformers import GPT2Config, GPT2Model

from classifier.continual.promotion import read_card as read_for_promotion
from classifier.evaluation.calibration import calibrate
from classifier.evaluation.card import CardFacts, MeasuredTeacher, dump, read_card, write_card
from classifier.evaluation.scores import score_head
from classifier.labels import SENTIMENTS, Labels
from classifier.model import TwoHeadedModel, WeightsError

LABELS = Labels(("Oil", "Gold | Metals", "Bank"), SENTIMENTS)


def made(head, seed, share):
    """Targets and logits that are right of about ``share`` of 300 rows, and too sure of it."""
    chance = np.random.default_rng(seed)
    target = chance.integers(0, 3, 300)
    said = np.where(chance.random(300) < share, target, chance.integers(0, 3, 300))
    return target, 6 * np.eye(3)[said] + chance.normal(size=(300, 3))


def score(head, seed, share):
    target, logits = made(head, seed, share)
    raised = np.exp(logits / 4)
    names = LABELS.topics if head == "topic" else SENTIMENTS
    return score_head(head, names, target, raised / raised.sum(axis=1, keepdims=True))


TESTS = {
    "the first set": [score("topic", 1, 0.8)],
    "the second set": [score("topic", 2, 0.7), score("sentiment", 3, 0.9)],
}
BEFORE = {
    "the first set": [score("topic", 1, 0.2)],
    "the second set": [score("topic", 2, 0.1), score("sentiment", 3, 0.3)],
}
CALIBRATIONS = [
    calibrate("topic", 2.5, made("topic", 4, 0.7)[1], made("topic", 4, 0.7)[0]),
    calibrate("sentiment", 1.25, made("sentiment", 5, 0.7)[1], made("sentiment", 5, 0.7)[0]),
]
FEW = CardFacts(
    version="gpt2-1x16-0123abcd",
    made_on=date(2026, 3, 10),
    commands=["tapewatch train --data DATA"],
    rows={"train": 12_345, "development": 678},
    tests=TESTS,
)
MANY = CardFacts(
    version=FEW.version,
    made_on=FEW.made_on,
    commands=["tapewatch pretrain --data DATA", *FEW.commands],
    rows=FEW.rows,
    tests=TESTS,
    settings={"epochs": 5.0, "learning_rate": 5e-4, "lora": {"rank": 8}, "layers": [1, 2]},
    base={"name": "base", "texts": 99},
    summary="Pre-trained from scratch.",
    before=BEFORE,
    before_is="a linear probe on the base",
    teachers=[MeasuredTeacher("a large teacher", TESTS), MeasuredTeacher("another, not measured")],
    calibrations=CALIBRATIONS,
    shown={"topic": "the second set"},
    reference={"topic": {"shares": [0.25, 0.75]}},
    limitations=["Made for a test."],
)


@pytest.fixture(scope="module")
def model():
    config = GPT2Config(vocab_size=50, n_positions=32, n_embd=16, n_layer=1, n_head=2)
    return TwoHeadedModel(GPT2Model(config), LABELS)


@pytest.fixture
def written(tmp_path, model):
    write_card(tmp_path, model, MANY)
    return tmp_path


def test_the_card_says_what_the_weights_are(written, model):
    card = read_card(written)

    assert (card["version"], card["made_on"]) == ("gpt2-1x16-0123abcd", "2026-03-10")
    assert (card["layers"], card["width"], card["context"], card["vocabulary"]) == (1, 16, 32, 50)
    assert card["parameters"] == sum(p.numel() for p in model.parameters())
    assert card["labels"] == {"topics": list(LABELS.topics), "sentiments": list(SENTIMENTS)}
    assert card["commands"] == list(MANY.commands)
    assert card["rows"] == MANY.rows
    assert card["settings"]["lora"] == {"rank": 8}
    assert card["reference"] == MANY.reference
    assert {"python", "torch", "transformers"} <= set(card["versions"])


def test_the_card_holds_every_figure(written):
    card = read_card(written)

    topic = TESTS["the second set"][0]
    found = card["tests"]["the second set"][0]
    assert (found["head"], found["rows"]) == ("topic", 300)
    for name in ("accuracy", "macro_f1", "ece", "adaptive_ece", "brier", "nll"):
        assert found[name] == pytest.approx(getattr(topic, name), abs=1e-6)
    assert found["classes"]["Oil"]["f1"] == pytest.approx(topic.classes["Oil"].f1, abs=1e-6)
    assert found["confusion"] == [list(row) for row in topic.confusion]
    before = card["before"]["tests"]["the second set"][0]["accuracy"]
    assert before == pytest.approx(BEFORE["the second set"][0].accuracy, abs=1e-6)
    assert card["calibration"]["sentiment"]["temperature"] == 1.25
    assert (
        card["calibration"]["topic"]["before"]["ece"] > card["calibration"]["topic"]["after"]["ece"]
    )
    assert [teacher["name"] for teacher in card["teachers"]] == [t.name for t in MANY.teachers]


def test_promotion_reads_the_card(written):
    card = read_for_promotion(written)

    found = card.score("the second set", "sentiment")
    assert found.accuracy == pytest.approx(TESTS["the second set"][1].accuracy, abs=1e-6)
    assert found.classes["negative"].f1_interval is not None


def test_the_page_tells_people_all_of_it(written):
    page = (written / "README.md").read_text()

    assert page.startswith("# gpt2-1x16-0123abcd\n")
    for said in (
        "tapewatch pretrain --data DATA\ntapewatch train --data DATA",
        "learning rate 0.0005",
        "12,345 train, 678 development",
        "a linear probe on the base",
        "accuracy before",
        "a large teacher",
        "another, not measured",
        "| topic | 2.500 | 300 |",
        "Gold \\| Metals",
        "![confusion of topic](confusion-topic.png)",
        "its first 31 tokens",
        "Made for a test.",
    ):
        assert said in page
    first = TESTS["the first set"][0]
    low, high = first.accuracy_interval
    assert f"| {first.accuracy:.3f} ({low:.3f}-{high:.3f}) |" in page


def test_the_page_shows_the_classes_of_the_set_that_was_asked_for(tmp_path, model, written):
    assert "## Classes: topic\n\nOn: the second set." in (written / "README.md").read_text()

    write_card(tmp_path, model, FEW)

    page = (tmp_path / "README.md").read_text()
    assert "## Classes: topic\n\nOn: the first set." in page
    assert "## Classes: sentiment\n\nOn: the second set." in page


def test_every_row_of_a_table_has_as_many_cells_as_its_header(written):
    rows = [r for r in (written / "README.md").read_text().split("\n") if r.startswith("|")]
    width = None
    counted = 0
    for row, following in zip(rows, [*rows[1:], ""], strict=True):
        cells = row.replace("\\|", "").count("|")
        if following.startswith("|---"):
            width = cells
        assert cells == width
        counted += 1
    assert counted > 15


def test_the_pictures_are_small_and_all_on_the_page(written):
    pictures = {path.name: path.stat().st_size for path in written.glob("*.png")}

    assert set(pictures) == {"confusion-topic.png", "confusion-sentiment.png", "reliability.png"}
    assert max(pictures.values()) < 60_000
    page = (written / "README.md").read_text()
    assert all(f"({name})" in page for name in pictures)


def test_what_is_not_known_is_left_out(tmp_path, model):
    write_card(tmp_path, model, FEW)

    card, page = read_card(tmp_path), (tmp_path / "README.md").read_text()
    assert (card["before"], card["reference"], card["teachers"]) == (None, None, [])
    for absent in ("before", "## Teachers", "## Calibration", "reliability"):
        assert absent not in page
    assert "## Limitations" in page


def test_a_new_card_replaces_the_old_one_whole(written, model):
    write_card(written, model, FEW)

    assert not (written / "reliability.png").exists()
    assert "Made for a test." not in (written / "README.md").read_text()


def test_a_model_of_weights_that_were_never_measured_has_a_card_too(tmp_path, model):
    write_card(tmp_path, model, CardFacts(
        version="v1", made_on=date(2026, 3, 10), commands=[], rows={"train": 1}, tests={},
    ))  # fmt: skip

    assert read_card(tmp_path)["tests"] == {}
    assert not list(tmp_path.glob("*.png"))


def test_a_confusion_matrix_is_as_many_lines_as_classes(written):
    lines = [line.strip(" ,") for line in (written / "card.json").read_text().splitlines()]

    rows = [str(list(row)) for row in TESTS["the first set"][0].confusion]
    first = lines.index(rows[0])
    assert lines[first - 1 : first + 4] == ['"confusion": [', *rows, "]"]


@pytest.mark.parametrize(
    "value",
    [
        {}, [], {"a": []}, {"a": {}}, [[]], {"a": [1, [2, 3]]}, [{"b": None}],
        {"a": 'odd "[1,2]" {text}\n'}, {"é": [True, False, None, 0.5]}, {"n": 1e-4, "m": 12345678},
    ],
)  # fmt: skip
def test_what_is_written_is_read_again(value):
    assert json.loads(dump(value)) == value


def test_a_figure_that_is_no_number_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump({"accuracy": float("nan")})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "have no card.json"),
        (b"{", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "names no version"),
        (b"{}", "names no version"),
    ],
)
def test_a_missing_or_damaged_card_is_an_error(tmp_path, content, message):
    if content is not None:
        (tmp_path / "card.json").write_bytes(content)

    with pytest.raises(WeightsError, match=message):
        read_card(tmp_path)
