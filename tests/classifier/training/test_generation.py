"""What a language model writes like the rows of a set, and what it may not write."""

import json
import random
import shutil
from itertools import cycle, product

import pytest
import torch
from support.tiny_bases import CAUSAL, write_base
from transformers import AutoModelForCausalLM

from classifier.data.datasets import DatasetError, Example, Splits, normal_form
from classifier.labels import UNLABELLED
from classifier.model import WeightsError
from classifier.recipe import DistilRecipe
from classifier.training import generation
from classifier.training.generation import _draw, generate_like
from classifier.training.pretraining import PretrainingSettings, pretrain

NAMES = ("Oil", "Gold", "Tin", "Zinc", "Lead", "Salt")
VERBS = ("falls", "rises", "holds", "slips", "gains", "sinks")
TIMES = ("today", "again", "in May", "at noon", "this week", "for good")
EVERY = [f"{n} price {v} {t}" for n, v, t in product(NAMES, VERBS, TIMES)]
KNOWN = random.Random(3).sample(EVERY, 120)
OTHERS = [text for text in EVERY if text not in KNOWN]
ROWS = [
    *(Example(text, sentiment=0, source="wires") for text in KNOWN),
    Example("a row of more tokens than the context holds, " * 9, source="wires"),
    Example("a post of another set", topic=0, source="posts"),
]


@pytest.fixture(scope="module", params=CAUSAL)
def generator(request, tmp_path_factory):
    """A language model of each kind that has learned how such texts go."""
    folder = tmp_path_factory.mktemp("generator")
    base = write_base(folder / "base", request.param, EVERY, width=32)
    settings = PretrainingSettings(
        base=str(base), epochs=25, context=16, batch_blocks=64, learning_rate=1e-2, precision="fp32"
    )
    pretrain(KNOWN * 3, folder / "lm", settings)
    return folder / "lm"


def generated(generator, work, count=20, *, held_out=(), excluded=(), **given):
    recipe = DistilRecipe(
        teachers=("t",), generator=str(generator), generated=count, precision="fp32",
        **{"generated_from": "wires", **given},
    )  # fmt: skip
    forms = frozenset(map(normal_form, held_out))
    splits = Splits(ROWS, [], {}, forms)
    return generate_like(splits, recipe, set(map(normal_form, excluded)), work)


def test_it_writes_new_texts_of_the_kind_and_no_other(generator, tmp_path):
    found = generated(generator, tmp_path, count=25)

    texts = [example.text for example in found]
    assert len(set(map(normal_form, texts))) == len(texts) == 25
    forms = set(map(normal_form, texts))
    assert not forms & set(map(normal_form, KNOWN))
    assert len(forms & set(map(normal_form, OTHERS))) > 12, "the words it read, in other company"
    unlabelled = ("wires", UNLABELLED, UNLABELLED)
    assert {(e.source, e.topic, e.sentiment) for e in found} == {unlabelled}


def test_nothing_that_is_held_out_or_there_already_is_among_them(generator, tmp_path):
    held_out, excluded = OTHERS[:40], [text.upper() for text in OTHERS[40:80]]

    found = generated(generator, tmp_path, count=5, held_out=held_out, excluded=excluded)

    forms = {normal_form(example.text) for example in found}
    assert len(forms) == 5
    assert not forms & set(map(normal_form, OTHERS[:80]))


def test_what_was_written_before_a_kill_is_kept(generator, tmp_path):
    first = generated(generator, tmp_path / "work", count=5)
    kept = tmp_path / "work" / "texts.jsonl"
    with kept.open("a") as stream:
        stream.write('"Oil price fa')  # a kill in the middle of a line

    more = generated(generator, tmp_path / "work", count=8)

    assert more[:5] == first
    assert len(more) == 8
    assert len([json.loads(line) for line in kept.read_text().splitlines()]) >= 8


def test_the_generator_is_not_read_again_once_all_is_written(generator, tmp_path):
    copy = shutil.copytree(generator, tmp_path / "copy")
    first = generated(copy, tmp_path / "work")
    shutil.rmtree(copy)

    assert generated(copy, tmp_path / "work") == first
    spared = generated(copy, tmp_path / "work", count=15, excluded=[e.text for e in first[:5]])
    assert spared == first[5:], "what has become known since is left out"


def test_another_seed_writes_other_texts(generator, tmp_path):
    one, two = (generated(generator, tmp_path / str(seed), seed=seed) for seed in (1, 2))

    assert one != two


def test_the_generator_itself_stays_as_it_is(generator, tmp_path):
    before = AutoModelForCausalLM.from_pretrained(generator).state_dict()

    generated(generator, tmp_path, count=1)

    after = AutoModelForCausalLM.from_pretrained(generator).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_progress_is_told_of_both_stages(generator, tmp_path):
    recipe = DistilRecipe(
        teachers=("t",), generator=str(generator), generated=4, generated_from="wires"
    )
    tuning, writing = [], []

    generate_like(
        Splits(ROWS, [], {}, frozenset()), recipe, (), tmp_path,
        lambda *step: tuning.append(step[:2]), lambda *step: writing.append(step[:2]),
    )  # fmt: skip

    assert tuning[-1] == (9, 9), "121 rows, 48 a step, three times"
    assert writing[-1] == (4, 4)


def test_it_stays_at_what_there_is_where_the_model_only_repeats_itself(tmp_path, monkeypatch):
    base = write_base(tmp_path / "base", "gpt2", EVERY)
    rounds = [["Oil price climbs at last", "too short", KNOWN[0]]]
    monkeypatch.setattr(generation, "_rounds", lambda *_: cycle(rounds))

    found = generated(base, tmp_path / "work", count=9)

    assert [example.text for example in found] == ["Oil price climbs at last"]


@pytest.mark.parametrize("kind", ["bert", None])
def test_what_cannot_write_is_told(tmp_path, kind):
    name = tmp_path / "absent" if kind is None else write_base(tmp_path / "base", kind, EVERY)

    with pytest.raises(WeightsError, match=str(name)):
        generated(name, tmp_path / "work")


def test_a_set_without_rows_is_told_and_those_that_there_are(tmp_path):
    with pytest.raises(
        DatasetError, match="no training row is of tweets; there are those of posts, wires"
    ):
        generated("absent", tmp_path, generated_from="tweets")


def test_only_what_makes_up_the_nucleus_is_drawn():
    shares = torch.tensor([0.05, 0.6, 0.04, 0.31]).log().repeat(4000, 1)

    drawn = _draw(shares, torch.Generator().manual_seed(3))

    counts = torch.bincount(drawn, minlength=4) / len(drawn)
    assert counts[0] == counts[2] == 0, "0.6 and 0.31 are nine tenths"
    assert counts[1] == pytest.approx(0.6 / 0.91, abs=0.03)
