"""The weights that ship: whole, small enough, and of use on sentences that none was trained on.

The sentences of `company_sentences.csv` were written for this project, with their sentiment, by
the hand that wrote the grammar of training. Those of the part `development` were looked at while
training was mended; those of the part `test` only after.
"""

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, PreTrainedTokenizerFast

from classifier.data.sources import Columns, read_file
from classifier.engine import Engine
from classifier.evaluation.card import read_card
from classifier.evaluation.scores import evaluate
from classifier.labels import SENTIMENTS, TOPICS
from classifier.model import HEADS_FILE
from tapewatch.champion import SHIPPED
from tapewatch.settings import ROOT

SENTENCES = Path(__file__).with_name("company_sentences.csv")


@pytest.fixture(scope="module")
def engine():
    return Engine(SHIPPED, "cpu")


@pytest.fixture(scope="module", params=["development", "test"])
def sentences(request, tmp_path_factory):
    """Labelled sentences of one part."""
    frame = pd.read_csv(SENTENCES)
    path = tmp_path_factory.mktemp("sentences") / "sentences.csv"
    frame[frame["part"] == request.param].to_csv(path, index=False)
    return read_file(path, Columns()).examples


def test_the_card_is_of_these_weights(engine):
    assert read_card(SHIPPED)["version"] == engine.version
    assert engine.labels.topics == TOPICS
    assert engine.labels.sentiments == SENTIMENTS


def test_they_take_no_more_than_25_megabytes():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 25_000_000


def test_company_news_is_read_better_than_by_its_commonest_class(engine, sentences):
    (score,) = evaluate(engine, sentences)

    assert score.accuracy > score.majority_accuracy + 0.15
    assert score.macro_f1 > 0.7


def test_ten_thousand_documents_have_the_same_scores_in_any_batch_and_order(engine):
    """Bit for bit, down to the logits: the digest of a run rests on it."""
    chance = random.Random(11)
    with gzip.open(ROOT / "tapewatch" / "demo" / "feed.jsonl.gz", "rt") as lines:
        sentences = [json.loads(line)["text"] for line in lines]
    texts = sentences + [
        " ".join(chance.choices(sentences, k=chance.choice([1] * 9 + [9])))[chance.randrange(9) :]
        for _ in range(10_000 - len(sentences))
    ]  # fmt: skip
    topics, sentiments = engine.logits(texts)

    order, first = chance.sample(range(10_000), 10_000), 0
    while first < 10_000:
        some = order[first : first + chance.choice([1, 2, 9, 64, 333, 1024])]
        first += len(some)
        found = engine.logits([texts[i] for i in some])
        assert found[0].equal(topics[some])
        assert found[1].equal(sentiments[some])


def test_their_predictions_are_those_of_transformers_but_for_eight_bits(engine):
    """Golden outputs: each sentence alone, in float32, by transformers' own classes."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(SHIPPED)
    trunk = AutoModel.from_pretrained(SHIPPED, dtype=torch.float32)
    heads = {name: value.float() for name, value in load_file(SHIPPED / HEADS_FILE).items()}
    texts = list(pd.read_csv(SENTENCES)["text"])
    exact = []
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][: engine.context - 1]
        with torch.inference_mode():
            hidden = trunk(torch.tensor([[*ids, tokenizer.eos_token_id]])).last_hidden_state
        sentiment = heads["sentiment_head.weight"] @ hidden[0, -1] + heads["sentiment_head.bias"]
        exact.append(sentiment.softmax(0).numpy())

    _, found = engine.probabilities(texts)

    exact = np.array(exact)
    assert np.abs(found - exact).max() < 0.15
    assert np.abs(found - exact).mean() < 0.01
    assert (found.argmax(1) == exact.argmax(1)).mean() > 0.98
    wide = Engine(SHIPPED, "cpu", precision="fp32").probabilities(texts)[1]
    assert np.abs(wide - exact).max() < 1e-4
