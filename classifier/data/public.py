"""The public sets that the shipped weights were trained on, read from a local folder.

The folder's layout and each set's origin and licence are in docs/data.md. Their published test
rows are kept; what is split anew is split by a hash of the text, so that it never moves.
"""

import ast
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from classifier.data.datasets import (
    DatasetError,
    Example,
    Splits,
    make_splits,
    normal_form,
    share_of,
)
from classifier.labels import SENTIMENTS

MARKER = "twitter-financial-news-topic"
"""The sub-folder by which a folder of the public sets is known."""

_SENTIMENT = {name: index for index, name in enumerate(SENTIMENTS)}
_TWITTER_SENTIMENT = {0: _SENTIMENT["negative"], 1: _SENTIMENT["positive"], 2: 1}


def load_splits(directory: Path, *, published: bool = False) -> Splits:
    """Read every labelled set below ``directory`` and split it without leaks.

    ``published`` trains on the topic set's training rows as they were published, of which some
    repeat validation rows: only for comparing with others who did so. Raises DatasetError if a
    set is missing.
    """
    topics, topic_test, topic_repeats = _topics(directory)
    tweets, tweet_test, tweet_repeats = _tweet_sentiment(directory)
    headlines = _headlines(directory)
    clean = _without(topic_test, topic_repeats)
    tests = {
        "topic, published validation": topic_test,
        "topic, without rows repeated in training": clean,
        "sentiment, without rows repeated in training": _without(tweet_test, tweet_repeats),
        "sentiment, headlines (a fixed fifth)": [e for e in headlines if share_of(e.text) < 0.2],
    }
    if published:
        repeated = {normal_form(e.text) for e in topic_test} - {normal_form(e.text) for e in clean}
        tests = {"topic, published validation": topic_test}
        topics = [e for e in topics if normal_form(e.text) in repeated]
        rest = load_splits(directory)
        return Splits([*rest.train, *topics], rest.development, tests, rest.held_out)
    training = [*topics, *tweets, *headlines, *_comments(directory)]
    return make_splits(training, tests, also_excluded=tweet_test)


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


def read_texts(paths: Sequence[Path]) -> list[str]:
    """Distinct texts of folders of the public sets and of files: one a line, or JSON lines' `text`.

    Raises DatasetError.
    """
    texts: dict[str, str] = {}
    for path in paths:
        for text in load_corpus(path) if (path / MARKER).is_dir() else _lines(path):
            texts.setdefault(normal_form(text), text)
    texts.pop("", None)
    return list(texts.values())


def _lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise DatasetError(f"{path} is neither a file nor a folder of the public sets")
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                yield _field(line, path, number) if ".jsonl" in path.suffixes else line.strip()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def _field(line: str, path: Path, number: int) -> str:
    try:
        return str(json.loads(line)["text"])
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}, line {number}: no JSON with a field `text`") from error


def _without(rows: Sequence[Example], dropped: set[int]) -> list[Example]:
    return [row for index, row in enumerate(rows) if index not in dropped]


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
