"""Evaluation: how often a classifier is right, per class and over all, and how sure of it we are.

Works on probabilities, so the shipped model, a linear baseline and a prompted language model are
judged by the same code on the same rows. Intervals are 95 % bootstrap percentiles. Knows no
training, no torch and no plots.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from classifier.data.datasets import DatasetError, Example
from classifier.evaluation.calibration import binned_error, equal_width, reliability, top
from classifier.evaluation.confusion import (
    BOOTSTRAPS,
    Floats,
    Indices,
    Interval,
    confusion,
    interval,
    redraw,
    tally,
)
from classifier.labels import UNLABELLED, Labels

HEADS = ("topic", "sentiment")
SLICE = 1024
"""Texts that are scored between two reports of progress."""

Advance = Callable[[int], None]
"""Told of so many texts more that are done."""


class ProbabilisticClassifier(Protocol):
    """Whatever says how likely each topic and each sentiment of a text is."""

    @property
    def labels(self) -> Labels:
        """The names of the classes, in the order of the probabilities."""

    @property
    def version(self) -> str:
        """What to call it in a table."""

    def probabilities(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Topics (N, topics) and sentiments (N, sentiments); NaN for a head that it lacks."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: of what was said to be it, and of what is it, the share that is right."""

    precision: float
    recall: float
    f1: float
    f1_interval: Interval
    rows: int
    predicted: int


@dataclass(frozen=True, slots=True)
class Score:
    """One head on one set of rows."""

    head: str
    rows: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    majority_accuracy: float
    """The accuracy of saying the commonest class always."""
    ece: float
    """Expected calibration error, 15 bins of equal width (Guo et al. 2017)."""
    ece_interval: Interval
    """The bootstrap lifts small errors: the interval may lie above ``ece`` itself."""
    adaptive_ece: float
    """The same with bins of equally many rows."""
    brier: float
    """Mean squared distance of the probabilities from the truth, summed over classes (Brier)."""
    nll: float
    """Mean negative log-likelihood of the true class, in nats."""
    classes: dict[str, ClassScore]
    """The classes that are true or predicted of any row."""
    names: tuple[str, ...]
    """Every class of the head, in the order of ``confusion``."""
    confusion: tuple[tuple[int, ...], ...]
    """Rows by true class (outer) and predicted class (inner)."""


@dataclass(frozen=True, slots=True)
class Change:
    """How much more one classifier has than another; an interval without 0 is significant."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Difference:
    """One classifier less another on the same rows of one head (paired bootstrap)."""

    head: str
    rows: int
    accuracy: Change
    macro_f1: Change
    classes: dict[str, Change]
    """The F1 of each class that is true or predicted of any row."""


def macro_f1(target: Indices, predicted: Indices) -> float:
    """The mean F1 over the classes that occur in ``target`` or ``predicted``; 0 without rows."""
    if not len(target):
        return 0.0
    size = int(max(target.max(), predicted.max())) + 1
    return float(tally(target, predicted, np.ones(len(target), dtype=np.int64), size).macro_f1)


def evaluate(
    classifier: ProbabilisticClassifier,
    examples: Sequence[Example],
    seed: int = 7,
    advance: Advance | None = None,
) -> list[Score]:
    """One Score for each head that ``examples`` carry labels for and ``classifier`` has.

    Raises DatasetError if a row has a class that the classifier does not know.
    """
    probabilities = predict(classifier, [example.text for example in examples], advance)
    return judge(classifier.labels, examples, probabilities, seed)


def predict(
    classifier: ProbabilisticClassifier, texts: Sequence[str], advance: Advance | None = None
) -> tuple[Floats, Floats]:
    """The probabilities of ``texts``, a slice at a time."""
    parts = []
    for first in range(0, max(1, len(texts)), SLICE):
        part = texts[first : first + SLICE]
        parts.append(classifier.probabilities(part))
        if advance:
            advance(len(part))
    topics, sentiments = zip(*parts, strict=True)
    return np.concatenate(topics), np.concatenate(sentiments)


def judge(
    labels: Labels,
    examples: Sequence[Example],
    probabilities: tuple[Floats, Floats],
    seed: int = 7,
) -> list[Score]:
    """As ``evaluate``, of probabilities of the examples that are known already."""
    return [
        score_head(head, names, target, values, seed)
        for head, names, target, values in _by_head(labels, examples, probabilities)
    ]


def score_head(
    head: str, names: Sequence[str], target: Indices, probabilities: Floats, seed: int = 7
) -> Score:
    """Judge ``probabilities`` (N, C) of one head on the classes ``target`` (N,), all labelled."""
    matrix = confusion(target, probabilities.argmax(axis=1), len(names))
    true, said = matrix.nonzero()
    counts = matrix[true, said]
    found = tally(true, said, counts, len(names))
    drawn = tally(true, said, redraw(counts, seed), len(names))
    calibration = reliability(probabilities, target)
    likelihood = np.take_along_axis(probabilities, target[:, None], axis=1)
    return Score(
        head=head,
        rows=len(target),
        accuracy=float(found.accuracy),
        accuracy_interval=interval(drawn.accuracy),
        macro_f1=float(found.macro_f1),
        macro_f1_interval=interval(drawn.macro_f1),
        majority_accuracy=float(found.true.max() / len(target)),
        ece=calibration.ece,
        ece_interval=_ece_interval(probabilities, target, seed),
        adaptive_ece=calibration.adaptive_ece,
        brier=float(((probabilities - np.eye(len(names))[target]) ** 2).sum(axis=1).mean()),
        nll=float(-np.log(np.maximum(likelihood, 1e-12)).mean()),
        classes={
            names[c]: ClassScore(
                precision=float(found.hits[c] / max(1, found.said[c])),
                recall=float(found.hits[c] / max(1, found.true[c])),
                f1=float(found.f1[c]),
                f1_interval=interval(drawn.f1[:, c]),
                rows=int(found.true[c]),
                predicted=int(found.said[c]),
            )
            for c in np.flatnonzero(found.true + found.said).tolist()
        },
        names=tuple(names),
        confusion=tuple(tuple(int(n) for n in row) for row in matrix),
    )


def compare(
    classifier: ProbabilisticClassifier,
    other: ProbabilisticClassifier,
    examples: Sequence[Example],
    seed: int = 7,
) -> list[Difference]:
    """``classifier`` less ``other`` on the same rows, for each head that both have.

    Raises DatasetError if the two do not know the same classes.
    """
    if classifier.labels != other.labels:
        raise DatasetError(
            f"{classifier.version} and {other.version} cannot be compared: they know different "
            "classes"
        )
    texts = [example.text for example in examples]
    mine, theirs = (predict(c, texts) for c in (classifier, other))
    return judge_difference(classifier.labels, examples, mine, theirs, seed)


def judge_difference(
    labels: Labels,
    examples: Sequence[Example],
    probabilities: tuple[Floats, Floats],
    other: tuple[Floats, Floats],
    seed: int = 7,
) -> list[Difference]:
    """As ``compare``, of probabilities of the examples that are known already."""
    theirs = {head: values for head, _, _, values in _by_head(labels, examples, other)}
    return [
        _difference(head, names, target, (values.argmax(1), theirs[head].argmax(1)), seed)
        for head, names, target, values in _by_head(labels, examples, probabilities)
        if head in theirs
    ]


def _difference(
    head: str, names: Sequence[str], target: Indices, said: tuple[Indices, Indices], seed: int
) -> Difference:
    """The first classes said less the second, by draws of the triples (true, first, second)."""
    triples, counts = np.unique(np.stack([target, *said]), axis=1, return_counts=True)
    draws = np.vstack([counts, redraw(counts, seed)])  # its first row is what was measured
    mine, theirs = (tally(triples[0], said_by, draws, len(names)) for said_by in triples[1:])
    # True classes occur in both; one that only one of the two ever says has an F1 of 0 in both.
    by_class = np.nan_to_num(mine.f1) - np.nan_to_num(theirs.f1)
    occurs = (mine.true + mine.said + theirs.said)[0] > 0
    return Difference(
        head,
        len(target),
        _change(mine.accuracy - theirs.accuracy),
        _change(mine.macro_f1 - theirs.macro_f1),
        {names[c]: _change(by_class[:, c]) for c in np.flatnonzero(occurs).tolist()},
    )


def as_json(scores: Mapping[str, Sequence[Score]]) -> dict[str, list[dict[str, Any]]]:
    """The scores as plain data, by test set."""
    return {name: [asdict(score) for score in rows] for name, rows in scores.items()}


def _by_head(
    labels: Labels, examples: Sequence[Example], probabilities: tuple[Floats, Floats]
) -> Iterator[tuple[str, tuple[str, ...], Indices, Floats]]:
    """Each head with a label and a probability: its classes, and both for the labelled rows."""
    columns = ([e.topic for e in examples], [e.sentiment for e in examples])
    every = (labels.topics, labels.sentiments)
    for head, names, column, values in zip(HEADS, every, columns, probabilities, strict=True):
        target = np.asarray(column, dtype=np.int64)
        labelled = target != UNLABELLED
        if not labelled.any() or np.isnan(values[labelled]).any():
            continue
        if not 0 <= target[labelled].min() <= target[labelled].max() < len(names):
            raise DatasetError(
                f"a row's {head} is class number {target[labelled].max()}, but there are only "
                f"{len(names)} classes; read the rows with the classifier's own labels"
            )
        yield head, names, target[labelled], values[labelled]


def _ece_interval(probabilities: Floats, target: Indices, seed: int) -> Interval:
    confidence, right = top(probabilities, target)
    inside, gaps = equal_width(confidence), right - confidence
    generator = np.random.default_rng(seed)
    draws = (generator.integers(0, len(gaps), len(gaps)) for _ in range(BOOTSTRAPS))
    return interval(np.array([binned_error(gaps[d], inside[d]) for d in draws]))


def _change(values: Floats) -> Change:
    """The first value, as measured, and the interval of the others, drawn."""
    return Change(float(values[0]), interval(values[1:]))
