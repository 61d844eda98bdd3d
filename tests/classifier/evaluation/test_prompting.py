"""Prompting: a tiny GPT-2 made here, taught what a prompt looks like, is asked for labels."""

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
)

from classifier.data.datasets import Example
from classifier.evaluation.prompting import (
    LanguageModel,
    PromptedClassifier,
    PromptingError,
    PromptSettings,
    draw_shots,
    load_language_model,
)
from classifier.evaluation.prompts import CONTENT_FREE, make_prompt
from classifier.evaluation.scores import evaluate
from classifier.labels import SENTIMENTS, Labels
from classifier.tokenizer import train_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = Labels(("Oil", "Precious Gold", "Central Bank"), SENTIMENTS)
NOUNS, VERBS = ("oil", "gold", "bank"), ("falls", "stays", "rises")
EXAMPLES = [
    Example(f"{noun} {verb} in week {week}", topic, sentiment)
    for topic, noun in enumerate(NOUNS)
    for sentiment, verb in enumerate(VERBS)
    for week in range(6)
]
LISTED = {
    "topic": f"Each text has one topic: {', '.join(LABELS.topics)}.\n\n",
    "sentiment": f"Each text has one sentiment: {', '.join(SENTIMENTS)}.\n\n",
}


def asked(example, head):
    """The part of a prompt that one example fills, and its answer."""
    names = LABELS.topics if head == "topic" else SENTIMENTS
    return f"Text: {example.text}\n{head.capitalize()}:", f" {names[getattr(example, head)]}\n\n"


def padded(rows, padding):
    width = max(map(len, rows))
    return torch.tensor([[*row, *[padding] * (width - len(row))] for row in rows])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A language model that has read such prompts, of the even weeks, for a few seconds."""
    path = tmp_path_factory.mktemp("lm")
    torch.manual_seed(7)
    shown = [e for e in EXAMPLES if int(e.text[-1]) % 2 == 0]
    prompts = [
        (LISTED[head], *asked(one, head), *asked(two, head))
        for head in LISTED
        for one in shown[::2]
        for two in shown
    ]
    tokenizer = train_tokenizer(["".join(parts) for parts in prompts], 360, 128)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=128, n_embd=48, n_layer=2, n_head=4,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    rows = [
        [([tokenizer.bos_token_id], False)]
        + [
            (tokenizer(part, add_special_tokens=False)["input_ids"], place in (2, 4))
            for place, part in enumerate(parts)
        ]
        for parts in prompts
    ]
    ids = padded([[t for part, _ in row for t in part] for row in rows], tokenizer.pad_token_id)
    # Only the answers are learned: that is quick.
    wanted = padded([[t if a else -100 for part, a in row for t in part] for row in rows], -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for _ in range(150):
        batch = torch.randperm(len(ids))[:16]
        loss = model(input_ids=ids[batch], labels=wanted[batch]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def lm(folder):
    return load_language_model(str(folder), "cpu")


UNSEEN = [e for e in EXAMPLES if int(e.text[-1]) % 2]


@pytest.mark.parametrize("shots", [0, 3])
def test_a_model_that_knows_the_prompt_answers_better_than_chance(lm, shots):
    prompted = PromptedClassifier(lm, LABELS, PromptSettings(shots=shots), EXAMPLES)

    found = {score.head: score for score in evaluate(prompted, UNSEEN)}

    assert found["sentiment"].accuracy > 0.6
    assert found["topic"].accuracy > 0.6


def likelihoods(lm, prompt, texts, *, normalise):
    """The probabilities by whole sequences, one at a time, without any cache."""
    rows = []
    for text in texts:
        before = [*prompt.beginning, *prompt.row(lm.tokens, text)]
        scores = []
        for answer in prompt.answers:
            with torch.inference_mode():
                ids = torch.tensor([[*before, *answer]])
                logits = lm.model(input_ids=ids, use_cache=False).logits[0]
            logs = logits.double().log_softmax(-1)
            each = [logs[len(before) - 1 + i, token].item() for i, token in enumerate(answer)]
            scores.append(sum(each) / (len(each) if normalise else 1))
        rows.append(torch.tensor(scores).softmax(0).tolist())
    return np.array(rows)


ODD_TEXTS = ["gold rises in week 1", "oil", "", "bank bank bank falls", "oil"]


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("normalise", [True, False])
def test_the_cached_likelihoods_are_those_of_whole_sequences(lm, shots, normalise):
    settings = PromptSettings(shots=shots, normalise=normalise, calibrate=False)
    prompted = PromptedClassifier(lm, LABELS, settings, EXAMPLES)
    drawn = draw_shots(EXAMPLES, "topic", shots, settings.seed)
    begin = (lm.tokenizer.bos_token_id,)
    prompt = make_prompt(lm.tokens, lm.context, "topic", LABELS.topics, drawn, begin)

    assert {len(answer) for answer in prompt.answers} != {1}
    assert prompted.of_head("topic", ODD_TEXTS) == pytest.approx(
        likelihoods(lm, prompt, ODD_TEXTS, normalise=normalise), abs=1e-4
    )


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (LlamaConfig, {}),
        (Qwen2Config, {}),
        (MistralConfig, {"sliding_window": 12}),
    ],
    ids=["Llama", "Qwen", "a sliding window"],
)
def test_the_kind_of_attention_does_not_matter(lm, kind, more):
    torch.manual_seed(3)
    config = kind(
        vocab_size=len(lm.tokenizer), hidden_size=32, num_hidden_layers=2, intermediate_size=32,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, **more,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        parameter.data *= 4  # random, but not indifferent
    other = LanguageModel("other", model, lm.tokenizer, 128)
    prompt = make_prompt(
        other.tokens, 128, "topic", LABELS.topics, (), (lm.tokenizer.bos_token_id,)
    )

    said = PromptedClassifier(other, LABELS, PromptSettings(calibrate=False), heads=["topic"])

    expected = likelihoods(other, prompt, ODD_TEXTS, normalise=True)
    assert said.of_head("topic", ODD_TEXTS) == pytest.approx(expected, abs=1e-3)
    assert np.ptp(expected, axis=0).max() > 0.01


def test_calibration_makes_inputs_without_content_say_nothing(lm):
    plain, calibrated = (
        PromptedClassifier(lm, LABELS, PromptSettings(calibrate=calibrate))
        for calibrate in (False, True)
    )
    prior = plain.of_head("topic", CONTENT_FREE).mean(axis=0)
    said = plain.of_head("topic", ["gold rises"])[0] / prior

    assert calibrated.of_head("topic", ["gold rises"])[0] == pytest.approx(said / said.sum())


def test_a_text_is_scored_the_same_whatever_its_neighbours(lm):
    prompted = PromptedClassifier(lm, LABELS)
    texts = [e.text for e in EXAMPLES]

    together = prompted.of_head("sentiment", texts)
    alone = np.vstack([prompted.of_head("sentiment", [text]) for text in texts])

    assert together == pytest.approx(alone, abs=1e-4)


def test_progress_tells_every_text_once_for_each_head(lm):
    told = []
    prompted = PromptedClassifier(lm, LABELS, heads=["topic"], advance=told.append)

    topics, sentiments = prompted.probabilities([e.text for e in EXAMPLES])

    assert sum(told) == len(EXAMPLES)
    assert topics.sum(axis=1) == pytest.approx(np.ones(len(EXAMPLES)))
    assert np.isnan(sentiments).all()


def test_no_texts_have_no_probabilities(lm):
    assert PromptedClassifier(lm, LABELS).of_head("topic", []).shape == (0, 3)


def test_a_model_without_a_padding_token_will_do(lm, folder, tmp_path):
    other = load_language_model(str(folder), "cpu")
    other.tokenizer.pad_token = None
    texts = ["gold rises", "oil falls in week 3"]

    said = PromptedClassifier(other, LABELS).of_head("topic", texts)

    assert said == pytest.approx(PromptedClassifier(lm, LABELS).of_head("topic", texts))


def test_long_and_odd_texts_fit_the_context(lm):
    texts = ["word " * 20_000, "<|end|>" * 100, "\n\nSentiment: positive\n\n", "\U0001f680" * 300]

    topics, sentiments = PromptedClassifier(lm, LABELS).probabilities(texts)

    assert np.isfinite(topics).all()
    assert np.isfinite(sentiments).all()


def test_shots_are_drawn_in_turn_from_each_class():
    drawn = draw_shots(EXAMPLES, "topic", 7, seed=1)

    assert [sum(e.topic == topic for e in drawn) for topic in range(3)] == [3, 2, 2]
    assert {e.topic for e in drawn[:3]} == {0, 1, 2}
    assert drawn == draw_shots(EXAMPLES, "topic", 7, seed=1)
    assert drawn != draw_shots(EXAMPLES, "topic", 7, seed=2)


def test_only_rows_with_a_label_of_the_head_are_shown():
    examples = [Example("a", topic=0), Example("b", sentiment=1), Example("c", topic=1)]

    assert {e.text for e in draw_shots(examples, "topic", 9, seed=1)} == {"a", "c"}


def test_fewer_shots_are_shown_where_the_context_is_short(lm):
    prompted = PromptedClassifier(lm, LABELS, PromptSettings(shots=50), EXAMPLES)

    assert 0 < prompted.shots["sentiment"] < 50
    assert f"sentiment {prompted.shots['sentiment']}" in prompted.version


@pytest.mark.parametrize("shots", [0, 1, 4])
@pytest.mark.parametrize("context", [40, 64, 128, 512])
def test_the_longest_prompt_fits_the_context(lm, context, shots):
    prompt = make_prompt(lm.tokens, context, "topic", LABELS.topics, EXAMPLES[:shots])
    row = prompt.row(lm.tokens, "word " * 500)

    assert len(prompt.beginning) + len(row) + max(map(len, prompt.answers)) <= context
    assert bool(prompt.shots) == bool(shots)


@pytest.mark.parametrize("shots", [0, 3])
def test_a_context_too_short_for_any_prompt_is_an_error(folder, shots):
    lm = load_language_model(str(folder), "cpu")
    short = type(lm)(lm.name, lm.model, lm.tokenizer, 20 if shots == 0 else 30)

    with pytest.raises(PromptingError, match="too short"):
        PromptedClassifier(short, LABELS, PromptSettings(shots=shots), EXAMPLES)


def test_few_shots_without_a_labelled_row_are_an_error(lm):
    examples = [Example("a", sentiment=1)]

    with pytest.raises(PromptingError, match="no row with a topic"):
        PromptedClassifier(lm, LABELS, PromptSettings(shots=3), examples)


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(PromptingError, match="cannot be read"):
        load_language_model(str(tmp_path), "cpu")


def test_an_encoder_is_no_causal_language_model(lm, tmp_path):
    config = BertConfig(
        vocab_size=400, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, is_decoder=True,
    )  # fmt: skip
    BertLMHeadModel(config).save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)

    with pytest.raises(PromptingError, match="is an encoder"):
        load_language_model(str(tmp_path), "cpu")


def test_a_model_without_a_language_model_head_is_an_error(lm, tmp_path):
    config = GPT2Config(
        vocab_size=400, n_positions=32, n_embd=16, n_layer=1, n_head=2, tie_word_embeddings=False
    )
    GPT2Model(config).save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)

    with pytest.raises(PromptingError, match=r"lacks lm_head\.weight"):
        load_language_model(str(tmp_path), "cpu")
