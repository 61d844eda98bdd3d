"""The public training sets in their real layout, small, made of invented sentences."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from classifier.data.datasets import Example, Splits
from classifier.data.public import SETS, load_corpus, load_splits


def sentences(name: str, count: int) -> list[str]:
    """So many texts, all different."""
    return [f"The {name} sentence with number {i} is about markets" for i in range(count)]


class PublicSets:
    """A folder of all sets; a test changes the rows before it has them written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topic_train = [(text, i % 20) for i, text in enumerate(sentences("topic", 60))]
        self.topic_test = [(text, i % 20) for i, text in enumerate(sentences("validation", 20))]
        self.topic_repeats: list[int] = []
        self.tweet_train = [(text, i % 3) for i, text in enumerate(sentences("tweet", 60))]
        self.tweet_test = [(text, i % 3) for i, text in enumerate(sentences("held out", 20))]
        self.tweet_repeats: list[int] = []
        self.headlines = [(t, '{"Bank": "neutral"}') for t in sentences("headline", 60)]
        self.retail = [(text, "negative") for text in sentences("retail", 30)]
        self.stock = [(text, "Positive") for text in sentences("stock", 30)]
        self.crypto = [(text, "negative") for text in sentences("crypto", 30)]
        self.unlabelled = sentences("unlabelled", 30)

    def write(self) -> Path:
        """Write every set; the folder."""
        topics = self._made("twitter-financial-news-topic")
        for name, rows in (("train", self.topic_train), ("validation", self.topic_test)):
            _frame(rows, "text", "label").to_parquet(topics / f"{name}.parquet")
        _numbers(topics / "validation_rows_duplicated_in_train.txt", self.topic_repeats)
        tweets = self._made("twitter-financial-news-sentiment")
        for name, rows in (("train", self.tweet_train), ("valid", self.tweet_test)):
            _frame(rows, "text", "label").to_csv(tweets / f"sent_{name}.csv", index=False)
        _numbers(tweets / "valid_rows_duplicated_in_train.txt", self.tweet_repeats)
        headlines = _frame(self.headlines, "Title", "Decisions")
        headlines.to_csv(self._made("sentfin") / "SEntFiN.csv", index=False)
        retail = _frame(self.retail, "text", "sentiment")
        name = "tweets_labelled_09042020_16072020.csv"
        retail.to_csv(self._made("ieee_stock_tweets") / name, sep=";", index=False)
        for kind, column, rows in (
            ("stock", "Tweet Text", self.stock),
            ("crypto", "Comment Text", self.crypto),
        ):
            path = self._made(f"surge_{kind}_sentiment") / "sentiment.csv"
            _frame(rows, column, "Sentiment").to_csv(path, index=False)
        lines = "".join(json.dumps({"text": text}) + "\n" for text in self.unlabelled)
        path = self._made("stocknet") / "tweets.jsonl.gz"
        path.write_bytes(gzip.compress(lines.encode()))
        return self.path

    def splits(self, sets: Collection[str] = SETS, *, published: bool = False) -> Splits:
        """Written, and read by the real reader."""
        return load_splits(self.write(), sets, published=published)

    def corpus(self) -> list[Example]:
        """Written, and read by the real reader."""
        return load_corpus(self.write())

    def _made(self, name: str) -> Path:
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def _frame(rows: Iterable[tuple[object, ...]], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))


def _numbers(path: Path, rows: Iterable[int]) -> None:
    path.write_text("\n".join(map(str, rows)))
