import json
import math

import pytest
import torch

from classifier.datasets import Example
from classifier.engine import Engine
from classifier.finetuning import finetune
from classifier.labels import SENTIMENTS, Labels
from classifier.model import encode, load_tokenizer, open_base, save_weights
from classifier.pretraining import Blocks, PretrainingSettings, pretrain
from classifier.recipe import Recipe
from classifier.tokenizer import train_tokenizer
from classifier.trainer import EncodedExamples, RightPadding

LABELS = Labels(("Oil", "Gold", "Bank"), SENTIMENTS)
VERBS = ("falls", "stays", "rises")
EXAMPLES = [
    Example(
        f"{noun} {verb} in week {week} of the year",
        **({"topic": topic} if week % 2 else {"sentiment": sentiment}),
    )
    for topic, noun in enumerate(LABELS.topics)
    for sentiment, verb in enumerate(VERBS)
    for week in range(12)
]
TEXTS = [example.text for example in EXAMPLES]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The whole way, in small: a base, a fine-tune, weights in a folder, an engine on them."""
    folder = tmp_path_factory.mktemp("training")
    shape = PretrainingSettings(
        layers=2, width=32, heads=2, vocabulary=320, context=32, epochs=0.5, batch_blocks=8
    )
    loss = pretrain(TEXTS * 10, folder / "base", shape)
    recipe = Recipe(epochs=2, batch_texts=16, learning_rate=5e-3)
    model, tokenizer, _ = open_base(str(folder / "base"), LABELS, recipe.dropout)
    finetune(model, tokenizer, EXAMPLES[9:], EXAMPLES[:9], folder / "work", recipe)
    save_weights(model, tokenizer, folder / "weights")
    return Trained(folder, loss, model, Engine(folder / "weights", "cpu"))


class Trained:
    def __init__(self, folder, loss, model, engine):
        self.folder, self.loss, self.model, self.engine = folder, loss, model, engine

    def losses(self, stage):
        """Every loss that the Trainer logged, by its own name."""
        (path, *_) = sorted((self.folder / stage).glob("**/trainer_state.json"))
        history = json.loads(path.read_text())["log_history"]
        return [value for row in history for name, value in row.items() if "loss" in name]


def test_the_loss_of_the_base_is_a_number_below_that_of_chance(trained):
    assert 0 < trained.loss < math.log(320) + 0.5


def test_every_loss_on_the_way_is_finite(trained):
    losses = trained.losses("work")

    assert losses
    assert all(math.isfinite(loss) for loss in losses)


def test_the_weights_serve_predictions(trained):
    predictions = trained.engine.score(TEXTS)

    assert trained.engine.labels == LABELS
    assert trained.engine.context == 32
    assert {p.topic for p in predictions} <= set(LABELS.topics)
    assert all(sum(p.sentiment_probabilities.values()) in range(9_998, 10_003) for p in predictions)


def test_what_was_trained_is_what_is_served(trained):
    model = trained.model.eval()
    tokenizer = load_tokenizer(str(trained.folder / "weights"))
    rows = EncodedExamples(encode(tokenizer, TEXTS[:5], 32), EXAMPLES[:5])
    batch = RightPadding(tokenizer.pad_token_id)([rows[i] for i in range(5)])
    with torch.inference_mode():
        logits, _ = model.logits(batch["input_ids"], batch["lengths"])

    exact = Engine(trained.folder / "weights", "cpu")
    exact.model.float()  # where bfloat16 is served the last digits differ
    served = [list(p.topic_probabilities.values()) for p in exact.score(TEXTS[:5])]

    expected = (logits.softmax(1) * 10_000).tolist()
    for mine, theirs in zip(served, expected, strict=True):
        assert mine == pytest.approx(theirs, abs=1)


def test_texts_are_cut_into_blocks_and_the_rest_is_dropped():
    tokenizer = train_tokenizer(["profit falls"] * 5, 300, 8)
    end = tokenizer.eos_token_id
    profit, falls = tokenizer("profit falls", add_special_tokens=False)["input_ids"]

    blocks = Blocks(tokenizer, ["profit falls", "falls", "profit", "falls"], 4)

    assert len(blocks) == 2
    assert blocks.blocks.tolist() == [[profit, falls, end, falls], [end, profit, end, falls]]
    assert torch.equal(blocks[1]["input_ids"], blocks[1]["labels"])


def test_examples_are_padded_on_the_right_to_the_longest():
    rows = [
        {"input_ids": [5, 6, 7], "length": 3, "topic": 1, "sentiment": -100},
        {"input_ids": [8], "length": 1, "topic": -100, "sentiment": 2},
    ]

    batch = RightPadding(9)(rows)

    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["lengths"].tolist() == [3, 1]
    assert batch["topic"].tolist() == [1, -100]
    assert batch["sentiment"].tolist() == [-100, 2]
