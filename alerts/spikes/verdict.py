"""What a detector says of one row, and why."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Reason(StrEnum):
    """Why a row alerts or does not."""

    WARMING_UP = "warming_up"
    NO_VALUE = "no_value"
    WITHIN_BAND = "within_band"
    BEYOND_BAND = "beyond_band"
    SUSTAINED = "sustained"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row, judged by the rows up to it.

    ``score``: 0 to 1; at least 0.5 is beyond the threshold.
    ``baseline``, ``lower``, ``upper``: in the unit of the value; None while there is none.
    ``severity``: 1 to 10 for a row beyond the threshold, else 0.
    ``surprise``: -log10 of the tail probability by the series' own past.
    """

    timestamp: datetime
    value: float | None
    score: float
    baseline: float | None
    lower: float | None
    upper: float | None
    severity: int
    alert: bool
    reason: Reason
    surprise: float


def severity_of(surprise: float, threshold: float) -> int:
    """0 below the threshold, 1 at it, three more for each factor of a hundred, at most 10."""
    return 0 if surprise < threshold else min(10, 1 + int(1.5 * (surprise - threshold)))
