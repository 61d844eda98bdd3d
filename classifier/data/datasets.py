"""Labelled texts for training, and how they are split so that nothing leaks.

Texts are compared in their normal form (lower case, no links, white space folded): a text of a
test set is never trained on, and development rows are carved out of the training rows by a hash
of that form, so that the split does not move when rows are added. Pure; knows no files, models or
tokenizers.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from classifier.errors import ClassifierError
from classifier.labels import UNLABELLED, Labels

_LINK = re.compile(r"(https?://|www\.)\S+")

DEVELOPMENT_SHARE = 0.05


class DatasetError(ClassifierError, ValueError):
    """A training set is missing, unreadable or of no use; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text; a label that is missing is ``UNLABELLED``.

    ``source`` names the set or file that it came from, or that it was made out of; it is empty
    where several hold the text.
    """

    text: str
    topic: int = UNLABELLED
    sentiment: int = UNLABELLED
    source: str = field(default="", compare=False)


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


def share_of(text: str, salt: str = "test") -> float:
    """A number in [0, 1) that depends on the normal form (and the salt) alone."""
    digest = hashlib.sha256(f"{salt}:{normal_form(text)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def draw(examples: Sequence[Example], count: int) -> list[Example]:
    """``count`` of the examples, chosen by their text, so that files in order are no matter."""
    if count >= len(examples):
        return list(examples)
    return sorted(examples, key=lambda example: share_of(example.text, "draw"))[:count]


def make_splits(
    training: Iterable[Example],
    tests: Mapping[str, Sequence[Example]],
    development_share: float = DEVELOPMENT_SHARE,
    also_excluded: Sequence[Example] = (),
) -> Splits:
    """Split ``training``: nothing that repeats a text of ``tests`` or ``also_excluded`` stays."""
    seen = {normal_form(example.text) for rows in tests.values() for example in rows}
    seen |= {normal_form(example.text) for example in also_excluded}
    kept = distinct(training, seen)
    development = [e for e in kept if share_of(e.text, "development") < development_share]
    held_out = {normal_form(example.text) for example in development}
    train = [example for example in kept if normal_form(example.text) not in held_out]
    kept_tests = {name: list(rows) for name, rows in tests.items()}
    return Splits(train, development, kept_tests, frozenset(seen | held_out))


def distinct(examples: Iterable[Example], excluded: set[str]) -> list[Example]:
    """One example a text: labels of the same text are joined, conflicting ones dropped."""
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
            group[0].source if len({example.source for example in group}) == 1 else "",
        )
        for group in same.values()
    )
    return [e for e in joined if (e.topic, e.sentiment) != (UNLABELLED, UNLABELLED)]


def check_trainable(train: Sequence[Example], labels: Labels) -> None:
    """Raise DatasetError where a head could learn nothing: no rows, one class, an empty class."""
    if not train:
        raise DatasetError("no labelled rows are left to train on")
    for head, names, given in (
        ("topic", labels.topics, {e.topic for e in train}),
        ("sentiment", labels.sentiments, {e.sentiment for e in train}),
    ):
        classes = given - {UNLABELLED}
        if len(classes) == 1:
            raise DatasetError(
                f"every {head} label is {names[classes.pop()]!r}: a classifier needs at least two "
                "classes; add rows of others, or leave the column out"
            )
        empty = [name for index, name in enumerate(names) if index not in classes]
        if classes and empty and head == "topic":
            raise DatasetError(
                f"no training row has the topic {', '.join(map(repr, empty))}: add rows, or take "
                "the name out of the label set"
            )
    if all((e.topic, e.sentiment) == (UNLABELLED, UNLABELLED) for e in train):
        raise DatasetError("no row carries a label: name the columns that do")


def _agreed(labels: Iterable[int]) -> int:
    """The one label that is given; none where there is none, or more than one."""
    given = set(labels) - {UNLABELLED}
    return given.pop() if len(given) == 1 else UNLABELLED
