import gzip
import json
import shutil
from pathlib import Path

import pytest
from support.public_sets import PublicSets, sentences

from classifier.data.datasets import DatasetError, Example, normal_form, share_of
from classifier.data.public import (
    COMMENTS,
    HEADLINES,
    RETAIL,
    SETS,
    STOCKNET,
    TOPICS,
    TWEETS,
    is_folder,
    is_public,
    load_corpus,
    load_splits,
    named_splits,
    read_texts,
)
from classifier.labels import UNLABELLED

NEGATIVE, NEUTRAL, POSITIVE = 0, 1, 2
FIFTH = "sentiment, headlines (a fixed fifth)"
TESTS_OF = {
    TOPICS: ["topic, published validation", "topic, without rows repeated in training"],
    TWEETS: ["sentiment, without rows repeated in training"],
    HEADLINES: [FIFTH],
}
WORD_OF = {
    TOPICS: "topic", TWEETS: "tweet", HEADLINES: "headline", RETAIL: "retail",
    COMMENTS[0]: "stock", COMMENTS[1]: "crypto",
}  # fmt: skip

SHARED = "Shares of the bank fall after the report, says the paper"


@pytest.fixture
def folder(tmp_path):
    return PublicSets(tmp_path / "public")


def forms(examples):
    return {normal_form(example.text) for example in examples}


def trained(splits):
    """Every example that training sees, by normal form."""
    return {normal_form(e.text): e for e in [*splits.train, *splits.development]}


def test_every_set_is_read_with_its_labels(folder):
    found = trained(folder.splits())

    def labels(name):
        return {(e.topic, e.sentiment) for form, e in found.items() if f"the {name} " in form}

    assert labels("topic") == {(topic, UNLABELLED) for topic in range(20)}
    assert labels("tweet") == {(UNLABELLED, s) for s in (NEGATIVE, NEUTRAL, POSITIVE)}
    assert labels("headline") == {(UNLABELLED, NEUTRAL)}
    assert labels("retail") == labels("crypto") == {(UNLABELLED, NEGATIVE)}
    assert labels("stock") == {(UNLABELLED, POSITIVE)}


def test_every_row_says_of_which_set_it_is(folder):
    splits = folder.splits()

    for example in [*splits.train, *splits.development]:
        assert f"The {WORD_OF[example.source]} " in example.text
    for name in SETS:
        tested = {e.source for test in TESTS_OF.get(name, ()) for e in splits.tests[test]}
        assert tested == ({name} if name in TESTS_OF else set())


def test_the_numbers_of_the_tweet_set_are_read_in_their_own_order(folder):
    folder.tweet_train = [("bearish one", 0), ("bullish one", 1), ("neutral one", 2)]

    found = trained(folder.splits())

    assert found["bearish one"].sentiment == NEGATIVE
    assert found["bullish one"].sentiment == POSITIVE
    assert found["neutral one"].sentiment == NEUTRAL


@pytest.mark.parametrize(
    ("decisions", "sentiment"),
    [
        ('{"A": "positive"}', POSITIVE),
        ('{"A": "negative", "B": "negative"}', NEGATIVE),
        ('{"A": "negative", "B": "positive"}', None),
        ("{}", None),
        ("not a dict", None),
    ],
)
def test_a_headline_counts_where_its_entities_agree(folder, decisions, sentiment):
    folder.headlines = [(f"headline {i}", decisions) for i in range(20)]

    splits = folder.splits()
    kept = [
        *splits.train,
        *splits.development,
        *splits.tests.get(FIFTH, []),
    ]

    found = {example.sentiment for example in kept if example.text.startswith("headline")}
    assert found == (set() if sentiment is None else {sentiment})


@pytest.mark.parametrize("test_set", ["topic_test", "tweet_test"])
@pytest.mark.parametrize(
    "training_set", ["topic_train", "tweet_train", "headlines", "retail", "stock", "crypto"]
)
@pytest.mark.parametrize("leak", [SHARED, f"  {SHARED.upper()}\n https://t.co/x"])
def test_no_test_text_is_trained_on(folder, test_set, training_set, leak):
    getattr(folder, test_set).append((SHARED, 1))
    rows = getattr(folder, training_set)
    rows.append((leak, rows[0][1]))
    folder.unlabelled.append(leak)

    splits = folder.splits()

    assert normal_form(SHARED) not in trained(splits)


def test_no_text_is_in_two_splits(folder):
    for rows in (folder.tweet_train, folder.retail, folder.stock):
        rows.append((SHARED, rows[0][1]))

    splits = folder.splits()

    train, development = forms(splits.train), forms(splits.development)
    assert len(train) == len(splits.train)
    assert len(development) == len(splits.development)
    assert train & development == set()
    for examples in splits.tests.values():
        assert forms(examples) & (train | development) == set()
        assert forms(examples) <= splits.held_out
    assert development <= splits.held_out
    assert train & splits.held_out == set()


def test_test_rows_repeated_in_training_are_left_out_of_the_stricter_sets(folder):
    folder.topic_repeats, folder.tweet_repeats = [0, 7], [19]

    tests = folder.splits().tests

    assert len(tests["topic, published validation"]) == 20
    strict = tests["topic, without rows repeated in training"]
    assert [e.text for e in strict] == [
        text for i, (text, _) in enumerate(folder.topic_test) if i not in {0, 7}
    ]
    assert len(tests["sentiment, without rows repeated in training"]) == 19


def test_a_text_with_a_topic_here_and_a_sentiment_there_carries_both(folder):
    folder.topic_train.append((SHARED, 7))
    folder.retail.append((f"{SHARED.upper()} https://t.co/x", "negative"))

    assert trained(folder.splits())[normal_form(SHARED)] == Example(SHARED, 7, NEGATIVE)


@pytest.mark.parametrize("labels", [(3, 3), (3, 3, 3)])
def test_repeats_that_agree_are_one_example(folder, labels):
    folder.topic_train += [(SHARED, label) for label in labels]

    assert trained(folder.splits())[normal_form(SHARED)].topic == 3


@pytest.mark.parametrize("labels", [(3, 4), (3, 4, 5), (3, 4, 3), (3, 3, 4), (3, 4, 4)])
def test_repeats_that_disagree_are_dropped(folder, labels):
    folder.topic_train += [(SHARED, label) for label in labels]

    assert normal_form(SHARED) not in trained(folder.splits())


def test_a_conflict_of_one_label_leaves_the_other(folder):
    folder.topic_train += [(SHARED, 3), (SHARED, 4)]
    folder.retail.append((SHARED, "negative"))

    assert trained(folder.splits())[normal_form(SHARED)] == Example(SHARED, UNLABELLED, NEGATIVE)


def test_a_text_that_is_nothing_but_a_link_is_dropped(folder):
    folder.retail.append(("https://t.co/abc", "negative"))

    assert "" not in trained(folder.splits())


def test_a_row_without_a_label_is_no_example(folder):
    folder.retail += [("not labelled at all", None)]

    assert "not labelled at all" not in trained(folder.splits())


def test_the_split_does_not_move_when_rows_are_added(folder):
    before = folder.splits()
    folder.retail = [("a row that was added", "negative"), *folder.retail]
    folder.headlines.append(("A headline that was added", '{"A": "neutral"}'))
    after = folder.splits()

    assert forms(before.train) <= forms(after.train)
    assert forms(before.development) <= forms(after.development)
    assert forms(before.tests[FIFTH]) <= forms(after.tests[FIFTH])


def test_about_a_fifth_of_the_headlines_is_held_out(folder):
    folder.headlines = [(t, '{"A": "neutral"}') for t in sentences("headline", 500)]

    held = folder.splits().tests[FIFTH]

    assert 60 <= len(held) <= 140


def test_the_corpus_holds_no_held_out_text_and_none_twice(folder):
    splits = folder.splits()
    held_out = forms(splits.development) | set().union(*map(forms, splits.tests.values()))
    folder.unlabelled += [*(e.text.upper() for e in splits.development), SHARED, SHARED.lower()]
    folder.unlabelled += [text for text, _ in folder.topic_test]

    corpus = [normal_form(example.text) for example in folder.corpus()]

    assert len(corpus) == len(set(corpus))
    assert set(corpus) & held_out == set()
    assert {normal_form(SHARED), *forms(splits.train)} <= set(corpus)


@pytest.mark.parametrize(("text", "kept"), [("x" * 19, False), ("x" * 20, True)])
def test_a_very_short_text_is_not_in_the_corpus(folder, text, kept):
    folder.unlabelled.append(text)

    assert (Example(text) in folder.corpus()) is kept


def test_texts_of_the_corpus_keep_their_labels_and_say_where_they_are_from(folder):
    folder.retail.append(("A retail tweet that nobody labelled", None))
    folder.headlines.append(("A headline of two minds", '{"A": "negative", "B": "positive"}'))

    corpus = {example.text: example for example in folder.corpus()}

    for example in folder.splits().train:
        assert corpus[example.text] == example
        assert corpus[example.text].source == example.source
    added = {e.text: e.source for e in corpus.values() if e == Example(e.text)}
    assert added == {
        "A retail tweet that nobody labelled": RETAIL,
        "A headline of two minds": HEADLINES,
        **dict.fromkeys(folder.unlabelled, STOCKNET),
    }


CHOICES = [(name,) for name in SETS] + [
    (HEADLINES, RETAIL), (TWEETS, TOPICS), COMMENTS, SETS[:-1], ()
]  # fmt: skip


@pytest.mark.parametrize("sets", CHOICES)
def test_the_rows_and_tests_of_some_sets_are_those_that_they_have_among_all(folder, sets):
    whole, some = folder.splits(), folder.splits(sets)

    def of(rows):
        return [row for row in rows if row.source in sets]

    assert some.train == of(whole.train)
    assert some.development == of(whole.development)
    assert some.tests == {
        name: whole.tests[name] for one in SETS if one in sets for name in TESTS_OF.get(one, ())
    }


@pytest.mark.parametrize("sets", CHOICES)
@pytest.mark.parametrize("test_set", ["topic_test", "tweet_test", "headlines"])
def test_no_test_text_of_any_set_is_trained_on_whichever_are_chosen(folder, sets, test_set):
    tested = next(
        f"{SHARED} {i}" for i in range(99) if share_of(f"{SHARED} {i}") < 0.2
    )  # fmt: skip
    label = '{"A": "neutral"}' if test_set == "headlines" else 1
    getattr(folder, test_set).append((tested, label))
    for name in ("topic_train", "tweet_train", "retail", "stock", "crypto"):
        rows = getattr(folder, name)
        rows.append((f"{tested.upper()} https://t.co/x", rows[0][1]))

    splits = folder.splits(sets)

    assert normal_form(tested) not in trained(splits)
    assert normal_form(tested) in splits.held_out


def test_a_tweet_that_is_tested_nowhere_since_it_is_repeated_is_not_trained_on(folder):
    folder.tweet_test.append((SHARED, 1))
    folder.tweet_repeats = [20]
    folder.retail.append((SHARED, "negative"))

    splits = folder.splits([RETAIL])

    assert normal_form(SHARED) not in trained(splits)


def test_labels_that_other_sets_give_to_a_text_are_not_those_of_some_sets(folder):
    folder.topic_train.append((SHARED, 7))
    folder.retail.append((SHARED.upper(), "negative"))

    one, other = (trained(folder.splits([name]))[normal_form(SHARED)] for name in (TOPICS, RETAIL))

    assert (one, one.source) == (Example(SHARED, 7), TOPICS)
    assert (other, other.source) == (Example(SHARED.upper(), UNLABELLED, NEGATIVE), RETAIL)


def test_a_test_set_without_rows_is_left_out(folder):
    folder.headlines = []

    assert FIFTH not in folder.splits().tests
    assert folder.splits([HEADLINES]).tests == {}


def test_a_folder_of_the_public_sets_and_each_of_its_sets_are_known_by_their_names(folder):
    path = folder.write()

    assert is_folder(path)
    assert is_public(path)
    for name in SETS:
        assert is_public(path / name)
        assert not is_folder(path / name)


def test_what_is_no_set_is_not_known(folder, tmp_path):
    path = folder.write()
    (tmp_path / HEADLINES).mkdir()
    (path / "labels.csv").touch()

    for other in (
        tmp_path,
        tmp_path / HEADLINES,
        path / STOCKNET,
        path / "labels.csv",
        path / "absent",
        path / HEADLINES / "SEntFiN.csv",
    ):
        assert not is_public(other), other


@pytest.mark.parametrize(
    ("named", "sets"),
    [
        (["."], SETS),
        ([HEADLINES], [HEADLINES]),
        ([HEADLINES, RETAIL], [HEADLINES, RETAIL]),
        ([".", HEADLINES], SETS),
        ([HEADLINES, "."], SETS),
        ([HEADLINES, ".", RETAIL], SETS),
        ([HEADLINES, HEADLINES], [HEADLINES]),
        (list(SETS), SETS),
    ],
)
def test_sets_are_named_by_their_folders_and_all_of_them_by_that_above(folder, named, sets):
    path = folder.write()

    assert named_splits([path / name for name in named]) == folder.splits(sets)


def test_a_set_may_be_named_from_within_the_folder(folder, monkeypatch):
    monkeypatch.chdir(folder.write())

    assert named_splits([Path(HEADLINES)]) == folder.splits([HEADLINES])
    assert named_splits([Path()]) == folder.splits()


def test_sets_of_two_folders_are_told(folder, tmp_path):
    other = PublicSets(tmp_path / "other").write()

    with pytest.raises(DatasetError, match="name one folder of the public sets, not several"):
        named_splits([folder.write() / HEADLINES, other / RETAIL])


@pytest.mark.parametrize("name", [STOCKNET, "labels.csv", "absent"])
def test_what_is_no_labelled_set_is_told_with_those_there_are(folder, name):
    path = folder.write()

    with pytest.raises(DatasetError, match=f"{name} is neither a folder .* {HEADLINES}, "):
        named_splits([path / HEADLINES, path / name])


@pytest.mark.parametrize("sets", [(name,) for name in SETS])
@pytest.mark.parametrize("name", SETS)
def test_a_set_that_is_missing_is_named_whichever_are_chosen(folder, name, sets):
    folder.write()
    shutil.rmtree(folder.path / name)

    for chosen in (SETS, sets):
        with pytest.raises(DatasetError, match=rf"training set not found: .*{name}.*docs/data\.md"):
            load_splits(folder.path, chosen)


@pytest.mark.parametrize(
    "name",
    [
        "twitter-financial-news-topic/validation.parquet",
        "twitter-financial-news-topic/validation_rows_duplicated_in_train.txt",
        "twitter-financial-news-sentiment/sent_valid.csv",
    ],
)
def test_a_file_that_is_missing_from_a_set_is_named(folder, name):
    folder.write()
    (folder.path / name).unlink()

    with pytest.raises(DatasetError, match=name):
        load_splits(folder.path)


def test_unlabelled_texts_are_needed_for_the_corpus_only(folder):
    folder.write()
    shutil.rmtree(folder.path / "stocknet")

    assert load_splits(folder.path).train
    with pytest.raises(DatasetError, match="stocknet"):
        load_corpus(folder.path)


def test_the_published_split_trains_on_the_test_rows_that_were_published_in_training(folder):
    folder.topic_train += [(SHARED, 3), ("Another text that is tested and trained on", 4)]
    folder.topic_test += [(SHARED.upper(), 3), ("Another text that is tested and trained on", 4)]
    folder.topic_repeats = [20, 21]

    strict, published = folder.splits(), folder.splits(published=True)

    added = forms(published.train) - forms(strict.train)
    assert added == {normal_form(SHARED), "another text that is tested and trained on"}
    assert forms(published.development) == forms(strict.development)
    assert list(published.tests) == ["topic, published validation"]
    assert len(published.tests["topic, published validation"]) == 22


def test_the_published_split_of_the_topic_set_alone_has_its_rows_alone(folder):
    folder.topic_train.append((SHARED, 3))
    folder.topic_test.append((SHARED, 3))
    folder.topic_repeats = [20]

    splits = folder.splits([TOPICS], published=True)

    assert {e.source for e in [*splits.train, *splits.development]} == {TOPICS}
    assert normal_form(SHARED) in forms(splits.train)
    assert list(splits.tests) == ["topic, published validation"]


@pytest.mark.parametrize("sets", [(HEADLINES,), COMMENTS])
def test_the_published_split_brings_no_topics_where_they_are_not_chosen(folder, sets):
    folder.topic_train.append((SHARED, 3))
    folder.topic_test.append((SHARED, 3))
    folder.topic_repeats = [20]

    splits = folder.splits(sets, published=True)

    assert {e.source for e in splits.train} == set(sets)
    assert "topic, published validation" not in splits.tests


def written(path, content):
    path.write_bytes(content)
    return path


def test_texts_come_from_files_of_every_kind_each_once(folder, tmp_path):
    lines = written(tmp_path / "lines.txt", b"One text\n\n  Two texts \nONE  text\n")
    packed = written(tmp_path / "more.txt.gz", gzip.compress("Drei Sätze\n".encode()))
    rows = [{"text": "Four texts"}, {"text": "two texts https://t.co/x"}]
    objects = written(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, rows)).encode())
    folder.write()

    assert read_texts([lines, packed, objects]) == [
        "One text", "Two texts", "Drei Sätze", "Four texts"
    ]  # fmt: skip
    corpus = [example.text for example in folder.corpus()]
    assert read_texts([folder.path, lines]) == [*corpus, "One text", "Two texts"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rows.jsonl", b'{"text": "a"}\n{"txt": "b"}\n', "line 2: no JSON with a field `text`"),
        ("rows.jsonl", b"not json\n", "line 1: no JSON"),
        ("rows.jsonl", b"[1]\n", "line 1: no JSON"),
        ("lines.txt", b"\xff\xfe\x00", "cannot be read"),
        ("lines.txt.gz", b"not gzip", "cannot be read"),
        ("lines.txt.gz", gzip.compress(b"text " * 99)[:-12], "cannot be read"),
    ],
)
def test_a_file_of_texts_that_cannot_be_read_is_told(tmp_path, name, content, says):
    with pytest.raises(DatasetError, match=f"{name}.*{says}"):
        read_texts([written(tmp_path / name, content)])


def test_a_place_without_texts_is_told(tmp_path):
    for path in (tmp_path, tmp_path / "absent.txt"):
        with pytest.raises(DatasetError, match="neither a file nor a folder of the public sets"):
            read_texts([path])
