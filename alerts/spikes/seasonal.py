"""What is usual at a time of day: a baseline from the same windows of earlier days. Pure.

It looks back a bounded time and keeps nothing, so a rule that is judged by it says the same after a
restart, and in a backtest. What is vectorised here treats each row alone and in the same order, so
that one row and a hundred thousand of them come out alike.

The middle of earlier windows is their mean without the greatest and least tenth: counts of 0 and 1
have no useful median. Where the same weekday differs from the other days, clearly and each time,
its own mean counts. The level is how much more came in the last 24 hours than is usual by the same
measure; it only raises what is expected, so a lasting shift is usual within a day, and the return
from an outage is no spike. The spread is that of earlier windows about what was usual for them,
without the greatest of them, and as wide as so few of them leave open: the upper end of its own
one-sided 95 % interval.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.spikes.counts import LEAST_MEAN, PRIOR_DOCUMENTS

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]

WEEK = 7
_LEAST_WEEKS = 4
_CLEARLY = 2.0
"""Standard deviations by which the sum over the same weekdays must differ."""

_TENTH = 10
_LEFT_OUT = 28
"""One of so many squared residuals is left out, the greatest."""

_OF_CHI_SQUARED = 0.808
"""The mean of a chi-squared variable (one degree of freedom) below its 27/28 quantile."""

_ONE_SIDED = 1.645
_MOST_DISPERSED = 0.9
_PRIOR_SHARE = 20.0
"""Documents by which the last day's share is drawn to the baseline."""

_FEW = 50
"""With fewer documents in the earlier windows a share is taken of whole days."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """Rows and their earlier windows.

    ``now`` (n,) and ``day`` (n,): of the window and of the 24 hours before it. ``windows`` (n, k)
    and ``days`` (n, k): the same 1 to k days earlier, the latest first. ``known`` (n,): how many
    of the windows there are, ``known_days`` of the days; what lies beyond is not looked at.
    """

    now: Ints
    day: Ints
    windows: Ints
    days: Ints
    known: Ints
    known_days: Ints


@dataclass(frozen=True, slots=True)
class Baseline:
    """(n,) each: what was usual, what is expected with the level, and the over-dispersion."""

    usual: Reals
    expected: Reals
    dispersion: Reals


def of_counts(rows: Earlier) -> Baseline:
    """The baseline of counts; the dispersion is that of a negative binomial."""
    middle, by_weekday = _usual(rows.windows, rows.known)
    usual = np.maximum(middle, LEAST_MEAN)
    of_day, _ = _usual(rows.days, rows.known_days)
    level = (rows.day + PRIOR_DOCUMENTS) / (of_day + PRIOR_DOCUMENTS)
    level = np.where(rows.known_days > 0, level, 1.0)
    dispersion = _dispersion_of_counts(rows, usual, by_weekday)
    return Baseline(usual, usual * np.maximum(level, 1.0), dispersion)


def of_shares(part: Earlier, whole: Earlier) -> Baseline:
    """The baseline of the share of ``part`` in ``whole``; the dispersion is a beta-binomial's."""
    some, all_of = _pooled(part.windows, whole.windows, part.known)
    few = all_of < _FEW
    day_some, day_all = _pooled(part.days, whole.days, part.known_days)
    some, all_of = np.where(few, day_some, some), np.where(few, day_all, all_of)
    usual = (some + 1) / (all_of + 3)
    latest = (part.day + _PRIOR_SHARE * usual) / (whole.day + _PRIOR_SHARE)
    dispersion = _dispersion_of_shares(part, whole, usual)
    return Baseline(usual, np.maximum(usual, latest), dispersion)


def least_count(windows: Ints, known: Ints) -> Reals:
    """(n,) what is expected at least, whatever the days before were like."""
    return np.maximum(_usual(windows, known)[0], LEAST_MEAN)


def least_share(part: Ints, whole: Ints, known: Ints) -> Reals:
    """(n,) the same of a share; 0 where it would be taken of whole days."""
    some, all_of = _pooled(part, whole, known)
    return np.where(all_of < _FEW, 0.0, (some + 1) / (all_of + 3))


def most_surprising_count(count: Reals, expected: Reals, dispersion: Reals) -> Reals:
    """(n,) a bound that the surprise of a count above the expected does not exceed by much.

    The chance of ``count`` or more is above that of ``count`` alone, here by Stirling's formula.
    """
    size = 1 / np.maximum(dispersion, _LEAST_DISPERSION)
    deviance = count * np.log(count / expected)
    deviance -= (count + size) * np.log((count + size) / (expected + size))
    return (deviance + 0.5 * np.log(2 * np.pi * count * (1 + count / size)) + _SLACK) / _LN10


def most_surprising_share(part: Reals, whole: Reals, expected: Reals) -> Reals:
    """(n,) the same of a share, as if it had no over-dispersion."""
    share = np.clip(part / whole, 1e-6, 1 - 1e-6)
    expected = np.clip(expected, 1e-6, 1 - 1e-6)
    divergence = share * np.log(share / expected)
    divergence += (1 - share) * np.log((1 - share) / (1 - expected))
    room = np.maximum(2 * np.pi * whole * share * (1 - share), 1.0)
    return (whole * divergence + 0.5 * np.log(room) + _SLACK) / _LN10


def _usual(windows: Ints, known: Ints) -> tuple[Reals, Bools]:
    """(n,) the middle of the known windows, and whether it is that of the same weekday."""
    middle = _trimmed_mean(windows, known)
    same = windows[:, WEEK - 1 :: WEEK]
    weeks = np.minimum(known // WEEK, same.shape[1])
    there = np.arange(same.shape[1]) < weeks[:, None]
    total = np.where(there, same, 0).sum(axis=1)
    above = (~there | (same > middle[:, None])).all(axis=1)
    below = (~there | (same < middle[:, None])).all(axis=1)
    apart = np.abs(total - weeks * middle) > _CLEARLY * np.sqrt(weeks * np.maximum(middle, 1.0))
    own = (weeks >= _LEAST_WEEKS) & (above | below) & apart
    return np.where(own, total / np.maximum(weeks, 1), middle), own


def _trimmed_mean(windows: Ints, known: Ints) -> Reals:
    """(n,) the mean without the greatest and the least tenth of the known ones."""
    columns = np.arange(windows.shape[1])
    ordered = np.sort(np.where(columns < known[:, None], windows, _MOST), axis=1)
    cut = known // _TENTH
    kept = (columns >= cut[:, None]) & (columns < (known - cut)[:, None])
    mean: Reals = np.where(kept, ordered, 0).sum(axis=1) / np.maximum(known - 2 * cut, 1)
    return mean


def _pooled(part: Ints, whole: Ints, known: Ints) -> tuple[Ints, Ints]:
    """(n,) both sums without the tenth of windows whose share is most above and most below."""
    columns = np.arange(part.shape[1])
    there = columns < known[:, None]
    part, whole = np.where(there, part, 0), np.where(there, whole, 0)
    excess = part * whole.sum(axis=1)[:, None] - part.sum(axis=1)[:, None] * whole
    order = np.argsort(np.where(there, excess, _MOST), axis=1, kind="stable")
    cut = known // _TENTH
    kept = (columns >= cut[:, None]) & (columns < (known - cut)[:, None])
    some, all_of = np.take_along_axis(part, order, 1), np.take_along_axis(whole, order, 1)
    return np.where(kept, some, 0).sum(axis=1), np.where(kept, all_of, 0).sum(axis=1)


def _dispersion_of_counts(rows: Earlier, usual: Reals, by_weekday: Bools) -> Reals:
    """(n,) over-dispersion, and what so few windows leave open of the mean.

    Where one weekday differs from another, each window is held against those of its own weekday.
    """
    there = np.arange(rows.windows.shape[1]) < rows.known[:, None]
    windows = np.where(there, rows.windows, 0)
    centres = np.broadcast_to(usual[:, None], windows.shape).copy()
    weeks = np.maximum(rows.known // WEEK, 1)
    for day in range(WEEK):
        own = windows[:, day::WEEK].sum(axis=1) / np.maximum(there[:, day::WEEK].sum(axis=1), 1)
        centres[:, day::WEEK] = np.where(by_weekday, own, usual)[:, None]
    centres = np.maximum(centres, LEAST_MEAN)
    squares = (windows - centres) ** 2 / centres
    squares *= np.where(by_weekday, weeks / np.maximum(weeks - 1, 1), 1.0)[:, None]
    middle = _in_order(np.where(there, centres, 0.0)) / np.maximum(rows.known, 1)
    middle = np.maximum(middle, LEAST_MEAN)
    over = np.maximum(_spread(squares, there) - 1, 0.0) / middle
    return over + 1 / (np.maximum(rows.known, 1) * middle)


def _dispersion_of_shares(part: Earlier, whole: Earlier, usual: Reals) -> Reals:
    """(n,) over-dispersion, between 0 and 0.9."""
    columns = np.arange(whole.windows.shape[1])
    there = (columns < whole.known[:, None]) & (whole.windows > 0)
    of = np.where(there, whole.windows, 1)
    share = usual[:, None]
    squares = (np.where(there, part.windows, 0) - of * share) ** 2 / (of * share * (1 - share))
    mean = np.where(there, of, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    over = (_spread(squares, there) - 1) / np.maximum(mean - 1, _LEAST_DISPERSION)
    return np.where(mean > 1, np.clip(over, 0.0, _MOST_DISPERSED), 0.0)


def _spread(squares: Reals, there: Bools) -> Reals:
    """(n,) the mean of squared residuals without the greatest, as large as it may well be."""
    count = there.sum(axis=1)
    kept = np.maximum(count - -(-count // _LEFT_OUT), 1)
    ordered = np.sort(np.where(there, squares, np.inf), axis=1)
    ordered = np.where(np.arange(squares.shape[1]) < kept[:, None], ordered, 0.0)
    ordered[~np.isfinite(ordered)] = 1.0  # not even one is known
    mean = _in_order(ordered) / kept / _OF_CHI_SQUARED
    spread: Reals = mean * (1 + _ONE_SIDED * np.sqrt(2 / kept))
    return spread


def _in_order(rows: Reals) -> Reals:
    """(n,) sums from the first column to the last: numpy's own order depends on the shape."""
    sums: Reals = np.cumsum(rows, axis=1)[:, -1]
    return sums


_LN10 = float(np.log(10.0))
_SLACK = 0.25
_LEAST_DISPERSION = 1e-6
_MOST = np.iinfo(np.int64).max
