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
    ``persistence``: rows in a row that must be beyond the threshold.
    ``minimum_excess``: documents (counts) a window must lie above or below its baseline.
    ``minimum_change``: the same as a part of the baseline; of a real series, of its usual size.
    ``minimum_total``: a share of fewer documents is taken as missing.
    """

    kind: Kind = Kind.AUTO
    sides: Sides = Sides.BOTH
    threshold: float = 3.4
    warm_up: timedelta = timedelta(days=2)
    warm_up_rows: int = 100
    hold: timedelta = timedelta(hours=12)
    escalation: float = 1.5
    persistence: int = 1
    minimum_excess: float = 5.0
    minimum_change: float = 0.5
    minimum_total: int = 10
    history: timedelta = timedelta(days=28)

    def __post_init__(self) -> None:
        if self.threshold <= 0:
            raise SpikeError("the threshold must be above 0: it is -log10 of a probability")
        if self.persistence < 1:
            raise SpikeError("the persistence must be at least 1 row")
