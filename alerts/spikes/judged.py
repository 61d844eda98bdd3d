"""What a model of a series finds in one row, before anybody decides whether to alert."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from alerts.spikes.ring import Ring

_TRIMMED = 0.95
_OF_CHI_SQUARED = 0.759
"""The mean of a chi-squared variable (one degree of freedom) below its 95 % quantile."""

SHORT, LONG = timedelta(hours=3), timedelta(hours=24)
"""The recent past that gives the two levels."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Surprises upwards and downwards, the greatest of all windows; and the row's own band.

    ``row``: the greater surprise of the row alone. NaN where nothing is known yet.
    """

    upper: float
    lower: float
    row: float
    baseline: float
    low: float
    high: float


UNKNOWN = Judged(0.0, 0.0, 0.0, math.nan, math.nan, math.nan)


def scales(step: timedelta) -> tuple[int, ...]:
    """Rows that are judged together: 1, and 3 and 12 while that is at most three hours."""
    return tuple(rows for rows in (1, 3, 12) if rows == 1 or rows * step <= timedelta(hours=3))


def levels(step: timedelta) -> tuple[int, int]:
    """Rows of the short and the long recent past."""
    return max(12, SHORT // step), max(24, LONG // step)


def spread(squares: Ring) -> float:
    """Mean of squared residuals, without the greatest twentieth that anomalies would fill."""
    ordered = np.sort(squares.last(squares.count))
    kept = ordered[: max(1, int(_TRIMMED * len(ordered)))]
    return float(kept.mean()) / _OF_CHI_SQUARED


class Clock:
    """When to fit anew: spreads every hour (and six rows); tails every six times, at first each."""

    FIRST_TURNS = 48
    TAILS_EVERY = 6

    def __init__(self, step: timedelta) -> None:
        self._every = max(6, timedelta(hours=1) // step)
        self._rows = 0

    def tick(self) -> tuple[bool, bool]:
        """Count a row; whether spreads and whether tails are due."""
        self._rows += 1
        turn, rest = divmod(self._rows, self._every)
        if rest:
            return False, False
        return True, turn % self.TAILS_EVERY == 0 or turn < self.FIRST_TURNS


def greatest(surprises: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The greatest upwards and downwards of all windows, the row's own coming first.

    A window speaks only while its newest row lies on the same side: what is over does not alert.
    """
    (up, down), *_ = surprises
    return (
        max(one for one, _ in surprises) if up > 0 else 0.0,
        max(one for _, one in surprises) if down > 0 else 0.0,
    )
