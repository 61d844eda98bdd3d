"""What a card says of where weights come from."""

import json

import pytest

from classifier.evaluation.card import CARD_FILE
from classifier.recipe import Teacher
from classifier.training.pretraining import BASE_RECORD
from classifier.training.provenance import commands, origin, summary, summary_of_mean

PRETRAINED = {"texts": 1200, "layers": 3, "epochs": 2.5, "command": "tapewatch pretrain"}


@pytest.fixture
def base(tmp_path):
    """A base by `pretrain`."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / BASE_RECORD).write_text(json.dumps(PRETRAINED | {"base": None, "seed": 7}))
    return folder


@pytest.fixture
def card(tmp_path):
    """Writes weights with a card; `made` is what their card says of their base."""

    def write(name, *lines, made=None):
        folder = tmp_path / name
        folder.mkdir()
        said = {"version": f"gpt-{name}", "commands": lines, "base": made or {"name": "base"}}
        (folder / CARD_FILE).write_text(json.dumps(said))
        return folder

    return write


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({}, "Its trunk was pre-trained on 1,200 texts from scratch."),
        ({"base": "gpt2"}, "Its trunk was pre-trained on 1,200 texts on top of gpt2."),
        (
            {"blocks_from": "models/e5", "epochs": 0},
            "Its trunk started from the first 3 blocks of e5.",
        ),
        (
            {"blocks_from": "models/e5", "layers": 1},
            "Its trunk started from the first block of e5, pre-trained on 1,200 texts.",
        ),
    ],
)
def test_the_start_of_a_trunk_is_told(tmp_path, made, says):
    (tmp_path / BASE_RECORD).write_text(json.dumps(PRETRAINED | made))

    assert summary(str(tmp_path), ()) == says


def test_a_base_that_nothing_is_known_of_has_a_name_only():
    assert origin("org/some-model") == {"name": "some-model"}
    assert commands(["org/some-model"]) == []
    assert summary("org/some-model", ()) == ""


def test_what_is_unset_in_a_record_is_left_out(base):
    assert origin(str(base)) == {**PRETRAINED, "name": "base", "seed": 7}


def test_teachers_are_named_with_the_commands_that_made_them(base, card):
    one, two = card("one", "tapewatch train one"), card("two", "tapewatch train two")
    three = card("three", "tapewatch train one")
    teachers = [Teacher(weights=folder) for folder in (one, two, three)]

    assert commands([*map(str, (base, one, two, three))]) == [
        "tapewatch pretrain", "tapewatch train one", "tapewatch train two"
    ]  # fmt: skip
    assert summary(str(base), teachers).endswith(
        " It was distilled from one (gpt-one), two (gpt-two) and three (gpt-three)."
    )
    twice = [Teacher(weights=one), Teacher(weights=one, of="news")]
    assert summary(str(base), twice).endswith(" It was distilled from one (gpt-one).")


def test_weights_that_are_gone_on_from_hand_on_what_they_came_from(card):
    first = card("first", "tapewatch pretrain", "tapewatch train", made=PRETRAINED)
    taught = [Teacher(weights=first), Teacher(weights=card("other"))]

    assert origin(str(first)) == PRETRAINED | {"name": "gpt-first"}
    assert commands([str(first), str(first)]) == ["tapewatch pretrain", "tapewatch train"]
    assert summary(str(first), taught) == (
        "It goes on from gpt-first. Its trunk was pre-trained on 1,200 texts from scratch. It was "
        "distilled from what it goes on from and other (gpt-other)."
    )


def test_a_mean_is_told_with_the_start_that_its_parts_share(card):
    parts = [card(name, made=PRETRAINED) for name in ("one", "two")]

    assert summary_of_mean(parts) == (
        "It is the mean of the weights one (gpt-one) and two (gpt-two). Its trunk was pre-trained "
        "on 1,200 texts from scratch."
    )
