"""A key's whole history as columns, and where in it a rule may be met: for who judges years. Pure.

It answers as ``alerts.windows.Series`` does, and the judgement stays that of ``alerts.decisions``.
What it adds is to know beforehand, for all grid points at once, at which ones a calm key can stay
calm, so that nobody asks a hundred thousand times in vain.
"""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from alerts.rules import Metric, NoData, Rule
from alerts.windows import EPOCH, MINUTE, Series
from classifier.prediction import SCALE
from store.buckets import Sums
from store.minutes import Minutes

_COLUMNS = ("documents", "negative", "neutral", "positive", "score_sum")
_DOCUMENTS, _NEGATIVE, _SCORE = 0, 1, 4

_Measured = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]


class History(Series):
    """The minutes of one key, to be judged at the grid points in (after, until]."""

    def __init__(self, minutes: Minutes, after: datetime, until: datetime) -> None:
        self._after, self._until = _minute(after), _minute(until)
        self._minutes = minutes.start
        columns = np.column_stack([getattr(minutes, name) for name in _COLUMNS])
        self._sums = np.concatenate(
            [np.zeros((1, len(_COLUMNS)), np.int64), columns.cumsum(axis=0)]
        )
        self._met: dict[Rule, NDArray[np.int64]] = {}

    def window(self, start: datetime, end: datetime) -> Sums:
        """The sum over the minutes that begin in [start, end)."""
        first, last = self._index(start), self._index(end)
        return Sums(*(self._sums[last] - self._sums[first]).tolist())

    def filled(self, start: datetime, end: datetime) -> int:
        """How many minutes that begin in [start, end) hold documents."""
        return self._index(end) - self._index(start)

    def last_minute(self, before: datetime) -> datetime | None:
        """The last minute with documents that begins before ``before``."""
        index = self._index(before)
        return _moment(self._minutes[index - 1]) if index else None

    def next_minute(self, moment: datetime) -> datetime | None:
        """The first minute with documents that begins at ``moment`` or later."""
        index = self._index(moment)
        return _moment(self._minutes[index]) if index < len(self._minutes) else None

    def next_met(self, rule: Rule, now: datetime) -> datetime | None:
        """The first grid point from ``now`` on that a calm key must be judged at; None: none."""
        if rule.on_silence is NoData.ALERT and not rule.expects:
            return now  # whether it is missed depends on each window that it had documents in
        met = self._met.get(rule)
        if met is None:
            met = self._met[rule] = self._points(rule)
        index = int(np.searchsorted(met, _minute(now)))
        return _moment(met[index]) if index < len(met) else None

    def values(self, rule: Rule) -> NDArray[np.float64]:
        """The metric of ``rule`` at every grid point whose window can be judged, in order."""
        _, values, enough = self._measured(rule)
        return values[enough]

    def _points(self, rule: Rule) -> NDArray[np.int64]:
        """Every grid point at which the threshold is met, in minutes of the UNIX epoch."""
        grid, values, enough = self._measured(rule)
        beyond = values >= rule.threshold if rule.operator == ">=" else values <= rule.threshold
        return grid[enough & beyond]

    def _measured(self, rule: Rule) -> _Measured:
        """The grid points, the metric at each, and whether ``alerts.decisions`` would judge it."""
        step = rule.every // MINUTE
        first = self._after + step - self._after % step
        grid = np.arange(first, self._until + 1, step)
        ends = np.searchsorted(self._minutes, grid)
        begins = np.searchsorted(self._minutes, grid - rule.window // MINUTE)
        sums = self._sums[ends] - self._sums[begins]
        documents = sums[:, _DOCUMENTS]
        enough = documents >= rule.min_documents
        if rule.metric is Metric.DOCUMENTS:
            return grid, documents.astype(np.float64), enough
        if rule.metric is Metric.NEGATIVE_COUNT:
            return grid, sums[:, _NEGATIVE].astype(np.float64), enough
        share = rule.metric is Metric.NEGATIVE_SHARE
        whole = sums[:, _NEGATIVE].astype(np.float64) if share else sums[:, _SCORE] / SCALE
        return grid, whole / np.maximum(documents, 1), enough & (documents > 0)

    def _index(self, moment: datetime) -> int:
        return int(np.searchsorted(self._minutes, _ceiling(moment)))


def _minute(moment: datetime) -> int:
    return (moment - EPOCH) // MINUTE


def _ceiling(moment: datetime) -> int:
    return -((EPOCH - moment) // MINUTE)


def _moment(minute: np.int64) -> datetime:
    return EPOCH + int(minute) * MINUTE
