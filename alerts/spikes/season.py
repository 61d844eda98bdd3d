"""What a series usually is at this time of day: a robust mean over the days before.

Days are whole multiples of 24 hours back (UTC has no summer time). The same day of the week counts
``WEEKLY`` times once it is there. Of the sample, what lies far outside its quartiles is pulled in
(Winsor's mean), so that a burst of yesterday is not expected today. Quartiles that fall together,
as those of thin counts do, are taken to be one ``unit`` apart. Steps that do not divide a day have
no season.
"""

import math
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from alerts.spikes.ring import Ring

_DAY = timedelta(days=1)


class Season:
    """The usual value of the next row, from the values pushed so far."""

    DAYS = 14
    WEEKLY = 3
    AROUND = timedelta(minutes=20)
    OUTSIDE = 2.0

    def __init__(self, step: timedelta, rows: int, unit: float) -> None:
        self._unit = unit
        self._day = _DAY // step if _DAY % step == timedelta(0) and step < _DAY else 0
        self._around = min(self.AROUND // step, max(0, self._day // 2 - 1))
        self._block = max(1, min(timedelta(hours=1) // step, self._day // 4)) if self._day else 1
        self._values = Ring(rows)
        self._ahead: list[float] = []

    def push(self, value: float) -> None:
        """Append a row's value, NaN for none."""
        self._values.push(value)

    def next(self) -> float:
        """The usual value of the row to be pushed next; NaN while nothing is known."""
        if not self._ahead:
            self._ahead = self._look_ahead()[::-1]
        return self._ahead.pop()

    def _look_ahead(self) -> list[float]:
        lags = self._lags()
        if not lags:
            recent = self._values.last(self._day or 288)
            if not len(recent):
                return [math.nan]
            return [float(winsorised(recent[None, :], self.OUTSIDE, self._unit)[0])]
        offsets = np.arange(-self._around, self._around + 1)
        back = (offsets[None, :] - np.array(lags)[:, None]).ravel()
        ahead = np.arange(self._block)[:, None]
        rows = self._values.last(self._values.count)
        sample = rows[len(rows) + ahead + back[None, :]]
        usual = winsorised(sample, self.OUTSIDE, self._unit)
        return [float(one) for one in usual]

    def _lags(self) -> list[int]:
        """How many rows back each day of the sample lies."""
        if not self._day:
            return []
        room = (self._values.count - self._around) // self._day
        days = list(range(1, min(self.DAYS, room) + 1))
        weeks = list(range(7, room + 1, 7))
        days += weeks * (self.WEEKLY - 1) + [d for d in weeks if d > self.DAYS]
        return [d * self._day for d in days]


def winsorised(sample: NDArray[np.float64], outside: float, unit: float) -> NDArray[np.float64]:
    """Mean of each row, values beyond ``outside`` quartile distances pulled in; NaN if all are."""
    ordered = np.sort(sample, axis=1)
    known = np.sum(~np.isnan(ordered), axis=1)
    each = np.arange(len(ordered))

    def quantile(share: float) -> NDArray[np.float64]:
        places = np.maximum(0, ((known - 1) * share).astype(int))
        found: NDArray[np.float64] = ordered[each, places]
        return found

    low, middle, high = quantile(0.25), quantile(0.5), quantile(0.75)
    reach = outside * np.maximum(high - low, unit)
    pulled = np.clip(ordered, (middle - reach)[:, None], (middle + reach)[:, None])
    total = np.where(np.isnan(pulled), 0.0, pulled).sum(axis=1)
    means: NDArray[np.float64] = np.where(known > 0, total / np.maximum(known, 1), np.nan)
    return means
