"""Several classifiers on the same rows: each text is asked for once, however many sets hold it.

The first that enters is the one the others are compared with, row by row. Knows no classifier by
name but the prompted one, which is asked only for the heads that a text has a label of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from classifier.data.datasets import DatasetError, Example, normal_form
from classifier.evaluation.calibration import Reliability, reliability
from classifier.evaluation.confusion import Floats
from classifier.evaluation.prompting import PromptedClassifier
from classifier.evaluation.scores import (
    HEADS,
    Advance,
    Difference,
    ProbabilisticClassifier,
    Score,
    judge,
    judge_difference,
    predict,
)
from classifier.labels import UNLABELLED, Labels

Tests = Mapping[str, Sequence[Example]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One classifier on every set of rows, by the set's name."""

    version: str
    scores: dict[str, list[Score]]
    differences: dict[str, list[Difference]]
    """Less the classifier that entered first; empty for that one."""
    reliabilities: dict[str, dict[str, Reliability]]
    """By set and head."""


class Contest:
    """Sets of labelled rows, and what those who entered say of them."""

    def __init__(self, labels: Labels, tests: Tests, seed: int = 7) -> None:
        self.tests = {name: list(rows) for name, rows in tests.items()}
        self.texts = list(dict.fromkeys(e.text for rows in tests.values() for e in rows))
        self._labels = labels
        self._seed = seed
        self._place = {text: place for place, text in enumerate(self.texts)}
        self._first: tuple[Floats, Floats] | None = None

    @property
    def heads(self) -> list[str]:
        """The heads that any row has a label of."""
        return [head for head in HEADS if self.texts_with(head)]

    def texts_with(self, head: str) -> list[str]:
        """The distinct texts that have a label of ``head``."""
        rows = (e for of_set in self.tests.values() for e in of_set)
        return list(dict.fromkeys(e.text for e in rows if getattr(e, head) != UNLABELLED))

    def enter(self, classifier: ProbabilisticClassifier, advance: Advance | None = None) -> Entry:
        """Ask ``classifier``, judge it, and compare it with the first. Raises DatasetError."""
        if isinstance(classifier, PromptedClassifier):
            said = self._prompt(classifier)
        else:
            said = predict(classifier, self.texts, advance)
        scores, differences, reliabilities = {}, {}, {}
        for name, rows in self.tests.items():
            of_set = self._of(rows, said)
            scores[name] = judge(self._labels, rows, of_set, self._seed)
            reliabilities[name] = {
                score.head: reliability(
                    of_set[HEADS.index(score.head)], [getattr(e, score.head) for e in rows]
                )
                for score in scores[name]
            }
            if self._first is not None:
                first = self._of(rows, self._first)
                differences[name] = judge_difference(self._labels, rows, of_set, first, self._seed)
        self._first = self._first or said
        return Entry(classifier.version, scores, differences, reliabilities)

    def _of(self, rows: Sequence[Example], said: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        places = [self._place[example.text] for example in rows]
        return said[0][places], said[1][places]

    def _prompt(self, classifier: PromptedClassifier) -> tuple[Floats, Floats]:
        names = (self._labels.topics, self._labels.sentiments)
        said = tuple(np.full((len(self.texts), len(of_head)), np.nan) for of_head in names)
        for head, values in zip(HEADS, said, strict=True):
            texts = self.texts_with(head)
            values[[self._place[text] for text in texts]] = classifier.of_head(head, texts)
        return said[0], said[1]


def check_tests(tests: Tests, labels: Labels) -> None:
    """Raise DatasetError where a head has one class only: any constant would be right."""
    for name, rows in tests.items():
        for head, names in zip(HEADS, (labels.topics, labels.sentiments), strict=True):
            classes = {getattr(e, head) for e in rows} - {UNLABELLED}
            if len(classes) == 1:
                raise DatasetError(
                    f"{name}: every {head} is {names[classes.pop()]!r}, so whoever always says "
                    "that is right always; add rows of other classes, or leave the column out "
                    f'with --{head}-column ""'
                )


def without_leaks(train: Sequence[Example], tests: Tests) -> list[Example]:
    """The training rows whose text, in its normal form, is in no test set."""
    seen = {normal_form(e.text) for rows in tests.values() for e in rows}
    return [example for example in train if normal_form(example.text) not in seen]
