"""What a detector may be told, with defaults that are the same for every series."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class SpikeError(ValueError):
    """A series or a parameter that no detector can work with; the message says what to do."""


class Kind(StrEnum):
    """What the values are. ``AUTO``: counts, until a value comes that is no count."""

    AUTO = "auto"
    COUNT = "count"
    REAL = "real"
    SHARE = "share"


class Sides(StrEnum):
    """Which deviations may alert."""

    BOTH = "both"
    UPPER = "upper"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a detector behaves.

    ``threshold``: -log10 of the tail probability, by the series' own past, at which it alerts.
    ``warm_up``: no alert before so much of the series (and ``warm_up_rows``) has been seen.
    ``hold``: after an alert nothing alerts for so long, unless ``escalation`` times as surprising.
    ``persistence``: rows in a row that must be beyond the threshold, unless a single one is beyond
    it by ``lone``; infinity makes no exception.
    ``minimum_excess``: documents (counts) a window must lie above or below its baseline.
    ``minimum_change``: the same as a part of the baseline. Real values know neither.
    ``minimum_total``: a window with fewer documents says nothing of their share.
    ``history``: how much of the series is remembered.
    """

    kind: Kind = Kind.AUTO
    sides: Sides = Sides.BOTH
    threshold: float = 2.9
    warm_up: timedelta = timedelta(days=2)
    warm_up_rows: int = 100
    hold: timedelta = timedelta(hours=12)
    escalation: float = 3.0
    persistence: int = 3
    lone: float = 1.0
    minimum_excess: float = 5.0
    minimum_change: float = 0.5
    minimum_total: int = 10
    history: timedelta = timedelta(days=28)

    def __post_init__(self) -> None:
        if self.threshold <= 0:
            raise SpikeError("the threshold must be above 0: it is -log10 of a probability")
        if self.persistence < 1:
            raise SpikeError("the persistence must be at least 1 row")
        if self.hold < timedelta(0) or self.history <= timedelta(0):
            raise SpikeError("a hold is not below 0, and a history is longer than nothing")
        if self.lone < 0:
            raise SpikeError("what a lone row must have more cannot be below 0")

    @property
    def row_threshold(self) -> float:
        """The surprise at which a row alerts by itself."""
        return self.threshold + (self.lone if self.persistence > 1 else 0.0)
