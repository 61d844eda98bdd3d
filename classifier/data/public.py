"""The public sets that the shipped weights were trained on, read from a local folder.

The folder's layout and each set's origin and licence are in docs/data.md. Their published test
rows are kept; what is split anew is split by a hash of the text, so that it never moves.
"""

import ast
import gzip
import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
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

TOPICS = "twitter-financial-news-topic"
TWEETS = "twitter-financial-news-sentiment"
HEADLINES = "sentfin"
RETAIL = "ieee_stock_tweets"
COMMENTS = ("surge_stock_sentiment", "surge_crypto_sentiment")
STOCKNET = "stocknet"
SETS = (TOPICS, TWEETS, HEADLINES, RETAIL, *COMMENTS)
"""The labelled sets, by the names of their folders."""

_SENTIMENT = {name: index for index, name in enumerate(SENTIMENTS)}
_TWITTER_SENTIMENT = {0: _SENTIMENT["negative"], 1: _SENTIMENT["positive"], 2: 1}


def is_folder(path: Path) -> bool:
    """Whether the public sets are laid out below ``path``."""
    return (path / TOPICS).is_dir()


def is_public(path: Path) -> bool:
    """Whether ``path`` is a folder of the public sets, or one of them by the name of its folder."""
    return is_folder(path) or (path.name in SETS and is_folder(path.parent))


def has_topics(path: Path) -> bool:
    """Whether topics are among the labels of this public set, or folder of the public sets."""
    return is_folder(path) or path.name == TOPICS


def named_splits(paths: Sequence[Path], *, published: bool = False) -> Splits:
    """The splits of a folder of the public sets, or of some of its sets by their own folders.

    Raises DatasetError.
    """
    for path in paths:
        if not is_public(path):
            raise DatasetError(
                f"{path} is neither a folder of the public sets nor one of them: "
                f"{', '.join(SETS)}; docs/data.md lists them"
            )
    folders = {path if is_folder(path) else path.parent for path in paths}
    if len(folders) > 1:
        raise DatasetError("name one folder of the public sets, not several")
    named = {path.name for path in paths if not is_folder(path)}
    sets = SETS if any(is_folder(path) for path in paths) else named
    return load_splits(folders.pop(), sets, published=published)


def load_splits(
    directory: Path, sets: Collection[str] = SETS, *, published: bool = False
) -> Splits:
    """Read the labelled sets below ``directory`` and split them without leaks.

    Training, development and test rows are those of ``sets``; no test row of any set is trained
    on, so all must be there. ``published`` trains on the topic set's training rows as they were
    published, of which some repeat validation rows: only for comparing with others who did so.
    Raises DatasetError if a set is missing.
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
    if published and TOPICS in sets:
        repeated = {normal_form(e.text) for e in topic_test} - {normal_form(e.text) for e in clean}
        tests = {"topic, published validation": topic_test}
        topics = [e for e in topics if normal_form(e.text) in repeated]
        rest = load_splits(directory, sets)
        return Splits([*rest.train, *topics], rest.development, tests, rest.held_out)
    training = _of([*topics, *tweets, *headlines, *_comments(directory)], sets)
    splits = make_splits(training, tests, also_excluded=tweet_test)
    return replace(splits, tests={n: rows for n, rows in tests.items() if _of(rows, sets)})


def load_corpus(directory: Path) -> list[Example]:
    """Distinct texts for language-model pre-training, without any test or development text.

    Labels of training rows stay with them.
    """
    splits = load_splits(directory)
    seen = set(splits.held_out)
    corpus = []
    for example in (*splits.train, *_unlabelled(directory)):
        form = normal_form(example.text)
        if len(form) >= 20 and form not in seen:
            seen.add(form)
            corpus.append(example)
    return corpus


def read_texts(paths: Sequence[Path]) -> list[str]:
    """Distinct texts of folders of the public sets and of files: one a line, or JSON lines' `text`.

    Raises DatasetError.
    """
    texts: dict[str, str] = {}
    for path in paths:
        read = (e.text for e in load_corpus(path)) if is_folder(path) else _lines(path)
        for text in read:
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


def _of(rows: Iterable[Example], sets: Collection[str]) -> list[Example]:
    return [row for row in rows if row.source in sets]


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
    folder = _file(directory, TOPICS)
    splits = []
    for name in ("train", "validation"):
        frame = pd.read_parquet(_file(folder, f"{name}.parquet"))
        rows = zip(frame["text"], frame["label"], strict=True)
        splits.append([Example(t, topic=int(label), source=TOPICS) for t, label in rows])
    return (
        splits[0],
        splits[1],
        _row_numbers(_file(folder, "validation_rows_duplicated_in_train.txt")),
    )


def _tweet_sentiment(directory: Path) -> tuple[list[Example], list[Example], set[int]]:
    folder = _file(directory, TWEETS)
    splits = []
    for name in ("train", "valid"):
        frame = pd.read_csv(_file(folder, f"sent_{name}.csv"))
        rows = zip(frame["text"], frame["label"], strict=True)
        splits.append(
            [Example(t, sentiment=_TWITTER_SENTIMENT[int(n)], source=TWEETS) for t, n in rows]
        )
    return splits[0], splits[1], _row_numbers(_file(folder, "valid_rows_duplicated_in_train.txt"))


def _headlines(directory: Path) -> list[Example]:
    """SEntFiN headlines whose entities all carry the same sentiment."""
    frame = pd.read_csv(_file(directory, f"{HEADLINES}/SEntFiN.csv"))
    examples = []
    for title, decisions in zip(frame["Title"], frame["Decisions"], strict=True):
        try:
            labels = set(ast.literal_eval(decisions).values())
        except (SyntaxError, ValueError):
            continue
        if len(labels) == 1:
            label = _SENTIMENT[labels.pop()]
            examples.append(Example(title, sentiment=label, source=HEADLINES))
    return examples


def _comments(directory: Path) -> Iterator[Example]:
    frame = _retail_tweets(directory)
    labelled = frame[frame["sentiment"].notna()]
    for text, label in zip(labelled["text"], labelled["sentiment"], strict=True):
        yield Example(text, sentiment=_SENTIMENT[label], source=RETAIL)
    for name, column in zip(COMMENTS, ("Tweet Text", "Comment Text"), strict=True):
        frame = pd.read_csv(_file(directory, f"{name}/sentiment.csv"))
        for text, label in zip(frame[column], frame["Sentiment"], strict=True):
            yield Example(text, sentiment=_SENTIMENT[label.lower()], source=name)


def _retail_tweets(directory: Path) -> pd.DataFrame:
    name = f"{RETAIL}/tweets_labelled_09042020_16072020.csv"
    return pd.read_csv(_file(directory, name), sep=";")


def _unlabelled(directory: Path) -> Iterator[Example]:
    for text in _retail_tweets(directory)["text"]:
        yield Example(text, source=RETAIL)
    for title in pd.read_csv(_file(directory, f"{HEADLINES}/SEntFiN.csv"))["Title"]:
        yield Example(title, source=HEADLINES)
    path = _file(directory, f"{STOCKNET}/tweets.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield Example(json.loads(line)["text"], source=STOCKNET)
