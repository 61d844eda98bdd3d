import pytest
from support.tiny_bases import write_base

from classifier.data.datasets import Example
from classifier.engine import Engine
from classifier.hardware import exact_int8
from classifier.labels import Labels
from classifier.model import open_base, save_weights
from classifier.quantization import RANGES_FILE, read_ranges
from classifier.training import narrowing
from classifier.training.narrowing import Int8Cost, narrow

ROWS = [Example(f"profit {word} {n}", topic=n % 20, sentiment=n % 3) for n, word in enumerate(
    ["bank", "falls", "rises", "oil", "gold", "report"] * 5
)]  # fmt: skip


@pytest.fixture(params=["openai-gpt", "gpt2"])
def weights(request, tmp_path):
    write_base(tmp_path / "base", request.param, [e.text for e in ROWS] * 3, width=32)
    model, tokenizer, _ = open_base(str(tmp_path / "base"), Labels(), 0.1)
    save_weights(model.eval(), tokenizer, tmp_path / "weights")
    return tmp_path / "weights", request.param == "openai-gpt"


def test_weights_that_can_are_given_their_ranges_and_the_cost_is_counted(weights):
    folder, packed = weights
    (folder / RANGES_FILE).write_text("of other weights")

    cost = narrow(folder, ROWS, ROWS)

    if not packed or not exact_int8():
        assert cost is None
        assert read_ranges(folder) is None
        return
    assert cost.labels == 60
    topics, sentiments = Engine(folder, "cpu", precision="fp32").probabilities(
        [row.text for row in ROWS]
    )
    right = sum(int(t.argmax()) == row.topic for t, row in zip(topics, ROWS, strict=True))
    right += sum(int(s.argmax()) == row.sentiment for s, row in zip(sentiments, ROWS, strict=True))
    assert cost.right == right
    assert (read_ranges(folder) is not None) == cost.allowed


def test_where_it_costs_too_much_the_weights_stay_without_ranges(weights, monkeypatch):
    folder, packed = weights
    monkeypatch.setattr(narrowing, "ALLOWED", -2.0)

    cost = narrow(folder, ROWS, ROWS)

    assert (cost is not None) == (packed and exact_int8())
    assert read_ranges(folder) is None


@pytest.mark.parametrize(
    ("labels", "right", "narrow_right", "points", "allowed"),
    [
        (1000, 900, 900, 0.0, True),
        (1000, 900, 897, 0.3, True),
        (1000, 900, 896, 0.4, False),
        (1000, 900, 910, -1.0, True),
        (100, 90, 89, 1.0, False),
        (0, 0, 0, 0.0, True),
    ],
)
def test_three_rows_of_a_thousand_may_be_lost(labels, right, narrow_right, points, allowed):
    cost = Int8Cost(labels, right, narrow_right)

    assert cost.points == pytest.approx(points)
    assert cost.allowed == allowed
