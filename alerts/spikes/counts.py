"""Counts and shares: how surprising the newest rows are, beside their season and recent level.

Expected is the season times the level. There are two levels, that of the last hours and that of
the last day, and a row must surprise beside both: upwards beside the higher, downwards beside the
lower. So neither the return from an outage nor the slope of a burst is a spike, and a lasting shift
is the new level within the day. Levels are Poisson-gamma posterior means: a few documents of prior
keep those of thin series near 1. Judged are sums over one, three and twelve rows (a faint burst
shows in the hour, a sharp one in a row); each has a dispersion of its own, learnt from past
residuals.
"""

import math
from datetime import timedelta

from alerts.spikes import tails
from alerts.spikes.extremes import OwnTail
from alerts.spikes.families import Family
from alerts.spikes.judged import UNKNOWN, Clock, Judged, greatest, levels, scales, spread
from alerts.spikes.parameters import Parameters
from alerts.spikes.ring import Ring

PRIOR_DOCUMENTS = 3.0
CLIP = 3.0
"""A row counts for the day's level at most so many times what was expected."""
LEAST_MEAN = 0.02


class _Window:
    """So many rows taken together: their dispersion and the tails of their surprises."""

    def __init__(self, rows: int, history: int, week: int) -> None:
        self.rows = rows
        self.dispersion = 0.1
        self.up, self.down = OwnTail(history), OwnTail(history)
        self._squares, self._means, self._totals = Ring(week), Ring(week), Ring(week)

    def push(self, square: float, mean: float, total: float) -> None:
        """Remember a residual: squared, over its plain variance."""
        self._squares.push(square)
        self._means.push(mean)
        self._totals.push(total)

    def refresh(self, family: Family) -> None:
        """Fit the dispersion anew."""
        if (count := self._squares.count) >= 24:
            mean = float(self._means.last(count).mean())
            total = float(self._totals.last(count).mean())
            self.dispersion = family.dispersion(spread(self._squares), mean, total)


class CountModel:
    """Judges one row after the other by those before it, then learns from it."""

    def __init__(
        self, family: Family, parameters: Parameters, step: timedelta, history: int
    ) -> None:
        self._family, self._parameters = family, parameters
        self._short, self._long = levels(step)
        week = min(history, max(200, timedelta(days=7) // step))
        self._windows = [_Window(rows, history, week) for rows in scales(step)]
        longest = self._windows[-1].rows
        self._counts, self._totals = Ring(self._short), Ring(longest)
        self._expected, self._clipped = Ring(self._long), Ring(self._long)
        self._near, self._far = Ring(longest), Ring(longest)
        self._clock = Clock(step)

    def step(self, count: float, total: float, usual: float) -> Judged:
        """Judge a row; ``usual`` is the season's count, or share of ``total``; NaN for none."""
        known = not (math.isnan(count) or math.isnan(usual)) and total > 0
        expected = usual * total if known else 0.0
        self._counts.push(count if known else 0.0)
        self._totals.push(total if known else 0.0)
        self._expected.push(expected)
        judged = self._judge() if known and self._near.count else UNKNOWN
        self._learn(count if known else 0.0, expected)
        return judged

    def _judge(self) -> Judged:
        ready = [window for window in self._windows if window.rows <= self._near.count]
        surprises = [self._surprises(window) for window in ready]
        row = ready[0]
        _, total, least, most = self._about(row)
        low, high = self._band(row, total, least, most)
        upper, lower = greatest(surprises)
        return Judged(upper, lower, max(surprises[0]), math.sqrt(least * most), low, high)

    def _about(self, window: _Window) -> tuple[float, float, float, float]:
        """Count, total, least and most expected of the window's rows."""
        near = float(self._near.last(window.rows)[0])
        far = float(self._far.last(window.rows)[0])
        expected = float(self._expected.last(window.rows).sum())
        least, most = expected * min(near, far), expected * max(near, far)
        count = float(self._counts.last(window.rows).sum())
        total = float(self._totals.last(window.rows).sum())
        return count, total, max(least, LEAST_MEAN), max(most, LEAST_MEAN)

    def _surprises(self, window: _Window) -> tuple[float, float]:
        """Upwards and downwards, tempered by the window's own past."""
        count, total, least, most = self._about(window)
        up = self._family.upper(count, total, most, window.dispersion)
        down = self._family.lower(count, total, least, window.dispersion)
        mean = math.sqrt(least * most)
        window.push((count - mean) ** 2 / self._family.variance(mean, total), mean, total)
        window.up.push(up)
        window.down.push(down)
        if total < self._family.least_total(self._parameters):
            return 0.0, 0.0
        up, down = window.up.temper(up), window.down.temper(down)
        return self._weighed(up, count - most, most), self._weighed(down, least - count, least)

    def _weighed(self, surprise: float, change: float, mean: float) -> float:
        """The surprise, but never enough for an alert where the change is too small to matter."""
        part = max(0.0, change) / self._least_change(mean)
        return surprise if part >= 1 else min(surprise, self._parameters.threshold) * 0.9 * part

    def _least_change(self, mean: float) -> float:
        return max(self._parameters.minimum_excess, self._parameters.minimum_change * mean)

    def _band(
        self, window: _Window, total: float, least: float, most: float
    ) -> tuple[float, float]:
        at = min(self._parameters.row_threshold, tails.MOST)
        high = self._family.bound(window.up.bound(at), total, most, window.dispersion)
        low = self._family.floor(window.down.bound(at), total, least, window.dispersion)
        high = max(high, most + self._least_change(most))
        low = min(low, least - self._least_change(least))
        return max(low, 0.0), high

    def _learn(self, count: float, expected: float) -> None:
        far = float(self._far.last(1)[0]) if self._far.count else 1.0
        self._clipped.push(min(count, CLIP * expected * far + CLIP))
        self._near.push(_level(self._counts, self._expected, self._short))
        self._far.push(_level(self._clipped, self._expected, self._long))
        spreads, due = self._clock.tick()
        for window in self._windows:
            if spreads:
                window.refresh(self._family)
            if due:
                window.up.refresh()
                window.down.refresh()


def _level(counts: Ring, expected: Ring, rows: int) -> float:
    prior = PRIOR_DOCUMENTS
    return float((counts.last(rows).sum() + prior) / (expected.last(rows).sum() + prior))
