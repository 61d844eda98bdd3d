"""How rare a surprise is for this very series: a tail of the surprises that came before.

A model of counts is never quite right, and a noisy series is surprising every hour. So a surprise
counts by how far it stands out of its own past, as in anomaly likelihood (Ahmad, Lavin, Purdy and
Agha, 2017) and in streaming peaks over threshold (SPOT: Siffer and others, 2017).
The tail is that of Weissman (1978): above the 98 % quantile ``u`` the probability falls as
``(s / u) ** (-1 / index)``. Hill's index (1975) is taken from the median of the logarithmic
excesses, which the anomalies themselves cannot move, and is drawn towards a prior while few.
The own tail only ever tempers what the model says.
"""

import math

import numpy as np

from alerts.spikes.ring import Ring

SHARE = 0.02
_EDGE = -math.log10(SHARE)
"""The surprise that a true model exceeds in that share of rows."""


class OwnTail:
    """Surprises of the past, and what a new one is worth among them."""

    PRIOR_INDEX = 0.5
    PRIOR_WEIGHT = 20.0
    LEAST_INDEX = 0.25

    def __init__(self, rows: int) -> None:
        self._past = Ring(rows)
        self._edge = _EDGE
        self._index = self.PRIOR_INDEX

    def push(self, surprise: float) -> None:
        """Remember one; `refresh` takes it into account."""
        self._past.push(surprise)

    def refresh(self) -> None:
        """Fit the tail anew."""
        past = self._past.last(self._past.count)
        beyond = int(SHARE * len(past))
        if beyond < 2:
            return
        top = np.partition(past, len(past) - beyond - 1)[len(past) - beyond - 1 :]
        self._edge = max(_EDGE, float(top[0]))
        excess = np.log(np.maximum(top[1:], self._edge) / self._edge)
        index = float(np.median(excess)) / math.log(2)
        weight = beyond / (beyond + self.PRIOR_WEIGHT)
        mixed = weight * index + (1 - weight) * self.PRIOR_INDEX
        self._index = max(self.LEAST_INDEX, mixed)

    def temper(self, surprise: float) -> float:
        """-log10 of its probability by the past, at most ``surprise`` itself."""
        if surprise <= self._edge:
            return surprise * _EDGE / self._edge
        return min(surprise, _EDGE + math.log10(surprise / self._edge) / self._index)

    def bound(self, tempered: float) -> float:
        """The surprise that is worth ``tempered``."""
        if tempered <= _EDGE:
            return tempered * self._edge / _EDGE
        return max(tempered, self._edge * 10 ** ((tempered - _EDGE) * self._index))
