import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.data.datasets import Example, normal_form
from classifier.labels import UNLABELLED
from classifier.training.augmentation import augment, drop_words, sample_piece, swap_names

TEXTS = [
    f"Shares of {name} {verb} after ${ticker} reported on {day} that profit was {how}"
    for name, ticker in (("Alpha Bank", "ALPH"), ("Beta Oil", "BETA"), ("Gamma", "GAM"))
    for verb in ("fell", "rose")
    for day in ("Monday", "Friday")
    for how in ("lower than last year", "higher than anyone thought")
]


ROWS = [
    Example(text, topic=i % 3, sentiment=i % 2, source=("tweets", "headlines")[i % 2])
    for i, text in enumerate(TEXTS)
]


def forms(rows):
    return [normal_form(row.text) for row in rows]


def test_as_many_texts_are_made_as_are_asked_for():
    assert len(augment(ROWS, 200, random.Random(1))) == 200
    assert augment(ROWS, 0, random.Random(1)) == []


def test_made_texts_are_new_each_of_them():
    made = forms(augment(ROWS, 200, random.Random(1)))

    assert len(set(made)) == len(made)
    assert not set(made) & set(forms(ROWS))


def test_made_texts_have_at_least_three_words():
    assert min(len(row.text.split()) for row in augment(ROWS, 300, random.Random(2))) >= 3


def test_made_texts_carry_no_label():
    made = augment(ROWS, 100, random.Random(1))

    assert {(row.topic, row.sentiment) for row in made} == {(UNLABELLED, UNLABELLED)}


def test_made_texts_keep_the_source_of_the_row_that_they_were_made_of():
    animals, metals = ("cat dog hen owl fox", "Tin Zinc Gold iron lead")
    rows = [
        *(Example(f"{animals} number {i}", source="animals") for i in range(9)),
        *(Example(f"{metals} number {i}", source="metals") for i in range(9)),
    ]

    made = augment(rows, 60, random.Random(1))

    assert {row.source for row in made} == {"animals", "metals"}
    for row in made:
        told = {"animals": animals, "metals": metals}[row.source]
        known = {*told.split(), "number", *map(str, range(9)), "Tin", "Zinc", "Gold"}
        assert set(row.text.split()) <= known, "names may be another's, the rest may not"
    assert any("Tin" in row.text for row in made if row.source == "metals")


def test_a_text_keeps_its_source_when_its_names_are_those_of_a_text_of_another():
    mine = Example("shares of Alpha fell", source="mine")
    theirs = Example("shares of Beta fell", source="theirs")

    made = augment([mine, theirs, Example("profit at Gamma rose", source="theirs")], 40,
                   random.Random(5))  # fmt: skip

    swapped = {row.text: row.source for row in made}
    assert swapped["shares of Gamma fell"] in {"mine", "theirs"}
    assert swapped["profit at Alpha rose"] == "theirs"


def test_a_row_without_a_source_makes_texts_without_one():
    rows = [Example(text) for text in TEXTS]

    assert {row.source for row in augment(rows, 20, random.Random(1))} == {""}


def test_the_seed_decides_what_is_made():
    one, same, other = (augment(ROWS, 50, random.Random(seed)) for seed in (1, 1, 2))

    assert one == same
    assert [row.source for row in one] == [row.source for row in same]
    assert one != other


def test_what_is_excluded_is_never_made():
    made = augment(ROWS, 150, random.Random(3))
    excluded = forms(made)[::2]

    again = augment(ROWS, 150, random.Random(3), excluded)

    assert not set(forms(again)) & set(excluded)
    assert set(forms(again)) & set(forms(made))


words = st.lists(st.sampled_from(["oil", "Gold", "bank", "falls", "$XYZ", "é"]), max_size=6)


@given(st.lists(words.map(" ".join), min_size=1, max_size=6), st.integers(0, 20), st.integers())
@settings(max_examples=60, deadline=None)
def test_any_texts_come_to_an_end_and_break_no_promise(texts, count, seed):
    excluded = ["oil gold bank", "gold oil falls"]

    rows = [Example(text) for text in texts]

    made = augment(rows, count, random.Random(seed), excluded)

    assert len(made) <= count
    assert not set(forms(made)) & {*excluded, *forms(rows)}
    assert all(len(form.split()) >= 3 for form in forms(made))


def test_texts_too_short_to_make_others_of_give_none():
    assert augment([Example("one two")], 5, random.Random(1)) == []


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
