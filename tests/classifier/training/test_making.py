"""Rows that know one head only: what becomes of the other head; and a vocabulary that grows."""

from datetime import date
from itertools import product

import pytest
from support.tiny_bases import write_base
from support.tiny_weights import FILLERS, write_weights

from classifier.data.datasets import Example as Row
from classifier.data.datasets import make_splits, share_of
from classifier.data.rows import Rows
from classifier.engine import Engine
from classifier.labels import SENTIMENTS, UNLABELLED, UNSORTED, Labels
from classifier.model import WeightsError
from classifier.recipe import DistilRecipe, Recipe
from classifier.training.making import make_weights

TOPICS = {"Oil": "barrel", "Bank": "loan", "Tin": "ingot"}
MOODS = {"negative": "falls", "neutral": "stays", "positive": "rises"}
TEXTS = {
    f"{one} {word} {verb} {two}": (topic, mood)
    for (topic, word), (mood, verb), one, two in product(
        enumerate(TOPICS.values()), enumerate(MOODS.values()), FILLERS, FILLERS
    )
}
HELD_OUT = "praseodymium"
QUICK = {"epochs": 3, "batch_texts": 16, "precision": "fp32", "dropout": 0.0}


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Weights that know both heads."""
    words = {mood: verb for mood, verb in MOODS.items() if mood != "neutral"}
    return write_weights(tmp_path_factory.mktemp("known") / "weights", TOPICS, words)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("fresh") / "base", "gpt2", TEXTS)


def rows(labels, head, turned=0):
    """Rows with a label for `head` alone; `turned` names each class by another than before."""
    size = len(getattr(labels, f"{head}s"))
    index = ("topic", "sentiment").index(head)
    examples = [
        Row(text, **{head: (classes[index] + turned) % size}) for text, classes in TEXTS.items()
    ]
    test = [row for row in examples if share_of(row.text) < 0.2]
    return Rows(make_splits(examples, {"own": test}), labels)


def made(folder, base, labels, head, turned=0, **given):
    recipe = Recipe(base=str(base), **{**QUICK, "learning_rate": 3e-3, **given})
    make_weights(recipe, rows(labels, head, turned), str(base), folder, date(2026, 3, 1), ["train"])
    return Engine(folder, "cpu")


def said(engine, head):
    texts = list(TEXTS)
    shares = engine.probabilities(texts)[("topic", "sentiment").index(head)]
    return shares.argmax(axis=1)


def agreement(one, other):
    return float((one == other).mean())


@pytest.mark.parametrize(("head", "other"), [("topic", "sentiment"), ("sentiment", "topic")])
def test_a_head_without_labels_goes_on_saying_what_it_said(tmp_path, known, head, other):
    before = Engine(known, "cpu")

    after = made(tmp_path / "after", known, before.labels, head, turned=1)

    wanted = [(classes[("topic", "sentiment").index(head)] + 1) % 3 for classes in TEXTS.values()]
    assert agreement(said(after, head), wanted) > 0.9, "the labelled head learned other names"
    assert agreement(said(before, head), wanted) < 0.2
    assert agreement(said(after, other), said(before, other)) > 0.97


def test_a_fresh_base_that_is_told_no_sentiment_says_neutral_of_every_text(tmp_path, fresh):
    engine = made(tmp_path / "after", fresh, Labels(tuple(TOPICS)), "topic")

    predictions = engine.score(list(TEXTS)[:50])
    assert {p.sentiment for p in predictions} == {"neutral"}
    assert {abs(p.score) for p in predictions} == {0}
    assert agreement(said(engine, "topic"), [topic for topic, _ in TEXTS.values()]) > 0.9


def test_a_fresh_base_that_is_told_no_topic_has_one_for_every_text(tmp_path, fresh):
    engine = made(tmp_path / "after", fresh, Labels((UNSORTED,)), "sentiment")

    assert {p.topic for p in engine.score(list(TEXTS)[:50])} == {UNSORTED}
    assert agreement(said(engine, "sentiment"), [mood for _, mood in TEXTS.values()]) > 0.9


def test_the_rows_of_these_tests_know_one_head():
    for head, other in (("topic", "sentiment"), ("sentiment", "topic")):
        split = rows(Labels(tuple(TOPICS)), head).splits
        assert {getattr(row, other) for row in split.train} == {UNLABELLED}
        assert len({getattr(row, head) for row in split.train}) == len(SENTIMENTS)


def test_a_vocabulary_learns_the_words_of_rows_that_are_not_held_out(tmp_path, known):
    labels = Engine(known, "cpu").labels
    examples = [
        Row(f"{text} {word}", sentiment=mood)
        for text, (_, mood) in TEXTS.items()
        for word in [HELD_OUT if share_of(text) < 0.2 else "molybdenum"]
    ]
    test = [row for row in examples if HELD_OUT in row.text]
    beside = [Row(row.text.replace(HELD_OUT, word)) for row in test for word in (HELD_OUT, "tin")]
    given = Rows(make_splits(examples, {"own": test}), labels, unlabelled=beside)
    recipe = Recipe(base=str(known), vocabulary=900, **{**QUICK, "epochs": 1})

    make_weights(recipe, given, str(known), tmp_path / "after", date(2026, 3, 1), ["train"])

    before, after = Engine(known, "cpu").tokenizer, Engine(tmp_path / "after", "cpu").tokenizer
    assert {"Ġmolybdenum", "Ġtin"} <= set(after.get_vocab()) - set(before.get_vocab())
    assert len(after.tokenize(HELD_OUT)) > 3


@pytest.mark.parametrize(
    ("others", "given", "says"),
    [
        (["none"], {}, "no weights in none"),
        ([], {"generated": 9, "generated_from": "own", "generator": "."}, "'.' cannot be read"),
    ],
)
def test_who_cannot_be_read_is_told_before_anything_is_measured(
    tmp_path, monkeypatch, known, others, given, says
):
    monkeypatch.chdir(tmp_path)  # where there is none, and nothing else
    recipe = DistilRecipe(base=str(known), **given, teachers=[str(known), *others])
    told = []

    with pytest.raises(WeightsError, match=says):
        make_weights(
            recipe, rows(Engine(known, "cpu").labels, "topic"), str(known), tmp_path / "never",
            date(2026, 3, 1), ["distil"], lambda stage, *_: told.append(stage),
        )  # fmt: skip

    assert not told
