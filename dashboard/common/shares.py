"""Shares of few documents: where they may well lie, and what changed beyond chance. Pure.

Columns of counts go in, columns of shares come out; ``around`` is of one share.
"""

from typing import TypeVar

import pandas as pd

LIKELY, USUAL, SURE = 1.645, 1.96, 2.576
"""Standard deviations to each side of 90 %, of 95 % and of 99 %."""

Number = TypeVar("Number", float, pd.Series)


def wilson(
    negative: pd.Series, documents: pd.Series, z: float = LIKELY
) -> tuple[pd.Series, pd.Series]:
    """Where the share behind so many of so many may well lie (Wilson's score interval).

    Missing where there are no documents.
    """
    held = documents.where(documents > 0).astype(float)
    low, high = _score_interval(negative / held, held, z)
    return low.clip(0, 1), high.clip(0, 1)


def around(share: float, rows: int, z: float) -> tuple[float, float]:
    """Where the share behind one of so many rows may well lie: anywhere, without rows."""
    if not rows:
        return 0.0, 1.0
    low, high = _score_interval(share, float(rows), z)
    return max(0.0, low), min(1.0, high)


def difference(
    first: tuple[pd.Series, pd.Series], second: tuple[pd.Series, pd.Series], z: float
) -> tuple[pd.Series, pd.Series, pd.Series]:
    """The first share less the second, and where that may well lie, from low to high.

    Each is given by its negative and by all of its documents. Newcombe's interval of two
    independent shares (1998, method 10): it stands on theirs and needs no large counts.
    """
    one, two = first[0] / first[1].where(first[1] > 0), second[0] / second[1].where(second[1] > 0)
    (one_low, one_high), (two_low, two_high) = wilson(*first, z), wilson(*second, z)
    apart = one - two
    down = ((one - one_low) ** 2 + (two_high - two) ** 2) ** 0.5
    up = ((one_high - one) ** 2 + (two - two_low) ** 2) ** 0.5
    return apart, apart - down, apart + up


def _score_interval(share: Number, held: Number, z: float) -> tuple[Number, Number]:
    """Wilson's interval (1927), which is never empty and keeps within 0 and 1 but for rounding."""
    whole = 1 + z**2 / held
    middle = (share + z**2 / (2 * held)) / whole
    reach = (share * (1 - share) / held + (z / (2 * held)) ** 2) ** 0.5 * z / whole
    return middle - reach, middle + reach
