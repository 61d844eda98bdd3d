"""What the page of the model shows of a card, read from the card's plain data.

A card may be of other weights and another version of the program: what it lacks is empty here,
and only what is no card at all is an error. Measures nothing and draws nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dashboard.common.shares import USUAL, around

Interval = tuple[float, float]


class CardError(ValueError):
    """A card cannot be shown; the message says why."""


class ClassFigures(msgspec.Struct, frozen=True):
    """One class of one head on one set of test rows."""

    precision: float
    recall: float
    f1: float
    rows: int
    f1_interval: Interval | None = None


class HeadFigures(msgspec.Struct, frozen=True):
    """One head on one set of test rows; intervals are 95 %, ``confusion`` is true by predicted."""

    head: str
    rows: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    majority_accuracy: float | None = None
    ece: float | None = None
    ece_interval: Interval | None = None
    classes: dict[str, ClassFigures] = {}
    names: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def has_confusion(self) -> bool:
        """Whether there is a matrix, as many rows and columns as classes."""
        size = len(self.names)
        return size > 0 and [len(row) for row in self.confusion] == [size] * size


class Bin(msgspec.Struct, frozen=True):
    """Test rows whose top probability lies in one span."""

    rows: int
    confidence: float
    accuracy: float

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the share that is right (Wilson 1927)."""
        return around(self.accuracy, self.rows, USUAL)


class Reliability(msgspec.Struct, frozen=True):
    """How far a head's top probabilities are from the share that is right."""

    rows: int
    ece: float
    bins: tuple[Bin, ...] = ()


class Calibration(msgspec.Struct, frozen=True):
    """One head before and after its temperature; what serves is what is ``after``."""

    temperature: float
    before: Reliability
    after: Reliability


class Before(msgspec.Struct, frozen=True):
    """The same test rows before the weights were trained, and what that was."""

    of: str = msgspec.field(name="is", default="")
    tests: dict[str, list[HeadFigures]] = {}


class Named(msgspec.Struct, frozen=True):
    """A teacher."""

    name: str


class Card(msgspec.Struct, frozen=True):
    """The card of one version."""

    version: str
    made_on: str = ""
    summary: str = ""
    commands: tuple[str, ...] = ()
    teachers: tuple[Named, ...] = ()
    architecture: str = ""
    parameters: int = 0
    layers: int = 0
    width: int = 0
    vocabulary: int = 0
    context: int | None = None
    rows: dict[str, int] = {}
    held_out: str = ""
    precision: str = ""
    tests: dict[str, list[HeadFigures]] = {}
    before: Before | None = None
    calibration: dict[str, Calibration] = {}
    limitations: tuple[str, ...] = ()

    def measured(self) -> Iterator[tuple[str, HeadFigures]]:
        """Every set of test rows with each head that was measured on it, in the card's order."""
        return ((name, score) for name, of_set in self.tests.items() for score in of_set)

    def best_known(self, head: str) -> tuple[str, HeadFigures] | None:
        """The last set of test rows that measures a head: cards name the strictest last."""
        found = [(name, score) for name, score in self.measured() if score.head == head]
        return found[-1] if found else None

    def earlier(self, test: str, head: str) -> HeadFigures | None:
        """The head on the same rows before training."""
        scores = self.before.tests.get(test, []) if self.before else []
        return next((score for score in scores if score.head == head), None)


def read_card(plain: Mapping[str, Any]) -> Card:
    """The card of plain data. Raises CardError."""
    try:
        return msgspec.convert(plain, Card)
    except msgspec.ValidationError as error:
        raise CardError(f"the card is not what `tapewatch train` writes: {error}") from error
