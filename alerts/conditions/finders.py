"""Finders: what a rule finds for one key at any grid point of a span. Pure.

One for each kind of rule; the lifecycle takes their findings without knowing which. A finder knows
beforehand, where it can, at which grid points a calm key must be judged at all.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from alerts.conditions.composites import CompositeFinder, Timeline
from alerts.conditions.decisions import Coverage, find, measured, unjudged
from alerts.conditions.lifecycle import Condition, Finding
from alerts.conditions.spiking import SpikeFinder
from alerts.conditions.windows import MINUTE, Series, minute_of, moment_of
from alerts.rules.kinds import AnyRule, CompositeRule, SpikeRule, ThresholdRule, TrendRule
from classifier.prediction import SCALE
from store.buckets import Sums

_SCORE = 4


class Finder(Protocol):
    """What a rule finds for a key."""

    def find(self, now: datetime, coverage: Coverage) -> Finding:
        """What it finds at a grid point."""

    def confirm(self, finding: Finding, now: datetime) -> Finding:
        """What is left of a finding where a firing would begin, by what is dear to look at."""

    def next_met(self, now: datetime) -> datetime | None:
        """The first grid point from ``now`` on at which the condition may be met; None: none."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a rule may look back on, apart from its own minutes.

    ``began``: when the run's documents began; None: longer ago than any rule looks. ``hours``: the
    sums of whole hours of each key, where the minutes do not go back far enough for them.
    ``members``: what became of the rules that a composite rule is made of, by rule and key.
    ``texts``: how many different texts a window (rule, key, end) holds; None where nobody can say.
    """

    began: datetime | None = None
    hours: Callable[[str], Series | None] = lambda _: None
    members: Callable[[str, str], Timeline] = lambda _rule, _key: Timeline()
    texts: Callable[[SpikeRule, str, datetime], int] | None = None


NOTHING_PAST = Past()


@dataclass(frozen=True, slots=True)
class Stretch:
    """The grid points in (after, until]."""

    after: datetime
    until: datetime

    def points(self, every: timedelta) -> NDArray[np.int64]:
        """Those of a grid, in minutes of the UNIX epoch."""
        step, first = every // MINUTE, minute_of(self.after)
        return np.arange(first + step - first % step, minute_of(self.until) + 1, step)


def finder_of(rule: AnyRule, key: str, series: Series, judged: Stretch, past: Past) -> Finder:
    """The finder of ``rule`` for ``key``, of which ``rule`` says what holds for that key."""
    match rule:
        case ThresholdRule():
            return _ThresholdFinder(rule, series, judged)
        case TrendRule():
            return _TrendFinder(rule, series, judged)
        case SpikeRule():
            hours = past.hours(key) or series
            texts = partial(past.texts, rule, key) if past.texts else None
            return SpikeFinder(rule, series, hours, judged.points(rule.every), past.began, texts)
        case CompositeRule():
            return CompositeFinder(rule, [past.members(name, key) for name in rule.members])


class _Screened(ABC):
    """Grid points at which a condition is met, found for all of them at once where that pays."""

    def __init__(self, series: Series, judged: Stretch) -> None:
        self._series, self._judged = series, judged
        self._met: NDArray[np.int64] | None = None

    def confirm(self, finding: Finding, now: datetime) -> Finding:  # noqa: ARG002
        return finding

    def next_met(self, now: datetime) -> datetime | None:
        if not self._series.is_long:
            return now
        if self._met is None:
            self._met = self._points()
        index = int(np.searchsorted(self._met, minute_of(now)))
        return moment_of(self._met[index]) if index < len(self._met) else None

    @abstractmethod
    def _points(self) -> NDArray[np.int64]:
        """Those grid points, in minutes of the UNIX epoch."""


class _ThresholdFinder(_Screened):
    def __init__(self, rule: ThresholdRule, series: Series, judged: Stretch) -> None:
        super().__init__(series, judged)
        self._rule = rule

    def find(self, now: datetime, coverage: Coverage) -> Finding:
        return find(self._rule, self._series.window(now - self._rule.window, now), coverage)

    def _points(self) -> NDArray[np.int64]:
        points, rule = self._judged.points(self._rule.every), self._rule
        values, enough = measured(rule, self._series, points)
        beyond = values >= rule.threshold if rule.operator == ">=" else values <= rule.threshold
        return points[enough & beyond]


class _TrendFinder(_Screened):
    def __init__(self, rule: TrendRule, series: Series, judged: Stretch) -> None:
        super().__init__(series, judged)
        self._rule = rule

    def find(self, now: datetime, coverage: Coverage) -> Finding:
        """The value is the fall from the first window to the last."""
        rule, ends = self._rule, self._ends(now)
        windows = [self._series.window(end - rule.window, end) for end in ends]
        if any(sums.documents < rule.min_documents for sums in windows):
            return unjudged(coverage, None)
        means = [_mean(sums) for sums in windows]
        fall = means[0] - means[-1]
        if coverage is Coverage.SILENT:
            return unjudged(coverage, fall)
        falling = all(later < earlier for earlier, later in pairwise(means))
        met = falling and fall >= rule.fall
        return Finding(Condition.MET if met else Condition.CLEAR, fall)

    def _ends(self, now: datetime) -> list[datetime]:
        return [now - back * self._rule.window for back in range(self._rule.windows - 1, -1, -1)]

    def _points(self) -> NDArray[np.int64]:
        rule, points = self._rule, self._judged.points(self._rule.every)
        length = rule.window // MINUTE
        met = np.ones(len(points), np.bool_)
        means = []
        for back in range(rule.windows - 1, -1, -1):
            sums = self._series.sums(points - back * length, length)
            met &= sums[:, 0] >= rule.min_documents
            means.append(sums[:, _SCORE] / SCALE / np.maximum(sums[:, 0], 1))
        for earlier, later in pairwise(means):
            met &= later < earlier
        return points[met & (means[0] - means[-1] >= rule.fall)]


def _mean(sums: Sums) -> float:
    return sums.score_sum / SCALE / sums.documents
