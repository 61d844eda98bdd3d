import math
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_weights import CONTEXT, write_weights
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model, PreTrainedTokenizerFast

from classifier.attribution import (
    Explanation,
    ExplanationError,
    Word,
    class_of,
    words_of,
)
from classifier.engine import CHARACTERS_READ, Engine
from classifier.explanation import ERROR_LIMIT, Probability, attributions, explain
from classifier.labels import SENTIMENTS, Labels
from classifier.model import TwoHeadedModel, save_weights

TOPIC_WORDS = {"Hailstorms": "hail", "Tulips": "tulips", "Other": "other"}
SENTIMENT_WORDS = {"negative": "plunges", "positive": "soars"}
TEXTS = (
    "",
    " \n",
    "plunges",
    "The report says that HAIL plunges today",
    "tulips soars https://t.co/AbC?x=1 at @some_body",
    "📉🏳️‍🌈❤️ 👍🏽 🇺🇸 hail plunges",
    "郁金香价格暴跌,日本銀行が利上げ plunges",
    "\x00\x1b[31mplunges\u202e of\x07 the \u200b week",
    "e\u0301te ﬁrst ½ ﷺ $AAPL #oil 13.1% A&amp;B",
    "<|end|> the <|pad|> <url>",
    "plunges hail soars " * 40,
    "plunges" * 9,
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights for which single words decide."""
    folder = tmp_path_factory.mktemp("weights") / "deciding"
    return write_weights(folder, TOPIC_WORDS, SENTIMENT_WORDS)


@pytest.fixture(scope="module")
def engine(weights):
    return in_float32(weights)


def in_float32(weights):
    """An engine in the precision of explanations, whatever the processor would be given."""
    engine = Engine(weights, "cpu", threads=1)
    engine.model.float()
    return engine


def summed(explanation):
    return math.fsum(word.weight for word in explanation.words)


# explain: what the numbers are


@pytest.mark.parametrize("target", ["negative", "positive", "Tulips"])
@pytest.mark.parametrize("text", TEXTS)
def test_weights_and_error_sum_to_what_the_text_changed(engine, text, target):
    explanation = explain(engine, text, target)

    change = explanation.output - explanation.baseline
    assert summed(explanation) + explanation.error == pytest.approx(change, abs=1e-12)
    assert abs(explanation.error) <= ERROR_LIMIT
    assert explanation.target == target


@pytest.mark.parametrize("text", TEXTS)
def test_the_output_is_the_served_probability(engine, text):
    topics, sentiments = engine.probabilities([text])

    assert explain(engine, text).output == pytest.approx(sentiments[0][0], abs=1e-5)
    assert explain(engine, text, "Tulips").output == pytest.approx(topics[0][1], abs=1e-5)


def test_the_baseline_is_a_text_of_end_tokens(engine):
    end = engine.tokenizer.eos_token_id
    explanation = explain(engine, "the report today")
    ids = torch.full((1, 4), end)
    with torch.inference_mode():
        _, logits = engine.model.logits(ids, torch.tensor([4]))

    assert explanation.baseline == pytest.approx(float(logits.softmax(1)[0, 0]), abs=1e-6)


@pytest.mark.parametrize("text", TEXTS)
def test_the_words_together_are_the_text(engine, text):
    assert "".join(word.text for word in explain(engine, text).words) == text


@pytest.mark.parametrize(
    ("text", "target", "word"),
    [
        ("The report says that people PLUNGES at market", "negative", "PLUNGES "),
        ("plunges the report of the week", "negative", "plunges "),
        ("people says the market soars", "positive", "soars"),
        ("people says the market soars", "neutral", "soars"),
    ],
)
def test_the_word_that_decides_comes_first(engine, text, target, word):
    explanation = explain(engine, text, target)
    first, second = explanation.strongest(2)

    assert first.text == word
    assert abs(first.weight) > 5 * abs(second.weight)
    assert (first.weight > 0) == (explanation.output > explanation.baseline)


def test_a_word_speaks_for_its_own_topic_and_against_another(engine):
    text = "the report says hail today"
    (own, *_), (other, *_) = (
        explain(engine, text, t).strongest() for t in TOPIC_WORDS if t[0] in "HT"
    )

    assert (own.text, other.text) == ("hail ", "hail ")
    assert own.weight > 0 > other.weight


@pytest.mark.parametrize("text", TEXTS)
def test_the_same_text_always_has_the_same_explanation(weights, engine, text):
    once = explain(engine, text)
    engine.score(["another text", "plunges " * 50])

    assert explain(engine, text) == once
    assert explain(in_float32(weights), text) == once


def test_a_text_of_nothing_moves_nothing(engine):
    empty, blank = explain(engine, ""), explain(engine, " \t\x00")

    assert empty.words == ()
    assert blank.words == (Word(" \t\x00", 0.0),)
    assert empty.output == empty.baseline == blank.output == blank.baseline
    assert empty.error == blank.error == 0
    assert empty.strongest() == blank.strongest() == []


@pytest.mark.parametrize("unit", ["plunges ", "x", "📉", "跌", " "])
def test_of_100_000_characters_what_is_not_read_is_one_word_of_no_weight(engine, unit):
    text = (unit * 100_000)[:100_000]

    explanation = explain(engine, text)

    *read, rest = explanation.words
    assert "".join(word.text for word in explanation.words) == text
    assert rest.weight == 0
    assert len(rest.text) >= 100_000 - CHARACTERS_READ
    assert len(read) < CONTEXT
    assert abs(explanation.error) <= ERROR_LIMIT


@pytest.mark.parametrize("words", [CONTEXT - 1, CONTEXT])
def test_all_is_read_up_to_the_context_and_nothing_beyond(engine, words):
    explanation = explain(engine, " ".join(["hail"] * words))
    unread = [word for word in explanation.words if not word.weight]

    assert [word.text for word in unread] == [" hail"] * (words - CONTEXT + 1)


def test_an_error_that_is_too_large_brings_more_steps(tmp_path):
    engine = Engine(save_steep(tmp_path / "steep"), "cpu")
    text = " ".join(["hail", "plunges", "soars", "other"] * 4)
    probability = Probability(engine.model, "sentiment", 0)
    (ids,) = engine.encode([text])
    blank = torch.full((len(ids),), engine.tokenizer.eos_token_id)
    few = attributions(probability, torch.tensor(ids), blank, 1).sum()
    explanation = explain(engine, text, steps=1)

    change = explanation.output - explanation.baseline
    assert abs(change - few) > ERROR_LIMIT
    assert abs(explanation.error) <= ERROR_LIMIT


def save_steep(folder):
    """Random weights whose probabilities change steeply."""
    tokenizer = Engine(write_weights(folder / "other", TOPIC_WORDS, {}), "cpu").tokenizer
    torch.manual_seed(3)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=2,
        initializer_range=0.3, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    save_weights(TwoHeadedModel(GPT2Model(config), Labels()), tokenizer, folder)
    return folder


# explain: engines of every kind


def test_an_engine_in_bf16_is_explained_in_float32(weights, engine):
    narrow = Engine(weights, "cpu")
    narrow.model.to(torch.bfloat16)
    before = {name: value.clone() for name, value in narrow.model.state_dict().items()}

    assert explain(narrow, TEXTS[3]) == explain(engine, TEXTS[3])
    assert all(torch.equal(before[k], v) for k, v in narrow.model.state_dict().items())


def test_texts_that_are_scored_meanwhile_are_not_disturbed(engine):
    score, explanation = engine.score(TEXTS), explain(engine, TEXTS[3])

    with ThreadPoolExecutor(3) as pool:
        explained = [pool.submit(explain, engine, TEXTS[3]) for _ in range(4)]
        scored = [pool.submit(engine.score, TEXTS) for _ in range(8)]

    assert [future.result() for future in explained] == [explanation] * 4
    assert [future.result() for future in scored] == [score] * 8


def test_an_encoder_is_explained_between_its_special_tokens(tmp_path):
    engine = Engine(save_encoder(tmp_path), "cpu")

    for text in ("the hail plunges", "", "soars " * 70):
        explanation = explain(engine, text)
        change = explanation.output - explanation.baseline
        assert "".join(word.text for word in explanation.words) == text
        assert summed(explanation) + explanation.error == pytest.approx(change, abs=1e-12)
        assert abs(explanation.error) <= ERROR_LIMIT
    assert len(explanation.words) == CONTEXT - 2 + 1
    assert explanation.words[-1].weight == 0


def save_encoder(folder):
    """Random weights of a small BERT, with a tokenizer that frames a text as BERT's does."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "hail", "plunges", "soars"]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]",
    )  # fmt: skip
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(names), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=CONTEXT, initializer_range=0.3,
    )  # fmt: skip
    model = TwoHeadedModel(BertModel(config, add_pooling_layer=False), Labels())
    save_weights(model, tokenizer, folder)
    return folder


def test_a_tokenizer_without_places_in_the_text_is_an_error(weights):
    engine = Engine(weights, "cpu")
    fast, engine.tokenizer = engine.tokenizer, SimpleNamespace(is_fast=False)

    with pytest.raises(ExplanationError, match="fast tokenizer"):
        explain(engine, "text")
    assert fast.is_fast


def test_a_class_that_the_model_does_not_have_is_an_error(engine):
    with pytest.raises(ExplanationError, match=r"no class 'Macro'.*negative.*Hailstorms, Tulips"):
        explain(engine, "text", "Macro")


# attributions: cases by hand


class Sums(nn.Module):
    """A linear trunk: each place holds the sum of the embeddings up to it."""

    def __init__(self, scores):
        super().__init__()
        self.config = SimpleNamespace(model_type="sums", hidden_size=1)
        self.embedding = nn.Embedding(len(scores), 1)
        self.embedding.weight.data = torch.tensor(scores)[:, None]

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, input_ids, use_cache):
        return SimpleNamespace(last_hidden_state=self.embedding(input_ids).cumsum(dim=1))


def by_hand(ids):
    """Attributions where the logits are (s, 0, 0) and s is the sum of the tokens' scores."""
    model = TwoHeadedModel(Sums([0.0, 2.0, -1.0, 0.5, 1.0]), Labels(), dropout=0.0)
    model.sentiment_head.weight.data = torch.tensor([[1.0], [0.0], [0.0]])
    model.sentiment_head.bias.data.zero_()
    probability = Probability(model, "sentiment", 0)
    return attributions(probability, torch.tensor(ids), torch.zeros(len(ids)).long(), 32).tolist()


def test_on_a_linear_model_each_token_has_its_part_of_the_sum():
    change = math.exp(1.5) / (math.exp(1.5) + 2) - 1 / 3
    expected = [change * score / 1.5 for score in (2, -1, 0.5, 0)]

    assert by_hand([1, 2, 3, 0]) == pytest.approx(expected, abs=1e-7)


def test_tokens_that_cancel_each_other_have_the_slope_at_the_baseline():
    # dP/ds of e^s / (e^s + 2) at s = 0 is 1/3 * 2/3, and s stays 0 all the way
    assert by_hand([4, 2, 0]) == pytest.approx([2 / 9, -2 / 9, 0], abs=1e-7)


def test_a_text_equal_to_its_baseline_has_no_attributions():
    assert by_hand([0, 0]) == [0, 0]


# words_of: characters and spans alone


def words(text, tokens, read=None):
    """The words' texts and weights, with weights 1, 2, 3, ... for tokens given as their spans."""
    weights = [float(number + 1) for number in range(len(tokens))]
    found = words_of(text, tokens, weights, len(text) if read is None else read)
    return [(word.text, word.weight) for word in found]


@pytest.mark.parametrize(
    ("text", "tokens", "expected"),
    [
        ("", [], []),
        ("  ", [], [("  ", 0)]),
        ("oil falls", [(0, 3), (3, 9)], [("oil ", 1), ("falls", 2)]),
        ("oil falls", [(0, 3), (3, 5), (5, 9)], [("oil ", 1), ("falls", 5)]),
        ("  oil \n falls ", [(2, 5), (7, 13)], [("  oil \n ", 1), ("falls ", 2)]),
        ("oil falls", [(0, 3), (3, 4), (4, 9)], [("oil ", 1), ("falls", 5)]),
        ("oil falls", [(0, 3)], [("oil ", 1), ("falls", 0)]),
        ("oil ", [(0, 3), (3, 4)], [("oil ", 3)]),
        # no span of one token is cut through
        ("oil falls now", [(0, 9), (9, 13)], [("oil falls ", 1), ("now", 2)]),
        # a character of several tokens is one word, and ideographs and kana stand alone
        ("日本が", [(0, 1), (0, 1), (1, 2), (2, 3)], [("日", 3), ("本", 3), ("が", 4)]),
        ("日本が", [(0, 2), (2, 3)], [("日本", 1), ("が", 2)]),
        ("banK日x", [(0, 4), (4, 5), (5, 6)], [("banK", 1), ("日", 2), ("x", 3)]),
        ("은행 주가", [(0, 1), (1, 2), (2, 4), (4, 5)], [("은행 ", 3), ("주가", 7)]),
        # emoji with their selectors, skin tones, joiners and flags
        ("❤️x", [(0, 1), (1, 2), (2, 3)], [("❤️", 3), ("x", 3)]),
        ("👍🏽📉", [(0, 1), (1, 2), (2, 3)], [("👍🏽", 3), ("📉", 3)]),
        ("🏳️‍🌈!", [(0, 1), (1, 2), (2, 4), (4, 5)], [("🏳️‍🌈", 6), ("!", 4)]),
        ("🇺🇸 x", [(0, 1), (1, 2), (2, 4)], [("🇺🇸 ", 3), ("x", 3)]),
        ("1️⃣2", [(0, 1), (1, 3), (3, 4)], [("1️⃣2", 6)]),
        ("e\u0301te", [(0, 1), (2, 4)], [("e\u0301te", 3)]),
        # what the cleaning makes white space sets words apart
        ("a\u200bb\x00c", [(0, 1), (1, 3), (4, 5)], [("a\u200b", 1), ("b\x00", 2), ("c", 3)]),
    ],
)
def test_tokens_are_merged_to_words(text, tokens, expected):
    assert words(text, tokens) == expected


def test_what_was_not_read_is_the_last_word():
    assert words("oil falling now", [(0, 3), (3, 8)], 8) == [
        ("oil ", 1),
        ("fall", 2),
        ("ing now", 0),
    ]


@given(st.text(max_size=40), st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_no_character_and_no_weight_is_lost(engine, text, read):
    found = engine.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    spans = [tuple(span) for span in found["offset_mapping"]]
    read = max(min(read, len(text)), *(end for _, end in spans), 0)
    weights = [2.0**place for place in range(len(spans))]

    merged = words_of(text, spans, weights, read)

    assert "".join(word.text for word in merged) == text
    assert math.fsum(word.weight for word in merged) == math.fsum(weights)
    assert all(word.text for word in merged)


def test_the_strongest_words_come_by_size_then_by_place():
    pairs = [("a", 0.1), ("b", -0.3), ("c", 0.0), ("d", 0.3), ("e", -0.1)]
    explanation = Explanation(tuple(Word(*pair) for pair in pairs), "negative", 0.2, 0.2, 0.0)

    assert [word.text for word in explanation.strongest()] == ["b", "d", "a", "e"]
    assert [word.text for word in explanation.strongest(1)] == ["b"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("negative", ("sentiment", 0)), ("positive", ("sentiment", 2)), ("Oil", ("topic", 1))],
)
def test_a_class_is_known_by_its_name(name, expected):
    assert class_of(Labels(("negative", "Oil"), SENTIMENTS), name) == expected
