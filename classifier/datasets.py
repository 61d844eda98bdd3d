"""Labelled and unlabelled text for training, read from a local folder of public sets.

Nothing leaks: texts are compared in their normal form (lower case, no links, white space folded),
a text of a test set is never trained on, and development rows are carved out of the training rows
by a hash of that form, so that the split does not move when rows are added. Knows nothing of
models or tokenizers. The folder's layout and each set's origin and licence are in docs/data.md.
"""

import ast
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from classifier.labels import SENTIMENTS, UNLABELLED

_LINK = re.compile(r"(https?://|www\.)\S+")
_SENTIMENT = {name: index for index, name in enumerate(SENTIMENTS)}
_TWITTER_SENTIMENT = {0: _SENTIMENT["negative"], 1: _SENTIMENT["positive"], 2: 1}


class DatasetError(ValueError):
    """A training set is missing or unreadable; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text; a label that is missing is ``UNLABELLED``."""

    text: str
    topic: int = UNLABELLED
    sentiment: int = UNLABELLED


@dataclass(frozen=True, slots=True)
class Splits:
    """Training and development rows, and the named test sets, with no text in two of them."""

    train: list[Example]
    development: list[Example]
    tests: dict[str, list[Example]]
    held_out: frozenset[str]
    """The normal form of every test and development text."""


def normal_form(text: str) -> str:
    """The form in which two texts count as the same: lower case, no links, white space folded."""
    return " ".join(_LINK.sub(" ", text.lower()).split())


def load_splits(directory: Path, development_share: float = 0.05) -> Splits:
    """Read every labelled set below ``directory`` and split it without leaks.

    Raises DatasetError if a set is missing.
    """
    topics, topic_test, topic_repeats = _topics(directory)
    tweets, tweet_test, tweet_repeats = _tweet_sentiment(directory)
    headlines = _headlines(directory)
    headline_test = [e for e in headlines if _share(e.text) < 0.2]
    tests = {
        "topic, published validation": topic_test,
        "topic, without rows repeated in training": _without(topic_test, topic_repeats),
        "sentiment, without rows repeated in training": _without(tweet_test, tweet_repeats),
        "sentiment, headlines (a fixed fifth)": headline_test,
    }
    seen = {normal_form(example.text) for rows in tests.values() for example in rows}
    seen |= {normal_form(example.text) for example in tweet_test}
    training = _distinct([*topics, *tweets, *headlines, *_comments(directory)], seen)
    development = [e for e in training if _share(e.text, "development") < development_share]
    held_out = {normal_form(example.text) for example in development}
    train = [example for example in training if normal_form(example.text) not in held_out]
    return Splits(train, development, tests, frozenset(seen | held_out))


def load_corpus(directory: Path) -> list[str]:
    """Distinct texts for language-model pre-training, without any test or development text."""
    splits = load_splits(directory)
    seen = set(splits.held_out)
    corpus = []
    for text in (*(e.text for e in splits.train), *_unlabelled(directory)):
        form = normal_form(text)
        if len(form) >= 20 and form not in seen:
            seen.add(form)
            corpus.append(text)
    return corpus


def _distinct(examples: Iterable[Example], excluded: set[str]) -> list[Example]:
    """One example a text: labels of the same text from two sets are joined, conflicts dropped."""
    same: dict[str, list[Example]] = {}
    for example in examples:
        form = normal_form(example.text)
        if form and form not in excluded:
            same.setdefault(form, []).append(example)
    joined = (
        Example(
            group[0].text,
            _agreed(example.topic for example in group),
            _agreed(example.sentiment for example in group),
        )
        for group in same.values()
    )
    return [e for e in joined if (e.topic, e.sentiment) != (UNLABELLED, UNLABELLED)]


def _agreed(labels: Iterable[int]) -> int:
    """The one label that is given; none where there is none, or more than one."""
    given = set(labels) - {UNLABELLED}
    return given.pop() if len(given) == 1 else UNLABELLED


def _without(rows: Sequence[Example], dropped: set[int]) -> list[Example]:
    return [row for index, row in enumerate(rows) if index not in dropped]


def _share(text: str, salt: str = "test") -> float:
    """A number in [0, 1) that depends on the normal form alone."""
    digest = hashlib.sha256(f"{salt}:{normal_form(text)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _file(directory: Path, name: str) -> Path:
    path = directory / name
    if not path.exists():
        raise DatasetError(f"training set not found: {path}; docs/data.md lists the sets to fetch")
    return path


def _row_numbers(path: Path) -> set[int]:
    return {int(number) for number in path.read_text().split()}


def _topics(directory: Path) -> tuple[list[Example], list[Example], set[int]]:
    folder = _file(directory, "twitter-financial-news-topic")
    splits = []
    for name in ("train", "validation"):
        frame = pd.read_parquet(_file(folder, f"{name}.parquet"))
        rows = zip(frame["text"], frame["label"], strict=True)
        splits.append([Example(text, topic=int(label)) for text, label in rows])
    return (
        splits[0],
        splits[1],
        _row_numbers(_file(folder, "validation_rows_duplicated_in_train.txt")),
    )


def _tweet_sentiment(directory: Path) -> tuple[list[Example], list[Example], set[int]]:
    folder = _file(directory, "twitter-financial-news-sentiment")
    splits = []
    for name in ("train", "valid"):
        frame = pd.read_csv(_file(folder, f"sent_{name}.csv"))
        rows = zip(frame["text"], frame["label"], strict=True)
        splits.append([Example(t, sentiment=_TWITTER_SENTIMENT[int(label)]) for t, label in rows])
    return splits[0], splits[1], _row_numbers(_file(folder, "valid_rows_duplicated_in_train.txt"))


def _headlines(directory: Path) -> list[Example]:
    """SEntFiN headlines whose entities all carry the same sentiment."""
    frame = pd.read_csv(_file(directory, "sentfin/SEntFiN.csv"))
    examples = []
    for title, decisions in zip(frame["Title"], frame["Decisions"], strict=True):
        try:
            labels = set(ast.literal_eval(decisions).values())
        except (SyntaxError, ValueError):
            continue
        if len(labels) == 1:
            examples.append(Example(title, sentiment=_SENTIMENT[labels.pop()]))
    return examples


def _comments(directory: Path) -> Iterator[Example]:
    frame = _retail_tweets(directory)
    labelled = frame[frame["sentiment"].notna()]
    for text, label in zip(labelled["text"], labelled["sentiment"], strict=True):
        yield Example(text, sentiment=_SENTIMENT[label])
    for name, column in (("stock", "Tweet Text"), ("crypto", "Comment Text")):
        frame = pd.read_csv(_file(directory, f"surge_{name}_sentiment/sentiment.csv"))
        for text, label in zip(frame[column], frame["Sentiment"], strict=True):
            yield Example(text, sentiment=_SENTIMENT[label.lower()])


def _retail_tweets(directory: Path) -> pd.DataFrame:
    name = "ieee_stock_tweets/tweets_labelled_09042020_16072020.csv"
    return pd.read_csv(_file(directory, name), sep=";")


def _unlabelled(directory: Path) -> Iterator[str]:
    yield from _retail_tweets(directory)["text"]
    yield from pd.read_csv(_file(directory, "sentfin/SEntFiN.csv"))["Title"]
    with gzip.open(_file(directory, "stocknet/tweets.jsonl.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]
