import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.data.datasets import normal_form
from classifier.training.augmentation import augment, drop_words, sample_piece, swap_names

TEXTS = [
    f"Shares of {name} {verb} after ${ticker} reported on {day} that profit was {how}"
    for name, ticker in (("Alpha Bank", "ALPH"), ("Beta Oil", "BETA"), ("Gamma", "GAM"))
    for verb in ("fell", "rose")
    for day in ("Monday", "Friday")
    for how in ("lower than last year", "higher than anyone thought")
]


def forms(texts):
    return list(map(normal_form, texts))


def test_as_many_texts_are_made_as_are_asked_for():
    assert len(augment(TEXTS, 200, random.Random(1))) == 200
    assert augment(TEXTS, 0, random.Random(1)) == []


def test_made_texts_are_new_each_of_them():
    made = forms(augment(TEXTS, 200, random.Random(1)))

    assert len(set(made)) == len(made)
    assert not set(made) & set(forms(TEXTS))


def test_made_texts_have_at_least_three_words():
    assert min(len(text.split()) for text in augment(TEXTS, 300, random.Random(2))) >= 3


def test_the_seed_decides_what_is_made():
    one, same, other = (augment(TEXTS, 50, random.Random(seed)) for seed in (1, 1, 2))

    assert one == same
    assert one != other


def test_what_is_excluded_is_never_made():
    made = augment(TEXTS, 150, random.Random(3))
    excluded = forms(made)[::2]

    again = augment(TEXTS, 150, random.Random(3), excluded)

    assert not set(forms(again)) & set(excluded)
    assert set(forms(again)) & set(forms(made))


words = st.lists(st.sampled_from(["oil", "Gold", "bank", "falls", "$XYZ", "é"]), max_size=6)


@given(st.lists(words.map(" ".join), min_size=1, max_size=6), st.integers(0, 20), st.integers())
@settings(max_examples=60, deadline=None)
def test_any_texts_come_to_an_end_and_break_no_promise(texts, count, seed):
    excluded = ["oil gold bank", "gold oil falls"]

    made = augment(texts, count, random.Random(seed), excluded)

    assert len(made) <= count
    assert not set(forms(made)) & {*excluded, *forms(texts)}
    assert all(len(normal_form(text).split()) >= 3 for text in made)


def test_texts_too_short_to_make_others_of_give_none():
    assert augment(["one two"], 5, random.Random(1)) == []


def is_subsequence(part, whole):
    rest = iter(whole)
    return all(word in rest for word in part)


@pytest.mark.parametrize("seed", range(5))
def test_each_way_keeps_to_words_that_were_there(seed):
    text, other = TEXTS[0], TEXTS[-1]
    chance = random.Random(seed)

    assert is_subsequence(drop_words(text, other, chance).split(), text.split())
    piece = sample_piece(text, other, chance)
    assert piece in text
    assert len(piece.split()) >= len(text.split()) // 3


def test_names_are_swapped_for_those_of_the_other_text():
    swapped = swap_names(
        "Shares of Alpha Bank fell with $ALPH", "$BETA is what Beta Oil trades as", random.Random(1)
    )

    assert "Alpha" not in swapped
    assert "$ALPH" not in swapped
    assert "Beta Oil" in swapped or "$BETA" in swapped
    assert swap_names("Shares of Alpha fell", "no name here", random.Random(1)) == (
        "Shares of Alpha fell"
    )
