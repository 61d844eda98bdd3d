"""Evaluation: how often predictions are right, per class and over all, and how sure of it we are.

Pure arithmetic on class indices and on an engine's predictions; knows no training.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.datasets import Example
from classifier.engine import Engine
from classifier.labels import UNLABELLED

Indices = NDArray[np.int64]

BOOTSTRAPS = 1000


@dataclass(frozen=True, slots=True)
class Score:
    """One head on one test set. Intervals are 95 % bootstrap percentiles."""

    head: str
    rows: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    macro_f1: float
    macro_f1_interval: tuple[float, float]
    majority_accuracy: float


def macro_f1(target: Indices, predicted: Indices) -> float:
    """The mean F1 over the classes that occur in ``target`` or ``predicted``."""
    classes = np.union1d(target, predicted)
    scores = []
    for label in classes:
        hits = int(((target == label) & (predicted == label)).sum())
        misses = int(((target == label) ^ (predicted == label)).sum())
        scores.append(2 * hits / (2 * hits + misses))
    return float(np.mean(scores)) if scores else 0.0


def evaluate(engine: Engine, examples: Sequence[Example], seed: int = 7) -> list[Score]:
    """Score ``examples`` with ``engine``, one Score for each head that they carry labels for."""
    predictions = engine.score([example.text for example in examples])
    heads = {
        "topic": (
            [example.topic for example in examples],
            [engine.labels.topics.index(p.topic) for p in predictions],
        ),
        "sentiment": (
            [example.sentiment for example in examples],
            [engine.labels.sentiments.index(p.sentiment) for p in predictions],
        ),
    }
    scores = []
    for head, columns in heads.items():
        target, predicted = (np.asarray(column, dtype=np.int64) for column in columns)
        labelled = target != UNLABELLED
        if labelled.any():
            scores.append(_score(head, target[labelled], predicted[labelled], seed))
    return scores


def _score(head: str, target: Indices, predicted: Indices, seed: int) -> Score:
    generator = np.random.default_rng(seed)
    draws = generator.integers(0, len(target), (BOOTSTRAPS, len(target)))
    accuracies = [float((target[d] == predicted[d]).mean()) for d in draws]
    scores = [macro_f1(target[d], predicted[d]) for d in draws]
    return Score(
        head=head,
        rows=len(target),
        accuracy=float((target == predicted).mean()),
        accuracy_interval=_interval(accuracies),
        macro_f1=macro_f1(target, predicted),
        macro_f1_interval=_interval(scores),
        majority_accuracy=float(np.bincount(target).max() / len(target)),
    )


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def as_json(scores: dict[str, list[Score]]) -> dict[str, list[dict[str, object]]]:
    """The scores as plain data, by test set."""
    return {name: [asdict(score) for score in rows] for name, rows in scores.items()}
