"""Promotion: may a challenger replace the champion? A pure decision over their cards.

Both were measured on the same fixed test sets. The challenger is refused if any figure lies below
the champion's 95 % interval: accuracy or macro F1 of a head, or F1 or recall of a class that the
alert rules watch. It need not be better: new labels or a smaller model are reasons enough. Knows
no registry, no rules file and no weights.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from classifier.continual.registry import CARD_FILE, DamagedRegistryError, IncompleteWeightsError

CALIBRATION_LIMIT = 0.05
"""Expected calibration error above which a challenger is refused, unless it is the champion's."""

ALWAYS_WATCHED = "negative"

_Z = 1.959964
"""The standard normal quantile of a two-sided 95 % interval."""


class ClassScore(msgspec.Struct, frozen=True):
    """One class on one test set; ``rows`` are those that carry the class as their label."""

    recall: float
    f1: float
    rows: int
    precision: float = 0.0
    f1_interval: tuple[float, float] | None = None


class HeadScore(msgspec.Struct, frozen=True):
    """One head on one test set; intervals are 95 %."""

    head: str
    rows: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    macro_f1: float
    macro_f1_interval: tuple[float, float]
    classes: dict[str, ClassScore] = {}
    ece: float | None = None


class CardLabels(msgspec.Struct, frozen=True):
    """The names that a model can say."""

    topics: tuple[str, ...]
    sentiments: tuple[str, ...]


class Card(msgspec.Struct, frozen=True):
    """What a decision needs of a card: the version, its labels, its scores by test set."""

    version: str
    labels: CardLabels
    tests: dict[str, list[HeadScore]] = {}
    made_on: str | None = None

    def score(self, test: str, head: str) -> HeadScore | None:
        """The score of one head on one test set, if it was measured."""
        return next((s for s in self.tests.get(test, []) if s.head == head), None)


class Reason(StrEnum):
    """Why a challenger is promoted or refused."""

    NOT_WORSE = "not worse than the champion"
    SAME_VERSION = "it is the champion"
    WATCHED_TOPIC_GONE = "it does not know a topic that rules watch"
    NOT_COMPARABLE = "the test sets differ"
    NOT_MEASURED = "a watched class is in no test set"
    WORSE = "worse than the champion"
    WORSE_ON_WATCHED_CLASS = "worse on a class that rules watch"
    BADLY_CALIBRATED = "its probabilities are off"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of both; ``least`` is what the challenger must reach."""

    test: str
    head: str
    figure: str
    champion: float
    least: float
    challenger: float
    watched: bool = False

    @property
    def worse(self) -> bool:
        """Whether the challenger lies below the champion's interval."""
        return self.challenger < self.least


@dataclass(frozen=True, slots=True)
class Objection:
    """One reason to refuse, with what it is about."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What speaks against the challenger, and every figure that was compared."""

    objections: tuple[Objection, ...]
    comparisons: tuple[Comparison, ...] = ()

    @property
    def reason(self) -> Reason:
        """The first objection's reason, or that there is none."""
        return self.objections[0].reason if self.objections else Reason.NOT_WORSE

    @property
    def promotes(self) -> bool:
        """Whether the challenger may serve."""
        return not self.objections


def read_card(folder: Path) -> Card:
    """The card beside the weights. Raises IncompleteWeightsError or DamagedRegistryError."""
    path = folder / CARD_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Card)
    except FileNotFoundError as error:
        raise IncompleteWeightsError(f"{folder} has no {CARD_FILE}") from error
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedRegistryError(f"the card {path} cannot be read: {error}") from error


def decide(
    champion: Card,
    challenger: Card,
    watched_topics: Collection[str] = (),
    calibration_limit: float = CALIBRATION_LIMIT,
) -> Decision:
    """Compare the two; ``watched_topics`` are those that alert rules name.

    The sentiment negative is watched always. A watched topic that the champion does not know
    either is no concern of the challenger's.
    """
    known = [topic for topic in champion.labels.topics if topic in watched_topics]
    basic = tuple(_basic(champion, challenger, known))
    if basic:
        return Decision(basic)
    watched = {"topic": known, "sentiment": [ALWAYS_WATCHED]}
    comparisons = tuple(_compare(champion, challenger, watched))
    objections = (
        *_unmeasured(comparisons, watched),
        *_worse(comparisons),
        *_uncalibrated(champion, challenger, calibration_limit),
    )
    return Decision(objections, comparisons)


def wilson_lower(share: float, rows: int) -> float:
    """The lower end of Wilson's 95 % score interval of a share of ``rows`` (Wilson 1927)."""
    if rows == 0:
        return 0.0
    centre = share + _Z**2 / (2 * rows)
    spread = _Z * math.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    return (centre - spread) / (1 + _Z**2 / rows)


def _basic(champion: Card, challenger: Card, watched: Collection[str]) -> Iterator[Objection]:
    """What makes every comparison pointless."""
    if champion.version == challenger.version:
        yield Objection(Reason.SAME_VERSION, f"{champion.version} serves already")
        return
    for topic in watched:
        if topic not in challenger.labels.topics:
            yield Objection(Reason.WATCHED_TOPIC_GONE, f"there is no topic {topic!r} any more")
    if not champion.tests:
        yield Objection(Reason.NOT_COMPARABLE, "the champion's card has no test set")
    for test, scores in champion.tests.items():
        for score in scores:
            theirs = challenger.score(test, score.head)
            if theirs is None or theirs.rows != score.rows:
                rows = "no" if theirs is None else str(theirs.rows)
                yield Objection(
                    Reason.NOT_COMPARABLE,
                    f"{test!r}, {score.head}: {score.rows} rows for the champion, {rows} rows "
                    "for the challenger",
                )


def _compare(
    champion: Card, challenger: Card, watched: Mapping[str, Collection[str]]
) -> Iterator[Comparison]:
    """Every figure that counts, over the champion's test sets."""
    for test, scores in champion.tests.items():
        for ours in scores:
            theirs = challenger.score(test, ours.head)
            assert theirs is not None  # noqa: S101 - _basic has seen to it
            where = (test, ours.head)
            yield Comparison(
                *where, "accuracy", ours.accuracy, ours.accuracy_interval[0], theirs.accuracy
            )
            yield Comparison(
                *where, "macro F1", ours.macro_f1, ours.macro_f1_interval[0], theirs.macro_f1
            )
            for name in watched.get(ours.head, ()):
                yield from _compare_class(where, name, ours, theirs)


def _compare_class(
    where: tuple[str, str], name: str, ours: HeadScore, theirs: HeadScore
) -> Iterator[Comparison]:
    """F1 by its bootstrap interval, recall by Wilson's; nothing where either is not measured."""
    mine, other = ours.classes.get(name), theirs.classes.get(name)
    if mine is None or other is None or mine.f1_interval is None or mine.rows == 0:
        return
    least = min(mine.f1, mine.f1_interval[0])
    yield Comparison(*where, f"F1 of {name}", mine.f1, least, other.f1, watched=True)
    least = wilson_lower(mine.recall, mine.rows)
    yield Comparison(*where, f"recall of {name}", mine.recall, least, other.recall, watched=True)


def _unmeasured(
    comparisons: Collection[Comparison], watched: Mapping[str, Collection[str]]
) -> Iterator[Objection]:
    measured = {(c.head, c.figure) for c in comparisons if c.watched}
    for head, names in watched.items():
        for name in names:
            if (head, f"F1 of {name}") not in measured:
                yield Objection(
                    Reason.NOT_MEASURED, f"no test set of both cards measures {head} {name!r}"
                )


def _worse(comparisons: Collection[Comparison]) -> Iterator[Objection]:
    for c in comparisons:
        if c.worse:
            yield Objection(
                Reason.WORSE_ON_WATCHED_CLASS if c.watched else Reason.WORSE,
                f"{c.test}, {c.head}: {c.figure} {c.challenger:.3f}, below {c.least:.3f}, the "
                f"lower bound of the champion's {c.champion:.3f}",
            )


def _uncalibrated(champion: Card, challenger: Card, limit: float) -> Iterator[Objection]:
    """Above the limit, and above the champion, who may be off there too."""
    for test, scores in champion.tests.items():
        for ours in scores:
            theirs = challenger.score(test, ours.head)
            if theirs is None or theirs.ece is None:
                continue
            if theirs.ece > max(limit, ours.ece or 0.0):
                yield Objection(
                    Reason.BADLY_CALIBRATED,
                    f"{test}, {ours.head}: calibration error {theirs.ece:.3f}, limit {limit:.3f}",
                )
