"""How the options of `train` and `distil` become a recipe."""

from pathlib import Path

import pytest

from classifier.recipe import DistilRecipe, RecipeError, Teacher, read_recipe
from tapewatch.champion import SHIPPED
from tapewatch.commands.recipes import given_command, read_teachers, with_shipped_teacher


def taught(*given, config=None):
    """The teachers of a recipe by these options."""
    recipe = read_recipe(DistilRecipe, config, {"teachers": read_teachers(given)})
    return with_shipped_teacher(recipe).teachers


@pytest.mark.parametrize(
    ("given", "weights", "of"),
    [
        ("teacher", "teacher", ()),
        ("a/teacher", "a/teacher", ()),
        ("/a/teacher:of=sentfin", "/a/teacher", ("sentfin",)),
        ("teacher:of=sentfin+written", "teacher", ("sentfin", "written")),
        ("teacher:of=own rows.csv", "teacher", ("own rows.csv",)),
        ("c:teacher:of=sentfin", "c:teacher", ("sentfin",)),
        ("teacher:of=", "teacher", ()),
        ("teacher:of=+", "teacher", ()),
        ("shipped", SHIPPED, ()),
        ("shipped:of=sentfin+written", SHIPPED, ("sentfin", "written")),
        ("./a/shipped", "a/shipped", ()),
    ],
)
def test_a_teacher_is_a_folder_or_shipped_and_may_be_of_some_sets(given, weights, of):
    found = taught("first", given)

    assert found == (Teacher(weights=Path("first")), Teacher(weights=Path(weights), of=of))


def test_the_shipped_weights_are_those_of_this_package():
    (teacher,) = taught("shipped")

    assert (teacher.weights / "model.safetensors").is_file()


def test_a_recipe_may_name_the_shipped_weights_too(tmp_path):
    config = tmp_path / "recipe.toml"
    config.write_text('teachers = ["one", {weights = "shipped", of = ["written"]}]')

    assert taught(config=config) == (
        Teacher(weights=Path("one")), Teacher(weights=SHIPPED, of=("written",))
    )  # fmt: skip


def test_teachers_that_are_given_are_in_place_of_those_of_the_recipe(tmp_path):
    config = tmp_path / "recipe.toml"
    config.write_text('teachers = ["one", "two"]')

    assert taught("three", config=config) == (Teacher(weights=Path("three")),)


def test_teachers_of_some_sets_alone_are_told():
    with pytest.raises(RecipeError, match=r"teachers: .*name one without `of` for all the rest"):
        taught("one:of=sentfin", "two:of=written")


def test_without_a_teacher_one_is_asked_for():
    with pytest.raises(RecipeError, match="teachers: Field required"):
        taught()


def test_a_card_tells_the_command_without_the_folders_of_whoever_gave_it(monkeypatch):
    given = "train --data /home/ann/labels.csv:text=headline --output out/weights --epochs 3 "
    keys = "--set words_from=/home/ann/e5 --set optimizer=sgd --teacher /home/ann/big:of=a+b"
    monkeypatch.setattr("sys.argv", ["/usr/bin/tapewatch", *(given + keys).split()])

    told = given_command()

    assert told == (
        "tapewatch train --data labels.csv:text=headline --output weights --epochs 3 "
        "--set words_from=e5 --set optimizer=sgd --teacher big:of=a+b"
    )
