import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from support.tiny_bases import KINDS, write_base
from transformers import AutoModel, AutoTokenizer, GPT2Config, GPT2Model

from classifier.engine import CHARACTERS_READ, Engine
from classifier.hardware import fast_bf16
from classifier.labels import SENTIMENTS, TOPICS, Labels
from classifier.model import (
    HEADS_FILE,
    LABELS_FILE,
    TwoHeadedModel,
    encode,
    load_weights,
    open_base,
    save_weights,
)
from classifier.prediction import SCALE
from classifier.tokenizer import train_tokenizer

CONTEXT = 64
WORDS = ("profit", "bank", "falls", "rises", "after", "the", "report", "oil", "of", "gold")
TEXTS = (
    "Profit of the bank falls after the report",
    "Oil rises",
    "",
    " ".join(WORDS * 4),
    " ".join(WORDS * 30),
    "📉 日本 https://t.co/x @somebody",
    "GOLD!!! " * 9,
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights, with heads so steep that texts differ in their predictions."""
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    tokenizer = train_tokenizer([" ".join(WORDS)] * 5, 400, CONTEXT)
    torch.manual_seed(3)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, initializer_range=0.3,
    )  # fmt: skip
    model = TwoHeadedModel(GPT2Model(config), Labels())
    save_weights(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def engine(weights):
    return Engine(weights, "cpu", threads=1)


def expected(weights, text):
    """Both heads' probabilities by transformers alone: one text, no padding, no batch."""
    tokenizer = AutoTokenizer.from_pretrained(weights)
    trunk = AutoModel.from_pretrained(weights, dtype=torch.float32)
    heads = {name: value.float() for name, value in load_file(weights / HEADS_FILE).items()}
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][: CONTEXT - 1]
    with torch.inference_mode():
        last = trunk(torch.tensor([[*ids, tokenizer.eos_token_id]])).last_hidden_state[0, -1]
    return [
        (heads[f"{head}_head.weight"] @ last + heads[f"{head}_head.bias"]).softmax(0).tolist()
        for head in ("topic", "sentiment")
    ]


@pytest.mark.parametrize(("precision", "error"), [("fp32", 1e-4), ("bf16", 0.02)])
def test_it_says_what_transformers_says_of_each_text_alone(weights, precision, error):
    engine = Engine(weights, "cpu", precision=precision)
    for text, prediction in zip(TEXTS, engine.score(TEXTS), strict=True):
        topics, sentiments = expected(weights, text)
        said = [p / SCALE for p in prediction.topic_probabilities.values()]
        assert said == pytest.approx(topics, abs=error)
        said = [p / SCALE for p in prediction.sentiment_probabilities.values()]
        assert said == pytest.approx(sentiments, abs=error)


def test_a_processor_works_in_bfloat16_where_it_is_fast_at_it(engine):
    dtype = torch.bfloat16 if fast_bf16(torch.device("cpu")) else torch.float32

    assert {value.dtype for value in engine.model.state_dict().values()} == {dtype}


def test_the_texts_of_these_tests_differ_in_their_predictions(engine):
    said = {tuple(p.topic_probabilities.values()) for p in engine.score(TEXTS)}

    assert len(said) == len(TEXTS)


def test_a_prediction_names_every_label(engine):
    (prediction,) = engine.score(["Oil rises"])

    assert tuple(prediction.topic_probabilities) == TOPICS
    assert tuple(prediction.sentiment_probabilities) == SENTIMENTS
    assert sum(prediction.topic_probabilities.values()) == pytest.approx(SCALE, abs=10)
    assert sum(prediction.sentiment_probabilities.values()) == pytest.approx(SCALE, abs=2)
    assert prediction.model == engine.version
    assert (prediction.tokens, prediction.truncated) == (3, False)


texts = st.lists(
    st.lists(st.sampled_from([*WORDS, "📉", "zyzzyva"]), max_size=90).map(" ".join),
    min_size=1,
    max_size=24,
)


@given(texts, st.randoms(), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_a_prediction_does_not_depend_on_neighbours_order_or_batch_size(
    engine, texts, chance, size
):
    order = chance.sample(range(len(texts)), len(texts))
    whole = engine.score(texts)
    pieces = {}
    for first in range(0, len(order), size):
        some = order[first : first + size]
        pieces |= zip(some, engine.score([texts[i] for i in some]), strict=True)

    assert [pieces[i] for i in range(len(texts))] == whole


@pytest.mark.parametrize("budget", [1, 100, 512, 4096])
def test_another_token_budget_changes_a_prediction_by_a_rounding_at_most(weights, engine, budget):
    other = Engine(weights, "cpu")
    other.token_budget = budget
    many = [" ".join(WORDS[: i % 10] * (i % 7)) for i in range(40)]

    for one, two in zip(other.score(many), engine.score(many), strict=True):
        assert one.topic_probabilities == pytest.approx(two.topic_probabilities, abs=1)
        assert one.sentiment_probabilities == pytest.approx(two.sentiment_probabilities, abs=1)
        assert (one.tokens, one.truncated) == (two.tokens, two.truncated)


def test_the_same_text_goes_through_the_model_once(engine, monkeypatch):
    seen = []
    read = engine.padded.logits

    def watched(texts, token_budget):
        seen.extend(texts)
        return read(texts, token_budget)

    monkeypatch.setattr(engine.padded, "logits", watched)
    retweets = ["Oil rises", "Gold falls", "Oil rises", " Oil rises ", "Gold falls"]

    first, second, third, _, fifth = engine.score(retweets)

    assert len(seen) == len({tuple(ids) for ids in engine.encode(retweets)}) < 5
    assert (first, second) == (third, fifth)


@pytest.mark.parametrize("kind", ["openai-gpt", "gpt2"])
def test_warmed_up_every_shape_has_been_met(tmp_path, kind, monkeypatch):
    write_base(tmp_path / "base", kind, TEXTS * 5)
    model, tokenizer, _ = open_base(str(tmp_path / "base"), Labels(), 0.1)
    save_weights(model.eval(), tokenizer, tmp_path / "weights")
    engine = Engine(tmp_path / "weights", "cpu")
    engine.token_budget = 256
    met = set()

    def shaped(ids, *rest, read=engine.packed._pass if engine.packed else None):
        met.add((len(ids) + -len(ids) % 64,))
        return read(ids, *rest)

    def padded(input_ids, lengths, read=engine.model.logits):
        met.add(tuple(input_ids.shape))
        return read(input_ids, lengths)

    if engine.packed:
        monkeypatch.setattr(engine.packed, "_pass", shaped)
    monkeypatch.setattr(engine.model, "logits", padded)
    engine.warm_up()
    warm = set(met)

    engine.score([" ".join(WORDS[: 1 + n % 10] * (1 + n % 7)) + f" {n}" for n in range(200)])

    assert len(warm) > 1
    assert met == warm


def test_no_texts_have_no_predictions(engine):
    assert engine.score([]) == []
    assert [values.shape for values in engine.probabilities([])] == [(0, 20), (0, 3)]


def test_probabilities_are_those_of_the_predictions_unrounded(engine):
    topics, sentiments = engine.probabilities(TEXTS)

    assert (topics.shape, sentiments.shape) == ((len(TEXTS), 20), (len(TEXTS), 3))
    assert topics.sum(axis=1) == pytest.approx(1)
    for index, prediction in enumerate(engine.score(TEXTS)):
        assert list(prediction.topic_probabilities.values()) == pytest.approx(
            list(topics[index] * SCALE), abs=0.501
        )
        assert list(prediction.sentiment_probabilities.values()) == pytest.approx(
            list(sentiments[index] * SCALE), abs=0.501
        )


def test_logits_are_of_single_precision_in_the_order_of_the_texts(engine):
    topic, sentiment = engine.logits(TEXTS)

    assert (topic.dtype, sentiment.dtype) == (torch.float32, torch.float32)
    assert torch.equal(topic.flip(0), engine.logits(TEXTS[::-1])[0])
    softmax = topic.double().softmax(dim=-1).numpy()
    assert (softmax == engine.probabilities(TEXTS)[0]).all()


def test_token_ids_are_those_that_the_model_sees(engine):
    short, long = engine.encode(["profit falls", "profit " * 500])

    assert len(short) == 3
    assert len(long) == CONTEXT
    assert short[-1] == long[-1] == engine.tokenizer.eos_token_id


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_base_is_served_alike(tmp_path, kind):
    """Whatever its trunk, a text's numbers are those of the model alone, cut to its context."""
    write_base(tmp_path / "base", kind, TEXTS * 5)
    model, tokenizer, _ = open_base(str(tmp_path / "base"), Labels(), 0.1)
    save_weights(model.eval(), tokenizer, tmp_path / "weights")
    model, _ = load_weights(tmp_path / "weights")
    engine = Engine(tmp_path / "weights", "cpu", precision="fp32")

    together = torch.cat(engine.logits(TEXTS), dim=1)

    for text, logits in zip(TEXTS, together, strict=True):
        (ids,) = encode(tokenizer, [text], 32, encoder=kind == "bert")
        with torch.inference_mode():
            alone = model.logits(torch.tensor([ids]), torch.tensor([len(ids)]))
        torch.testing.assert_close(logits, torch.cat(alone, dim=1)[0], rtol=1e-4, atol=1e-4)
    assert engine.version.startswith(f"{kind}-2x16-")
    assert engine.context == 32
    assert [p.truncated for p in engine.score(TEXTS)] == [
        len(encode(tokenizer, [t], 99, encoder=kind == "bert")[0]) > 32 for t in TEXTS
    ]


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\x00\x1f", "\u200b"])
def test_a_text_of_nothing_is_its_end_token_alone(engine, text):
    (prediction,) = engine.score([text])

    assert (prediction.tokens, prediction.truncated) == (1, False)
    assert prediction == engine.score([""])[0]


@pytest.mark.parametrize(
    "text",
    ["📉💥🏳️‍🌈", "\x00\x07\x1b[31m", "\u202e\ufeff", "日本銀行", "e\u0301" * 50, "\U0010ffff"],
)
def test_any_unicode_has_a_prediction(engine, text):
    (prediction,) = engine.score([text])

    assert 1 <= prediction.tokens <= CONTEXT
    assert sum(prediction.sentiment_probabilities.values()) == pytest.approx(SCALE, abs=2)


@pytest.mark.parametrize("unit", ["profit ", "x", "📉", " ", "é"])
def test_a_text_of_a_million_characters_counts_by_its_beginning(engine, unit):
    text = unit * (1_000_000 // len(unit))

    whole, beginning = engine.score([text, text[:CHARACTERS_READ]])

    assert whole.truncated
    assert whole.tokens <= CONTEXT
    assert whole.topic_probabilities == beginning.topic_probabilities


@pytest.mark.parametrize(
    ("words", "tokens", "truncated"),
    [
        (CONTEXT - 2, CONTEXT - 1, False),
        (CONTEXT - 1, CONTEXT, False),
        (CONTEXT, CONTEXT, True),
        (CONTEXT + 1, CONTEXT, True),
    ],
)
def test_a_text_is_cut_where_the_context_ends(engine, words, tokens, truncated):
    (prediction,) = engine.score(["profit " * words])

    assert (prediction.tokens, prediction.truncated) == (tokens, truncated)


def test_what_lies_beyond_the_context_counts_for_nothing(engine):
    fits = "profit " * (CONTEXT - 1)

    short, long = engine.score([fits, fits + "oil falls"])

    assert short.topic_probabilities == long.topic_probabilities
    assert short.sentiment_probabilities == long.sentiment_probabilities


@pytest.mark.parametrize("name", ["<|end|>", "<|pad|>"])
def test_the_name_of_a_special_token_in_a_text_is_plain_text(engine, name):
    special, alone = engine.score([f"profit {name} falls", "profit falls"])

    assert alone.tokens == 3
    assert special.tokens > alone.tokens + 1
    assert special.topic_probabilities != alone.topic_probabilities


def test_the_version_is_of_the_content_and_not_of_the_folder(weights, engine, tmp_path):
    copy = shutil.copytree(weights, tmp_path / "elsewhere")

    assert Engine(copy, "cpu").version == engine.version


def flip_a_head(folder):
    heads = load_file(folder / HEADS_FILE)
    heads["topic_head.bias"][0] += 1
    save_file(heads, folder / HEADS_FILE)


def flip_the_trunk(folder):
    path = folder / "model.safetensors"
    trunk = load_file(path)
    next(iter(trunk.values())).flatten()[0] += 1
    save_file(trunk, path, {"format": "pt"})


def rename_a_topic(folder):
    path = folder / LABELS_FILE
    path.write_text(path.read_text().replace("Macro", "Makro"))


@pytest.mark.parametrize("change", [flip_a_head, flip_the_trunk, rename_a_topic])
def test_the_version_changes_with_what_a_prediction_rests_on(weights, engine, tmp_path, change):
    copy = shutil.copytree(weights, tmp_path / "changed")
    change(copy)

    assert Engine(copy, "cpu").version != engine.version


def test_the_version_does_not_change_with_the_card(weights, engine, tmp_path):
    copy = shutil.copytree(weights, tmp_path / "carded")
    (copy / "card.json").write_text("{}")
    (copy / "README.md").write_text("# Card")

    assert Engine(copy, "cpu").version == engine.version


def test_the_labels_are_those_of_the_weights(weights, tmp_path):
    copy = shutil.copytree(weights, tmp_path / "renamed")
    rename_a_topic(copy)
    renamed = Engine(copy, "cpu")

    assert "Makro" in renamed.labels.topics
    assert "Makro" in renamed.score(["oil"])[0].topic_probabilities
