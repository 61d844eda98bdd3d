from pathlib import Path

import pytest

from classifier.recipe import DataSource, DistilRecipe, Recipe, RecipeError, Teacher, read_recipe


def written(folder, text):
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_without_a_file_and_flags_every_key_has_its_default():
    assert read_recipe(Recipe, None, {}) == Recipe()


def test_a_file_is_read_whole(tmp_path):
    path = written(
        tmp_path,
        """
        base = "gpt2"
        strategy = "lora"
        lora_rank = 4
        epochs = 1.5
        class_weights = true
        [[data]]
        path = "news.csv"
        text = "headline"
        [[data]]
        path = "org/set"
        topic = "category"
        """,
    )

    recipe = read_recipe(Recipe, path, {})

    assert (recipe.base, recipe.strategy, recipe.lora_rank) == ("gpt2", "lora", 4)
    assert (recipe.epochs, recipe.class_weights) == (1.5, True)
    assert recipe.data == (
        DataSource(path="news.csv", text="headline"),
        DataSource(path="org/set", topic="category"),
    )


def test_what_is_given_wins_over_the_file_and_what_is_not_does_not(tmp_path):
    path = written(tmp_path, "epochs = 3\nseed = 1\n")

    recipe = read_recipe(Recipe, path, {"epochs": 9.0, "seed": None, "rows": 5})

    assert (recipe.epochs, recipe.seed, recipe.rows) == (9.0, 1, 5)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("epochs", "2.5", 2.5),
        ("batch_texts", "16", 16),
        ("class_weights", "true", True),
        ("class_weights", "no", False),
        ("optimizer", "sgd", "sgd"),
        ("learning_rate", "1e-3", 1e-3),
    ],
)
def test_the_text_of_a_flag_becomes_the_type_of_its_key(key, text, value):
    assert getattr(read_recipe(Recipe, None, {key: text}), key) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("epochs", "many"),
        ("epochs", float("nan")),
        ("learning_rate", 0),
        ("learning_rate", -1e-3),
        ("learning_rate", float("inf")),
        ("dropout", 1.0),
        ("label_smoothing", 1.0),
        ("weight_decay", -0.1),
        ("momentum", 1.0),
        ("test_share", 0.0),
        ("test_share", 0.5),
        ("development_share", 1.0),
        ("warmup_share", 1.0),
        ("batch_texts", 0),
        ("accumulate", 0),
        ("patience", -1),
        ("blocks", 0),
        ("lora_rank", 0),
        ("rows", 0),
        ("strategy", "some"),
        ("optimizer", "adam"),
        ("schedule", "square"),
        ("metric", "f2"),
        ("precision", "fp16"),
        ("batch_texts", 1.5),
        ("seed", "seven"),
        ("data", "news.csv"),
        ("learning_rat", 1e-3),
    ],
)
def test_a_key_that_is_unknown_or_out_of_range_is_told_by_its_name(key, value):
    with pytest.raises(RecipeError, match=rf"the recipe is wrong: {key}: .*docs/training\.md"):
        read_recipe(Recipe, None, {key: value})


def test_every_wrong_key_of_a_file_is_told_with_the_file(tmp_path):
    path = written(tmp_path, 'epoch = 3\nseed = "x"\n[[data]]\npath = "a"\nlabel = "b"\n')

    with pytest.raises(RecipeError) as error:
        read_recipe(Recipe, path, {})

    for part in (str(path), "epoch: ", "seed: ", "data.0.label: "):
        assert part in str(error.value)


@pytest.mark.parametrize("content", [b"epochs = ", b"epochs 3", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_told(tmp_path, content):
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)

    with pytest.raises(RecipeError, match=r"the recipe .*recipe\.toml cannot be read"):
        read_recipe(Recipe, path, {})


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_a_file_that_is_not_there_is_told(tmp_path, name):
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(Recipe, tmp_path / name, {})


def test_a_distillation_has_the_keys_of_a_fine_tune_and_teachers(tmp_path):
    path = written(tmp_path, 'teachers = ["one", "two"]\ntemperature = 3\nepochs = 1\n')

    recipe = read_recipe(DistilRecipe, path, {"hard_share": "0.5"})

    assert isinstance(recipe, DistilRecipe)
    assert recipe.teachers == (Teacher(weights=Path("one")), Teacher(weights=Path("two")))
    assert (recipe.temperature, recipe.epochs, recipe.hard_share) == (3, 1, 0.5)


def test_a_fine_tune_does_not_take_the_keys_of_a_distillation():
    with pytest.raises(RecipeError, match="temperature: "):
        read_recipe(Recipe, None, {"temperature": 2})


@pytest.mark.parametrize("given", [{}, {"teachers": ()}])
def test_a_distillation_needs_a_teacher(given):
    with pytest.raises(RecipeError, match="teachers: "):
        read_recipe(DistilRecipe, None, given)


def test_a_teacher_is_a_folder_or_a_table(tmp_path):
    path = written(
        tmp_path,
        """
        made_from = ["sentfin", "ieee_stock_tweets"]
        teachers = ["one", {weights = "two"}, {weights = "three", of = ["sentfin", "written"]}]
        """,
    )

    recipe = read_recipe(DistilRecipe, path, {})

    assert recipe.teachers == (
        Teacher(weights=Path("one")),
        Teacher(weights=Path("two"), of=()),
        Teacher(weights=Path("three"), of=("sentfin", "written")),
    )
    assert recipe.made_from == ("sentfin", "ieee_stock_tweets")


def test_teachers_may_be_tables_of_their_own(tmp_path):
    path = written(tmp_path, '[[teachers]]\nweights = "one"\n[[teachers]]\nweights = "two"\nof = '
                   '"sentfin"\n')  # fmt: skip

    recipe = read_recipe(DistilRecipe, path, {})

    assert [(teacher.weights, teacher.of) for teacher in recipe.teachers] == [
        (Path("one"), ()), (Path("two"), ("sentfin",))
    ]  # fmt: skip


def test_a_teacher_may_be_handed_in_as_a_path():
    assert DistilRecipe(teachers=(Path("one"), "two")).teachers == (
        Teacher(weights=Path("one")), Teacher(weights=Path("two"))
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("sentfin", ("sentfin",)),
        ("sentfin+written", ("sentfin", "written")),
        ("+sentfin++written+", ("sentfin", "written")),
        ("", ()),
        ("+", ()),
        (["sentfin", "a+b"], ("sentfin", "a+b")),
        ([], ()),
    ],
)
def test_names_of_sets_are_a_list_or_text_with_a_plus_between_them(given, names):
    recipe = read_recipe(
        DistilRecipe, None,
        {"teachers": ["one", {"weights": "two", "of": given}], "made_from": given},
    )  # fmt: skip

    assert recipe.teachers[1].of == names
    assert recipe.made_from == names


def test_without_names_a_teacher_knows_everything_and_texts_are_made_of_all():
    recipe = DistilRecipe(teachers=("one",))

    assert recipe.teachers[0].of == ()
    assert recipe.made_from == ()


@pytest.mark.parametrize(
    "teachers",
    [
        [{"weights": "one", "of": ["sentfin"]}],
        [{"weights": "one", "of": "sentfin"}, {"weights": "two", "of": ["written"]}],
    ],
)
def test_somebody_must_teach_what_no_other_does(teachers):
    with pytest.raises(RecipeError) as error:
        read_recipe(DistilRecipe, None, {"teachers": teachers})

    assert "teachers: Value error, each teaches some sets only: name one without `of`" in str(
        error.value
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"teachers": ["one", {"of": ["sentfin"]}]}, "teachers.1.weights: Field required"),
        ({"teachers": [{"weights": "one", "off": "x"}]}, "teachers.0.off: Extra inputs"),
        ({"teachers": [{"weights": "one", "of": 3}]}, "teachers.0.of: "),
        ({"teachers": [{"weights": "one", "of": [3]}]}, "teachers.0.of.0: "),
        ({"teachers": [3]}, "teachers.0: "),
        ({"teachers": "one"}, "teachers: "),
        ({"teachers": ["one"], "made_from": 3}, "made_from: "),
        ({"teachers": ["one"], "made_from": [["a"]]}, "made_from.0: "),
    ],
)
def test_a_wrong_teacher_or_name_is_told_by_its_place(given, says):
    with pytest.raises(RecipeError) as error:
        read_recipe(DistilRecipe, None, given)

    assert f"the recipe is wrong: {says}" in str(error.value)


def test_a_fine_tune_has_no_teachers_and_makes_no_texts():
    for key in ("teachers", "made_from"):
        with pytest.raises(RecipeError, match=f"{key}: "):
            read_recipe(Recipe, None, {key: ["one"]})


def test_words_of_an_encoder_need_a_vocabulary_to_grow_into():
    with pytest.raises(RecipeError, match="words_from is for a vocabulary that grows"):
        read_recipe(Recipe, None, {"words_from": "e5"})
    assert read_recipe(Recipe, None, {"words_from": "e5", "vocabulary": 9}).words_from == "e5"


@pytest.mark.parametrize("absent", ["generator", "generated_from"])
def test_what_is_generated_needs_a_generator_and_a_set_to_be_like(absent):
    whole = {"teachers": ["t"], "generated": 9, "generator": "lm", "generated_from": "sentfin"}
    assert read_recipe(DistilRecipe, None, whole).generated == 9

    with pytest.raises(RecipeError, match="generated needs a generator"):
        read_recipe(DistilRecipe, None, {**whole, absent: None})
