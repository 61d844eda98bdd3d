import shutil

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.public_sets import PublicSets, sentences

from classifier.data.datasets import DatasetError, Example, normal_form, share_of
from classifier.data.rows import CORRECTION_WEIGHT, Correction, gather
from classifier.labels import TOPICS, UNLABELLED, Labels
from classifier.recipe import Recipe

NONE = UNLABELLED
NEGATIVE, NEUTRAL, POSITIVE = 0, 1, 2
OWN_TEST = "a fixed share of the labelled rows"
SENTIMENTS = ("negative", "neutral", "positive")


def table(path, rows, columns=("text", "topic", "sentiment")):
    pd.DataFrame(rows, columns=list(columns)).to_csv(path, index=False)
    return path


def labelled(count, topics=("Gold", "Oil"), name="own"):
    return [
        (text, topics[i % len(topics)], SENTIMENTS[i % 3])
        for i, text in enumerate(sentences(name, count))
    ]


def recipe(*paths, **keys):
    return Recipe(data=[{"path": str(path)} for path in paths], **keys)


def forms(examples):
    return {normal_form(example.text) for example in examples}


def every_split(splits):
    return [forms(splits.train), forms(splits.development), *map(forms, splits.tests.values())]


@pytest.fixture
def file(tmp_path):
    return table(tmp_path / "own.csv", labelled(120))


def test_a_file_gets_test_and_development_rows_of_its_own(file):
    rows = gather(recipe(file, test_share=0.2, development_share=0.2))

    train, development, test = every_split(rows.splits)
    assert len(train | development | test) == 120
    assert 12 <= len(test) <= 36
    assert 8 <= len(development) <= 32
    assert rows.labels == Labels(("Gold", "Oil"))
    assert (rows.unlabelled, rows.corrections, rows.notes) == ([], 0, ())
    assert {e.source for e in [*rows.splits.train, *rows.splits.tests[OWN_TEST]]} == {"own.csv"}


def test_the_same_rows_are_split_the_same_way_whatever_comes_beside_them(tmp_path, file):
    more = table(tmp_path / "more.csv", labelled(60, name="other"))

    one, two = gather(recipe(file)), gather(recipe(more, file))

    assert forms(one.splits.tests[OWN_TEST]) <= forms(two.splits.tests[OWN_TEST])
    assert forms(one.splits.train) <= forms(two.splits.train)


texts = st.sampled_from([f"Text {i}" for i in range(40)] + [f" TEXT {i} https://t.co/x" for i in
                                                          range(40)])  # fmt: skip
ANCHOR = next((t, "Oil", "neg") for t in sentences("anchor", 999) if share_of(t) < 0.05)
drawn_rows = st.lists(
    st.tuples(texts, st.sampled_from(["Oil", ""]), st.sampled_from([*SENTIMENTS, ""])),
    min_size=15,
    max_size=60,
)


@given(drawn_rows, drawn_rows, st.floats(0.05, 0.45), st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_no_text_is_in_two_splits(tmp_path_factory, one, two, share, count):
    folder = tmp_path_factory.mktemp("rows")
    paths = [table(folder / f"{i}.csv", [*rows, ANCHOR]) for i, rows in enumerate((one, two))]
    corrections = [Correction(text, "Oil", "negative") for text, *_ in one[:9]]

    splits = gather(recipe(*paths, test_share=share, rows=count), corrections=corrections).splits

    found = every_split(splits)
    for index, here in enumerate(found):
        assert not any(here & other for other in found[:index])
    assert not found[0] & splits.held_out
    assert set.union(*found[1:]) == splits.held_out


def test_labels_of_one_text_in_two_files_are_joined_in_every_split(tmp_path):
    rows = labelled(100)
    topics = table(tmp_path / "topics.csv", [r[:2] for r in rows], ("text", "topic"))
    moods = table(tmp_path / "moods.csv", [r[::2] for r in rows], ("text", "sentiment"))

    splits = gather(recipe(topics, moods)).splits

    every = [*splits.train, *splits.development, *splits.tests[OWN_TEST]]
    assert len(every) == 100
    assert all(NONE not in (e.topic, e.sentiment) for e in every)


def test_files_of_different_topics_are_told(tmp_path, file):
    other = table(tmp_path / "other.csv", labelled(30, ("Wheat", "Oil")))

    with pytest.raises(DatasetError, match=r"own\.csv and .*other\.csv hold different topics"):
        gather(recipe(file, other))


def test_a_file_without_topics_goes_with_any(tmp_path, file):
    moods = table(tmp_path / "moods.csv", [(t, "pos") for t in sentences("mood", 20)],
                  ("text", "sentiment"))  # fmt: skip

    assert gather(recipe(moods, file)).labels.topics == ("Gold", "Oil")
    only = table(tmp_path / "only.csv", [(t, "pos") for t in sentences("mood", 40)],
                 ("text", "sentiment"))  # fmt: skip
    assert gather(recipe(only)).labels.topics == TOPICS


def test_topics_that_the_weights_to_go_on_from_do_not_know_are_told(file):
    known = Labels(("Oil", "Gold", "Tin"))

    assert gather(recipe(file), known).labels == known
    with pytest.raises(DatasetError, match="unknown topic 'Gold'"):
        gather(recipe(file), Labels(("Oil",)))


def test_what_was_left_out_is_told_by_file(tmp_path):
    path = table(tmp_path / "gaps.csv", [*labelled(50), ("", "Oil", "pos"), ("b", "", "")])

    assert gather(recipe(path)).notes == (
        f"{path}: rows left out: 1 without text, 1 without label",
    )


@pytest.mark.parametrize(
    ("paths", "says"),
    [([], "no rows to train on"), (["absent.csv"], r"no labelled file absent\.csv")],
)
def test_without_data_there_is_nothing_to_gather(paths, says):
    with pytest.raises(DatasetError, match=says):
        gather(recipe(*paths))


def test_rows_too_few_to_test_on_are_told(tmp_path):
    path = table(tmp_path / "few.csv", labelled(2))

    with pytest.raises(DatasetError, match="2 rows are too few to keep test rows of them"):
        gather(recipe(path, test_share=0.01))


def test_a_try_takes_some_rows_of_a_file_in_order_of_all_classes(tmp_path):
    path = table(tmp_path / "ordered.csv", sorted(labelled(200), key=lambda row: row[1:]))

    whole, some = gather(recipe(path)), gather(recipe(path, rows=30))

    assert len(some.splits.train) == 30
    assert {e.topic for e in some.splits.train} == {0, 1}
    assert {e.sentiment for e in some.splits.train} == {0, 1, 2}
    assert some.splits.tests == whole.splits.tests
    assert some.splits.development == whole.splits.development


def test_a_correction_wins_over_the_label_that_it_corrects(file):
    before = gather(recipe(file)).splits
    wrong = next(e for e in before.train if (e.topic, e.sentiment) != (0, POSITIVE))

    rows = gather(recipe(file), corrections=[Correction(wrong.text.upper(), "Gold", "positive")])

    same = [e for e in rows.splits.train if normal_form(e.text) == normal_form(wrong.text)]
    assert same == [Example(wrong.text.upper(), 0, POSITIVE)] * CORRECTION_WEIGHT
    assert rows.corrections == 1
    assert forms(rows.splits.train) == forms(before.train)


def test_a_correction_of_one_label_leaves_the_other(file):
    wrong = gather(recipe(file)).splits.train[0]

    rows = gather(recipe(file), corrections=[Correction(wrong.text, sentiment="positive")])

    assert Example(wrong.text, wrong.topic, POSITIVE) in rows.splits.train


def test_the_latest_correction_of_a_text_counts(file):
    corrections = [
        Correction("A new text", "Oil", "negative"),
        Correction("a NEW text", None, "positive"),
        Correction("Another", "Gold"),
    ]

    rows = gather(recipe(file), corrections=corrections)

    assert rows.corrections == 2
    assert rows.splits.train.count(Example("a NEW text", 1, POSITIVE)) == CORRECTION_WEIGHT
    assert rows.splits.train.count(Example("Another", 0, NONE)) == CORRECTION_WEIGHT


def test_a_correction_of_a_test_or_development_text_is_not_trained_on(file):
    splits = gather(recipe(file)).splits
    held_out = [*splits.development, *splits.tests[OWN_TEST]]

    rows = gather(
        recipe(file),
        corrections=[Correction(f"{e.text} https://t.co/x", "Oil", "neutral") for e in held_out],
    )

    assert rows.corrections == 0
    assert rows.splits == splits


@pytest.mark.parametrize("text", ["", "https://t.co/x"])
def test_a_correction_without_text_is_passed_over(file, text):
    assert gather(recipe(file), corrections=[Correction(text, "Oil")]).corrections == 0


def test_a_try_keeps_every_correction(file):
    rows = gather(recipe(file, rows=5), corrections=[Correction("A new text", "Oil")])

    assert len(rows.splits.train) == 5 + CORRECTION_WEIGHT


def test_a_correction_by_a_topic_that_is_not_known_is_told(file):
    with pytest.raises(DatasetError, match="a correction names the topic 'Tin'"):
        gather(recipe(file), corrections=[Correction("A text", "Tin")])


@pytest.fixture
def public(tmp_path):
    return PublicSets(tmp_path / "public")


def test_the_public_sets_come_with_their_own_tests_and_unlabelled_texts(public):
    rows = gather(recipe(public.write()))

    assert rows.splits == public.splits()
    assert rows.unlabelled == [Example(e.text) for e in public.corpus()]
    assert [e.source for e in rows.unlabelled] == [e.source for e in public.corpus()]
    assert rows.labels == Labels()


@pytest.mark.parametrize(
    "sets",
    [
        ["sentfin"],
        ["twitter-financial-news-sentiment"],
        ["twitter-financial-news-topic"],
        ["sentfin", "surge_stock_sentiment"],
        ["ieee_stock_tweets", "twitter-financial-news-topic", "sentfin"],
    ],
)
def test_sets_that_are_named_are_trained_and_tested_on_alone(public, sets):
    folder = public.write()

    rows = gather(recipe(*(folder / name for name in sets)))

    assert rows.splits == public.splits(sets)
    assert {e.source for e in rows.splits.train} == set(sets)
    assert rows.unlabelled == []
    assert rows.labels == Labels()


@pytest.mark.parametrize("order", [(".", "sentfin"), ("sentfin", "."), ("sentfin", ".", "stock")])
def test_the_folder_and_sets_of_it_are_the_whole_folder(public, order):
    folder = public.write()
    names = {"stock": "surge_stock_sentiment"}

    rows = gather(recipe(*(folder / names.get(name, name) for name in order)))

    assert rows == gather(recipe(folder))


def test_a_set_that_is_named_twice_is_that_set(public):
    path = public.write() / "sentfin"

    assert gather(recipe(path, path)) == gather(recipe(path))


@pytest.mark.parametrize(
    "sets",
    [
        ["surge_stock_sentiment"],
        ["ieee_stock_tweets"],
        ["surge_stock_sentiment", "surge_crypto_sentiment", "ieee_stock_tweets"],
    ],
)
def test_sets_without_test_rows_are_told_unless_others_are_beside_them(public, tmp_path, sets):
    paths = [public.write() / name for name in sets]

    with pytest.raises(DatasetError) as error:
        gather(recipe(*paths))

    named = " and ".join(map(str, paths))
    assert str(error.value) == f"{named} hold no test rows: name another set beside"
    beside = gather(recipe(*paths, public.path / "sentfin")).splits
    assert list(beside.tests) == ["sentiment, headlines (a fixed fifth)"]
    assert {e.source for e in beside.train} == {*sets, "sentfin"}
    file = table(tmp_path / "own.csv", [(t, "pos") for t in sentences("own", 60)],
                 ("text", "sentiment"))  # fmt: skip
    assert list(gather(recipe(*paths, file)).splits.tests) == [OWN_TEST]


def test_a_set_and_a_file_are_one_split_and_keep_their_sources(public, tmp_path):
    mine = [(text, "Gold", "neg") for text in sentences("own", 80)]
    mine += [(text, "Oil", "neg") for name in ("validation", "held out", "headline", "tweet")
             for text in sentences(name, 20)]  # fmt: skip
    file = table(tmp_path / "mine.csv", mine)

    rows = gather(recipe(public.write() / "sentfin", file))

    splits = rows.splits
    train, development, *tests = every_split(splits)
    assert {e.source for e in splits.train} == {"sentfin", "mine.csv"}
    assert rows.labels == Labels(("Gold", "Oil")), "headlines have no topics, the file its own"
    assert not train & development
    assert not (train | development) & set.union(*tests)
    untouched = {normal_form(t) for name in ("validation", "held out")
                 for t in sentences(name, 20)}  # fmt: skip
    assert not (train | development) & untouched, "they are test rows of sets that are not named"
    assert {*sentences("tweet", 20)} & {e.text for e in splits.train}, "these are not"


def test_a_file_beside_the_topic_set_must_know_its_topics(public, file):
    with pytest.raises(DatasetError, match="unknown topic 'Gold'"):
        gather(recipe(public.write() / "twitter-financial-news-topic", file))


def test_sets_of_two_folders_are_told(public, tmp_path):
    other = PublicSets(tmp_path / "again").write()

    for name in ("sentfin", "ieee_stock_tweets"):
        with pytest.raises(DatasetError, match="name one folder of the public sets"):
            gather(recipe(public.write() / "sentfin", other / name))


def test_unlabelled_texts_are_not_needed_for_sets_by_name(public):
    shutil.rmtree(public.write() / "stocknet")

    assert gather(recipe(public.path / "sentfin")).unlabelled == []
    with pytest.raises(DatasetError, match="stocknet"):
        gather(recipe(public.path))


def test_a_try_takes_some_rows_of_a_set_and_the_others_are_not_unlabelled_texts(public):
    rows = gather(recipe(public.write() / "sentfin", rows=7))

    assert len(rows.splits.train) == 7
    assert rows.unlabelled == []
    assert rows.splits.tests == public.splits(["sentfin"]).tests


@pytest.mark.parametrize("name", [".", "twitter-financial-news-topic"])
def test_public_topics_are_not_taken_for_those_of_a_base(public, name):
    path = public.write()

    with pytest.raises(DatasetError, match="the base has topics of its own"):
        gather(recipe(path / "sentfin", path / name), Labels(("Gold", "Oil")))

    assert gather(recipe(path / "sentfin"), Labels(("Gold", "Oil"))).labels.topics[0] == "Gold"


OWN = Labels(("Unsorted",))


@pytest.mark.parametrize(
    ("sets", "labels"),
    [
        (["sentfin"], OWN),
        (["sentfin", "ieee_stock_tweets"], OWN),
        (["twitter-financial-news-topic"], Labels()),
        (["sentfin", "twitter-financial-news-topic"], Labels()),
        (["."], Labels()),
        ([".", "sentfin"], Labels()),
    ],
)
def test_the_labels_where_no_row_has_a_topic_are_those_that_were_handed_in(public, sets, labels):
    paths = [public.write() / name for name in sets]

    assert gather(recipe(*paths), otherwise=OWN).labels == labels
    assert gather(recipe(*paths), Labels(), otherwise=OWN).labels == Labels(), "known ones win"


def test_a_file_without_topics_has_the_labels_that_were_handed_in(tmp_path, file):
    moods = table(tmp_path / "moods.csv", [(t, "pos") for t in sentences("mood", 40)],
                  ("text", "sentiment"))  # fmt: skip

    assert gather(recipe(moods), otherwise=OWN).labels == OWN
    assert gather(recipe(moods, file), otherwise=OWN).labels == Labels(("Gold", "Oil"))


def test_the_public_sets_and_a_file_are_one_split_without_leaks(public, tmp_path):
    mine = [(text, TOPICS[i % 3], SENTIMENTS[i % 3]) for i, text in enumerate(
        [*sentences("own", 80), *sentences("topic", 60), *sentences("validation", 20),
         *sentences("held out", 20), *sentences("retail", 30)]
    )]  # fmt: skip
    file = table(tmp_path / "mine.csv", mine)

    splits = gather(recipe(public.write(), file)).splits

    train, development = forms(splits.train), forms(splits.development)
    tests = set.union(*map(forms, splits.tests.values()))
    assert not train & development
    assert not (train | development) & tests
    assert tests | development <= splits.held_out
    assert not train & splits.held_out
    assert set(public.splits().tests) | {OWN_TEST} == set(splits.tests)
    assert forms(Example(text) for text in sentences("own", 80)) <= train | development | tests


def test_the_published_split_stays_as_it_was_published_beside_a_file(public, tmp_path):
    repeated = "A text that is tested and trained on"
    public.topic_train.append((repeated, 3))
    public.topic_test.append((repeated, 3))
    public.topic_repeats = [20]
    file = table(tmp_path / "mine.csv", [(t, TOPICS[0], "pos") for t in sentences("own", 60)])

    alone = gather(recipe(public.write()), published=True).splits
    beside = gather(recipe(public.write(), file), published=True).splits

    assert normal_form(repeated) in forms(alone.train)
    assert forms(alone.train) <= forms(beside.train)
    assert "topic, published validation" in beside.tests


def test_two_folders_of_the_public_sets_are_told(public, tmp_path):
    public.write()
    other = PublicSets(tmp_path / "again").write()

    with pytest.raises(DatasetError, match="name one folder of the public sets"):
        gather(recipe(public.path, other))


def test_a_file_beside_the_public_sets_must_know_their_topics(public, tmp_path):
    file = table(tmp_path / "mine.csv", labelled(30, ("Oil", "Gold")))

    with pytest.raises(DatasetError, match="unknown topic 'Oil'"):
        gather(recipe(public.write(), file))
