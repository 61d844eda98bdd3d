"""Shares of few documents: where they may well lie, and what changed beyond chance. Pure.

Columns of counts go in, columns of shares come out.
"""

import pandas as pd

LIKELY, SURE = 1.645, 2.576
"""Standard deviations to each side of 90 % and of 99 %."""


def wilson(
    negative: pd.Series, documents: pd.Series, z: float = LIKELY
) -> tuple[pd.Series, pd.Series]:
    """Where the share behind so many of so many may well lie (Wilson's score interval).

    Missing where there are no documents.
    """
    held = documents.where(documents > 0).astype(float)
    share = negative / held
    middle = (share + z**2 / (2 * held)) / (1 + z**2 / held)
    reach = (share * (1 - share) / held + (z / (2 * held)) ** 2) ** 0.5 * z / (1 + z**2 / held)
    return (middle - reach).clip(0, 1), (middle + reach).clip(0, 1)


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
