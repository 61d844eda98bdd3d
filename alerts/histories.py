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


class History(Series):
    """The minutes of one key, to be judged at the grid points in (after, until]."""

    def __init__(self, minutes: Minutes, after: datetime, until: datetime) -> None:
        self._after, self._until = _minute(after), _minute(until)
        self._minutes = minutes.start
        columns = np.column_stack([getattr(minutes, name) for name in _COLUMNS])
        self._sums = np.concatenate(
            [np.zeros((1, len(_COLUMNS)), np.int64), columns.cumsum(axis=0)]
        )
        self._met: dict[str, NDArray[np.int64]] = {}

    def window(self, start: datetime, end: datetime) -> Sums:
        """The sum over the minutes that begin in [start, end)."""
        first, last = self._index(start), self._index(end)
        return Sums(*(self._sums[last] - self._sums[first]).tolist())

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
        met = self._met.get(rule.name)
        if met is None:
            met = self._met[rule.name] = self._points(rule)
        index = int(np.searchsorted(met, _minute(now)))
        return _moment(met[index]) if index < len(met) else None

    def _points(self, rule: Rule) -> NDArray[np.int64]:
        """Every grid point at which the threshold is met, in minutes of the UNIX epoch."""
        first, last = self._after, self._until
        step = rule.every // MINUTE
        grid = np.arange(first + step - first % step, last + 1, step)
        ends = np.searchsorted(self._minutes, grid)
        begins = np.searchsorted(self._minutes, grid - rule.window // MINUTE)
        return grid[_is_met(rule, self._sums[ends] - self._sums[begins])]

    def _index(self, moment: datetime) -> int:
        return int(np.searchsorted(self._minutes, _ceiling(moment)))


def _is_met(rule: Rule, sums: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether ``alerts.decisions.find`` would say met, for each row of sums (n, 5)."""
    documents = sums[:, _DOCUMENTS]
    enough = documents >= rule.min_documents
    values: NDArray[np.float64]
    if rule.metric is Metric.DOCUMENTS:
        values = documents.astype(np.float64)
    elif rule.metric is Metric.NEGATIVE_COUNT:
        values = sums[:, _NEGATIVE].astype(np.float64)
    else:
        enough &= documents > 0
        share = rule.metric is Metric.NEGATIVE_SHARE
        whole = sums[:, _NEGATIVE].astype(np.float64) if share else sums[:, _SCORE] / SCALE
        values = whole / np.maximum(documents, 1)
    beyond = values >= rule.threshold if rule.operator == ">=" else values <= rule.threshold
    return np.asarray(enough & beyond)


def _minute(moment: datetime) -> int:
    return (moment - EPOCH) // MINUTE


def _ceiling(moment: datetime) -> int:
    return -((EPOCH - moment) // MINUTE)


def _moment(minute: np.int64) -> datetime:
    return EPOCH + int(minute) * MINUTE
