"""Real values: how far the newest rows lie from their season and recent level.

As for counts there are two levels, here added to the season: medians of what the last hours and the
last day had beside it. Residuals are divided by the size of the value, never less than the usual
size of the series, so that a spread that grows with the value does not look like anomalies; what is
left is measured in robust standard deviations and judged with the heavy tail of a Laplace
distribution, then by the series' own past.
"""

import math
from datetime import timedelta

import numpy as np

from alerts.spikes import tails
from alerts.spikes.extremes import OwnTail
from alerts.spikes.judged import UNKNOWN, Clock, Judged, greatest, levels, scales, spread
from alerts.spikes.parameters import Parameters
from alerts.spikes.ring import Ring

LEAST_SPREAD = 0.005
"""Of the size of the values: what moves less than that is taken to stand still."""
_TINY = 1e-9


class _Window:
    """So many rows taken together: their spread and the tails of their surprises."""

    def __init__(self, rows: int, history: int, week: int) -> None:
        self.rows = rows
        self.spread = 1.0
        self.up, self.down = OwnTail(history), OwnTail(history)
        self.squares = Ring(week)

    def refresh(self) -> None:
        """Fit the spread anew."""
        if self.squares.count >= 24:
            self.spread = max(LEAST_SPREAD, math.sqrt(spread(self.squares)))


class RealModel:
    """Judges one row after the other by those before it, then learns from it."""

    def __init__(self, parameters: Parameters, step: timedelta, history: int) -> None:
        self._threshold = min(parameters.row_threshold, tails.MOST)
        self._short, self._long = levels(step)
        week = min(history, max(200, timedelta(days=7) // step))
        self._windows = [_Window(rows, history, week) for rows in scales(step)]
        longest = self._windows[-1].rows
        self._values, self._usual = Ring(longest), Ring(longest)
        self._beside, self._sizes = Ring(self._long), Ring(self._long)
        self._near, self._far = Ring(longest), Ring(longest)
        self._size = _TINY
        self._clock = Clock(step)

    def step(self, value: float, total: float, usual: float) -> Judged:  # noqa: ARG002
        """Judge a row; ``usual`` is the season's value, NaN for none; there is no total."""
        known = not (math.isnan(value) or math.isnan(usual))
        self._values.push(value if known else math.nan)
        self._usual.push(usual if known else math.nan)
        judged = self._judge() if known and self._near.count else UNKNOWN
        self._learn(value, usual)
        return judged

    def _judge(self) -> Judged:
        ready = [window for window in self._windows if window.rows <= self._near.count]
        surprises = [self._surprises(window) for window in ready]
        _, least, most, unit = self._about(ready[0])
        up = tails.residual_bound(ready[0].up.bound(self._threshold))
        down = tails.residual_bound(ready[0].down.bound(self._threshold))
        upper, lower = greatest(surprises)
        band = least - down * unit, most + up * unit
        return Judged(upper, lower, max(surprises[0]), (least + most) / 2, *band)

    def _about(self, window: _Window) -> tuple[float, float, float, float]:
        """Mean of the rows, the least and most expected, and one standard deviation."""
        values, usual = self._values.last(window.rows), self._usual.last(window.rows)
        known = ~np.isnan(values)
        near, far = self._near.last(window.rows)[0], self._far.last(window.rows)[0]
        expected = float(usual[known].mean())
        least, most = expected + float(min(near, far)), expected + float(max(near, far))
        size = math.hypot(self._size, (least + most) / 2)
        return float(values[known].mean()), least, most, window.spread * size

    def _surprises(self, window: _Window) -> tuple[float, float]:
        value, least, most, unit = self._about(window)
        up, down = tails.residual((value - most) / unit), tails.residual((least - value) / unit)
        window.squares.push(((value - (least + most) / 2) * window.spread / unit) ** 2)
        window.up.push(up)
        window.down.push(down)
        return window.up.temper(up), window.down.temper(down)

    def _learn(self, value: float, usual: float) -> None:
        self._beside.push(value - usual)
        self._sizes.push(abs(value))
        self._near.push(_median(self._beside, self._short))
        self._far.push(_median(self._beside, self._long))
        spreads, due = self._clock.tick()
        if spreads:
            self._size = max(_TINY, _median(self._sizes, self._long))
        for window in self._windows:
            if spreads:
                window.refresh()
            if due:
                window.up.refresh()
                window.down.refresh()


def _median(numbers: Ring, rows: int) -> float:
    """The median of what is known, 0 if nothing is."""
    newest = numbers.last(rows)
    ordered = np.sort(newest[~np.isnan(newest)])
    return float(ordered[len(ordered) // 2]) if len(ordered) else 0.0
