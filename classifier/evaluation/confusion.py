"""Counts of true against predicted classes, what follows from them, and their bootstrap.

Accuracy and F1 depend on the rows only by how many fall into each cell (a true class with what was
predicted). A bootstrap therefore draws the counts of the cells, as a multinomial: the same
distribution as drawing row by row (Efron 1979), at a hundredth of the work. Arithmetic alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Interval = tuple[float, float]

BOOTSTRAPS = 1000


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows by class: right, true and predicted, each (C,), or (draws, C) of redrawn counts."""

    hits: Floats
    true: Floats
    said: Floats

    @property
    def accuracy(self) -> Floats:
        """The share of rows that are right, () or (draws,)."""
        return self.hits.sum(axis=-1) / self.true.sum(axis=-1)  # type: ignore[no-any-return]

    @property
    def f1(self) -> Floats:
        """F1 by class; NaN for a class that is neither true nor predicted of any row."""
        both = self.true + self.said
        return np.divide(2 * self.hits, both, out=np.full_like(both, np.nan), where=both > 0)

    @property
    def macro_f1(self) -> Floats:
        """The mean F1 over the classes that occur, () or (draws,)."""
        return np.nanmean(self.f1, axis=-1)  # type: ignore[no-any-return]


def confusion(target: Indices, predicted: Indices, size: int) -> Indices:
    """Rows by true (outer) and predicted class, (C, C)."""
    return np.bincount(target * size + predicted, minlength=size * size).reshape(size, size)


def tally(target: Indices, predicted: Indices, counts: NDArray[np.int64], size: int) -> Tally:
    """Tally cells: ``target`` (K,) with ``predicted`` (K,), ``counts`` (K,) or (draws, K) rows."""
    classes = np.eye(size)
    right = (target == predicted)[:, None]
    return Tally(
        counts @ (classes[target] * right), counts @ classes[target], counts @ classes[predicted]
    )


def redraw(counts: Indices, seed: int) -> Indices:
    """The counts (K,) of as many rows drawn with replacement, ``BOOTSTRAPS`` times: (draws, K)."""
    rows = counts.sum()
    return np.random.default_rng(seed).multinomial(rows, counts / rows, size=BOOTSTRAPS)


def interval(values: Floats) -> Interval:
    """The middle 95 % of ``values`` (draws,); what is NaN in a draw does not count."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
