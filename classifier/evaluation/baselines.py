"""Baselines: what any classifier must beat, fitted on labelled examples in seconds to minutes.

Both fit each head on the rows that carry its label; a head without any has NaN probabilities, so
it gets no score. Knows no torch and no files. scikit-learn comes with the extra ``train``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC

from classifier.data.datasets import Example
from classifier.evaluation.calibration import fit_temperature, softmax
from classifier.evaluation.confusion import Floats, Indices
from classifier.labels import UNLABELLED, Labels

_HELD_OUT = 10
"""One row in so many is held out to fit the temperature of the linear baseline."""


class MajorityBaseline:
    """Says of every text how common each class is among the examples (with Laplace's one more)."""

    version = "majority"

    def __init__(self, examples: Sequence[Example], labels: Labels) -> None:
        self.labels = labels
        self._shares = [
            _shares(targets, len(names)) for _, targets, names in _by_head(examples, labels)
        ]

    def probabilities(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Topics (N, topics) and sentiments (N, sentiments)."""
        topics, sentiments = (np.tile(shares, (len(texts), 1)) for shares in self._shares)
        return topics, sentiments


class LinearBaseline:
    """Linear support vector machines over TF-IDF of words 1-2 and of characters 2-5 within words.

    One machine a class against the rest (Joachims 1998). Their margins become probabilities by a
    temperature that is fitted on a tenth of the rows, which the final fit then includes.
    """

    version = "linear"

    def __init__(self, examples: Sequence[Example], labels: Labels, seed: int = 7) -> None:
        self.labels = labels
        self._heads = [
            _LinearHead(texts, targets, len(names), seed) if texts else None
            for texts, targets, names in _by_head(examples, labels)
        ]

    def probabilities(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Topics (N, topics) and sentiments (N, sentiments)."""
        sizes = (len(self.labels.topics), len(self.labels.sentiments))
        topics, sentiments = (
            head.probabilities(texts) if head else np.full((len(texts), size), np.nan)
            for head, size in zip(self._heads, sizes, strict=True)
        )
        return topics, sentiments


class _LinearHead:
    """One head: the vectorizers are its own, since the rows are."""

    def __init__(self, texts: Sequence[str], targets: Indices, size: int, seed: int) -> None:
        self._size = size
        self._seed = seed
        self._vectorizer = _vectorizer()
        features = self._vectorizer.fit_transform(texts)
        held_out = np.random.default_rng(seed).permutation(len(targets)) % _HELD_OUT == 0
        self._fit(features[~held_out], targets[~held_out])
        self._temperature = fit_temperature(self._margins(features[held_out]), targets[held_out])
        self._fit(features, targets)

    def probabilities(self, texts: Sequence[str]) -> Floats:
        if not texts:
            return np.empty((0, self._size))
        return softmax(self._margins(self._vectorizer.transform(texts)) / self._temperature)

    def _fit(self, features: Any, targets: Indices) -> None:  # noqa: ANN401 - a sparse matrix
        self._classes = np.unique(targets)
        self._machines = LinearSVC(random_state=self._seed, max_iter=5000)
        if len(self._classes) > 1:
            self._machines.fit(features, targets)

    def _margins(self, features: Any) -> Floats:  # noqa: ANN401 - a sparse matrix
        """Margins (N, C); a class without rows is as far off as one never seen."""
        margins = np.full((features.shape[0], self._size), -1.0)
        if len(self._classes) == 2:
            margin = self._machines.decision_function(features)
            margins[:, self._classes] = np.stack([-margin, margin], axis=1)
        elif len(self._classes) > 2:
            margins[:, self._classes] = self._machines.decision_function(features)
        else:
            margins[:, self._classes] = 1.0
        return margins


def _vectorizer() -> FeatureUnion:
    return FeatureUnion(
        [
            ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)),
            (
                "characters",
                TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
            ),
        ]
    )


def _by_head(
    examples: Sequence[Example], labels: Labels
) -> list[tuple[list[str], Indices, tuple[str, ...]]]:
    """Of each head the texts that carry its label, their classes, and the names of all classes."""
    heads = []
    for column, names in (
        ([e.topic for e in examples], labels.topics),
        ([e.sentiment for e in examples], labels.sentiments),
    ):
        targets = np.asarray(column, dtype=np.int64)
        labelled = targets != UNLABELLED
        texts = [e.text for e, given in zip(examples, labelled, strict=True) if given]
        heads.append((texts, targets[labelled], names))
    return heads


def _shares(targets: Indices, size: int) -> Floats:
    if not len(targets):
        return np.full(size, np.nan)
    counts = np.bincount(targets, minlength=size) + 1
    return counts / counts.sum()  # type: ignore[no-any-return]
