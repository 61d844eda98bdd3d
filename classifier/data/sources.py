"""A user's own labelled texts: CSV, JSON lines, Parquet, or a data set of the Hub.

Columns are named by the user; sentiments may be written in any of the usual ways, topics are
whatever the file says. Rows without text or label are left out and counted. Knows no models.
"""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from classifier.data.datasets import DatasetError, Example
from classifier.labels import SENTIMENTS, UNLABELLED, Labels

LONGEST_TEXT = 16_384
"""Characters of a text that are kept: far more than any context holds."""

_SPELLINGS = {
    "negative": ("negative", "neg", "bearish", "-1"),
    "neutral": ("neutral", "none", "0"),
    "positive": ("positive", "pos", "bullish", "1", "+1"),
}
_NUMBER_WITHOUT_FRACTION = re.compile(r"([-+]?\d+)\.0*")
_SENTIMENT_OF = {
    spelling: SENTIMENTS.index(name) for name, all_of in _SPELLINGS.items() for spelling in all_of
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold what.

    A label column that is None is taken under its own name if it is there; an empty name is none.
    """

    text: str = "text"
    topic: str | None = None
    sentiment: str | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled texts, the names behind their labels, and how many rows were left out and why."""

    examples: list[Example]
    labels: Labels
    left_out: Mapping[str, int] = field(default_factory=dict)


def read_file(path: Path, columns: Columns | None = None, labels: Labels | None = None) -> Labelled:
    """Read a labelled file. Raises DatasetError.

    With ``labels``, topics must be among theirs; without, the topics that occur are the label
    set, in the order of their names.
    """
    if not path.is_file():
        raise DatasetError(f"no labelled file {path}")
    try:
        frame = _read(path)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    return read_frame(frame, str(path), columns, labels)


def read_hub(name: str, columns: Columns | None = None, labels: Labels | None = None) -> Labelled:
    """Read the training split of a data set of the Hub, or of a folder laid out like one.

    Needs the package ``datasets``. Class indices become the names that the set gives them.
    Raises DatasetError.
    """
    try:
        from datasets import load_dataset  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise DatasetError(
            f"{name} is no file; to read a data set of the Hub: pip install 'tapewatch[train]'"
        ) from error
    try:
        rows = load_dataset(name, split="train")
    except Exception as error:
        raise DatasetError(f"the data set {name!r} cannot be read: {error}") from error
    frame = rows.to_pandas()
    for column, feature in rows.features.items():
        names = getattr(feature, "names", None)
        if names:
            frame[column] = [_named(names, index) for index in frame[column]]
    return read_frame(frame, name, columns, labels)


def read_frame(
    frame: pd.DataFrame, origin: str, columns: Columns | None = None, labels: Labels | None = None
) -> Labelled:
    """Labelled rows of ``frame``; ``origin`` names it in messages. Raises DatasetError."""
    columns = _found(frame, origin, columns or Columns())
    texts = [_text(value) for value in frame[columns.text]]
    topics = _values(frame, columns.topic)
    sentiments = _values(frame, columns.sentiment)
    labels = labels or Labels(topics=_names(topics) or Labels().topics)
    left_out = {"without text": 0, "without label": 0}
    examples = []
    for number, (text, topic, sentiment) in enumerate(
        zip(texts, topics, sentiments, strict=True), start=1
    ):
        example = Example(
            text,
            _topic(topic, labels, f"{origin}, row {number}"),
            _sentiment(sentiment, f"{origin}, row {number}"),
            Path(origin).name,
        )
        if not text:
            left_out["without text"] += 1
        elif (example.topic, example.sentiment) == (UNLABELLED, UNLABELLED):
            left_out["without label"] += 1
        else:
            examples.append(example)
    if not examples:
        raise DatasetError(f"{origin} holds no labelled row: {left_out}")
    return Labelled(examples, labels, left_out)


def _read(path: Path) -> pd.DataFrame:
    match Path(path.name.removesuffix(".gz")).suffix:
        case ".csv":
            return _read_csv(path, ",")
        case ".tsv":
            return _read_csv(path, "\t")
        case ".jsonl":
            return pd.read_json(path, lines=True, dtype=False)
        case ".parquet":
            return pd.read_parquet(path)
    raise ValueError("give CSV, TSV, JSONL or Parquet, by the end of the name")


def _read_csv(path: Path, separator: str) -> pd.DataFrame:
    """As text alone: a topic may be called "NA" or "None", and a text may be a number."""
    return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)


def _found(frame: pd.DataFrame, origin: str, columns: Columns) -> Columns:
    topic, sentiment = (
        name if given is None and name in frame else given
        for name, given in (("topic", columns.topic), ("sentiment", columns.sentiment))
    )
    wanted = [columns.text, *filter(None, (topic, sentiment))]
    missing = [name for name in wanted if name not in frame]
    if missing:
        raise DatasetError(
            f"{origin} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(str, frame.columns))}"
        )
    if not (topic or sentiment):
        raise DatasetError(
            f"{origin} has no column 'topic' or 'sentiment': say which of "
            f"{', '.join(map(str, frame.columns))} holds the labels"
        )
    return Columns(columns.text, topic, sentiment)


def _values(frame: pd.DataFrame, column: str | None) -> list[str | None]:
    if not column:
        return [None] * len(frame)
    return [_label(value) for value in frame[column]]


def _text(value: object) -> str:
    return "" if _is_missing(value) else str(value)[:LONGEST_TEXT].strip()


def _label(value: object) -> str | None:
    """The label as it is written; "1.0", which a column with gaps makes of 1, is "1"."""
    label = "" if _is_missing(value) else str(value).strip()
    if label in {"", "nan", "NaN"}:
        return None
    number = _NUMBER_WITHOUT_FRACTION.fullmatch(label)
    return number[1] if number else label


def _named(names: Sequence[str], index: float | None) -> str | None:
    return None if index is None or _is_missing(index) or index < 0 else names[int(index)]


def _is_missing(value: object) -> bool:
    nan = isinstance(value, (float, np.floating)) and np.isnan(value)
    return value is None or value is pd.NA or value is pd.NaT or bool(nan)


def _names(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value is not None}))


def _topic(value: str | None, labels: Labels, where: str) -> int:
    if value is None:
        return UNLABELLED
    if value in labels.topics:
        return labels.topics.index(value)
    raise DatasetError(
        f"{where}: unknown topic {value!r}; the label set is {', '.join(labels.topics)}"
    )


def _sentiment(value: str | None, where: str) -> int:
    if value is None:
        return UNLABELLED
    index = _SENTIMENT_OF.get(value.lower())
    if index is None:
        raise DatasetError(
            f"{where}: unknown sentiment {value!r}; known are {', '.join(_SENTIMENT_OF)}"
        )
    return index
