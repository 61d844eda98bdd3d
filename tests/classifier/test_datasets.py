import gzip
import json
import shutil

import pandas as pd
import pytest

from classifier.datasets import (
    UNLABELLED,
    DatasetError,
    Example,
    load_corpus,
    load_splits,
    normal_form,
)

NEGATIVE, NEUTRAL, POSITIVE = 0, 1, 2

SHARED = "Shares of the bank fall after the report, says the paper"


def sentences(name, count):
    return [f"The {name} sentence with number {i} is about markets" for i in range(count)]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


class Folder:
    """The training sets in their real layout, small; a test adds rows before it loads them."""

    def __init__(self, path):
        self.path = path
        self.topic_train = [(text, i % 20) for i, text in enumerate(sentences("topic", 60))]
        self.topic_test = [(text, i % 20) for i, text in enumerate(sentences("validation", 20))]
        self.topic_repeats = []
        self.tweet_train = [(text, i % 3) for i, text in enumerate(sentences("tweet", 60))]
        self.tweet_test = [(text, i % 3) for i, text in enumerate(sentences("held out", 20))]
        self.tweet_repeats = []
        self.headlines = [(t, '{"Bank": "neutral"}') for t in sentences("headline", 60)]
        self.retail = [(text, "negative") for text in sentences("retail", 30)]
        self.stock = [(text, "Positive") for text in sentences("stock", 30)]
        self.crypto = [(text, "negative") for text in sentences("crypto", 30)]
        self.unlabelled = sentences("unlabelled", 30)

    def write(self):
        topics = self._made("twitter-financial-news-topic")
        for name, rows in (("train", self.topic_train), ("validation", self.topic_test)):
            frame(rows, "text", "label").to_parquet(topics / f"{name}.parquet")
        numbers(topics / "validation_rows_duplicated_in_train.txt", self.topic_repeats)
        tweets = self._made("twitter-financial-news-sentiment")
        for name, rows in (("train", self.tweet_train), ("valid", self.tweet_test)):
            frame(rows, "text", "label").to_csv(tweets / f"sent_{name}.csv", index=False)
        numbers(tweets / "valid_rows_duplicated_in_train.txt", self.tweet_repeats)
        headlines = frame(self.headlines, "Title", "Decisions")
        headlines.to_csv(self._made("sentfin") / "SEntFiN.csv", index=False)
        retail = frame(self.retail, "text", "sentiment")
        name = "tweets_labelled_09042020_16072020.csv"
        retail.to_csv(self._made("ieee_stock_tweets") / name, sep=";", index=False)
        for kind, column, rows in (
            ("stock", "Tweet Text", self.stock),
            ("crypto", "Comment Text", self.crypto),
        ):
            path = self._made(f"surge_{kind}_sentiment") / "sentiment.csv"
            frame(rows, column, "Sentiment").to_csv(path, index=False)
        lines = "".join(json.dumps({"text": text}) + "\n" for text in self.unlabelled)
        path = self._made("stocknet") / "tweets.jsonl.gz"
        path.write_bytes(gzip.compress(lines.encode()))

    def _made(self, name):
        path = self.path / name
        path.mkdir(exist_ok=True)
        return path

    def splits(self, **options):
        self.write()
        return load_splits(self.path, **options)

    def corpus(self):
        self.write()
        return load_corpus(self.path)


def frame(rows, *columns):
    return pd.DataFrame(rows, columns=list(columns))


def numbers(path, rows):
    path.write_text("\n".join(map(str, rows)))


def forms(examples):
    return {normal_form(example.text) for example in examples}


def trained(splits):
    """Every example that training sees, by normal form."""
    return {normal_form(e.text): e for e in [*splits.train, *splits.development]}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Oil  FALLS\n", "oil falls"),
        ("Oil falls https://t.co/abc", "oil falls"),
        ("http://x.test oil www.example.test falls", "oil falls"),
        ("oil\u00a0falls", "oil falls"),
        ("https://t.co/abc", ""),
        ("", ""),
    ],
)
def test_two_texts_count_as_the_same_in_their_normal_form(text, form):
    assert normal_form(text) == form


def test_every_set_is_read_with_its_labels(folder):
    found = trained(folder.splits())

    def labels(name):
        return {(e.topic, e.sentiment) for form, e in found.items() if f"the {name} " in form}

    assert labels("topic") == {(topic, UNLABELLED) for topic in range(20)}
    assert labels("tweet") == {(UNLABELLED, s) for s in (NEGATIVE, NEUTRAL, POSITIVE)}
    assert labels("headline") == {(UNLABELLED, NEUTRAL)}
    assert labels("retail") == labels("crypto") == {(UNLABELLED, NEGATIVE)}
    assert labels("stock") == {(UNLABELLED, POSITIVE)}


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
        *splits.tests["sentiment, headlines (a fixed fifth)"],
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

    splits = folder.splits(development_share=0.3)

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
    before = folder.splits(development_share=0.3)
    folder.retail = [("a row that was added", "negative"), *folder.retail]
    folder.headlines.append(("A headline that was added", '{"A": "neutral"}'))
    after = folder.splits(development_share=0.3)

    assert forms(before.train) <= forms(after.train)
    assert forms(before.development) <= forms(after.development)
    fifth = "sentiment, headlines (a fixed fifth)"
    assert forms(before.tests[fifth]) <= forms(after.tests[fifth])


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.3, 0.2, 0.4), (1.0, 1, 1)])
def test_the_share_of_development_is_what_was_asked_for(folder, share, least, most):
    splits = folder.splits(development_share=share)

    held = len(splits.development) / (len(splits.development) + len(splits.train))
    assert least <= held <= most


def test_about_a_fifth_of_the_headlines_is_held_out(folder):
    folder.headlines = [(t, '{"A": "neutral"}') for t in sentences("headline", 500)]

    held = folder.splits().tests["sentiment, headlines (a fixed fifth)"]

    assert 60 <= len(held) <= 140


def test_the_corpus_holds_no_held_out_text_and_none_twice(folder):
    splits = folder.splits()
    held_out = forms(splits.development) | set().union(*map(forms, splits.tests.values()))
    folder.unlabelled += [*(e.text.upper() for e in splits.development), SHARED, SHARED.lower()]
    folder.unlabelled += [text for text, _ in folder.topic_test]

    corpus = [normal_form(text) for text in folder.corpus()]

    assert len(corpus) == len(set(corpus))
    assert set(corpus) & held_out == set()
    assert {normal_form(SHARED), *forms(splits.train)} <= set(corpus)


@pytest.mark.parametrize(("text", "kept"), [("x" * 19, False), ("x" * 20, True)])
def test_a_very_short_text_is_not_in_the_corpus(folder, text, kept):
    folder.unlabelled.append(text)

    assert (text in folder.corpus()) is kept


@pytest.mark.parametrize(
    "name",
    [
        "twitter-financial-news-topic",
        "twitter-financial-news-sentiment",
        "sentfin",
        "ieee_stock_tweets",
        "surge_stock_sentiment",
        "surge_crypto_sentiment",
    ],
)
def test_a_set_that_is_missing_is_named(folder, name):
    folder.write()
    shutil.rmtree(folder.path / name)

    with pytest.raises(DatasetError, match=rf"training set not found: .*{name}.*docs/data\.md"):
        load_splits(folder.path)


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
