"""A key's whole history as columns: for who judges years. Pure.

It answers as ``alerts.conditions.windows.Series`` does. It is long, so finders look at all of its
grid points at once.
"""

from collections.abc import Iterator
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from alerts.conditions.windows import EPOCH, MINUTE, Series, moment_of
from store.buckets import Sums
from store.minutes import Minutes

_COLUMNS = ("documents", "negative", "neutral", "positive", "score_sum")


class History(Series):
    """The minutes of one key."""

    def __init__(self, minutes: Minutes) -> None:
        self._minutes = minutes.start
        self._by_width: dict[int, NDArray[np.int64]] = {}
        self._before: NDArray[np.int64] | None = None
        """Minute by minute, how many with documents lie before it; made when it is asked for."""
        columns = np.column_stack([getattr(minutes, name) for name in _COLUMNS])
        self._sums = np.concatenate(
            [np.zeros((1, len(_COLUMNS)), np.int64), columns.cumsum(axis=0)]
        )

    @property
    def is_long(self) -> bool:
        """See ``Series``."""
        return True

    def minutes(self) -> Iterator[tuple[datetime, Sums]]:
        """Each minute with its sums, in order."""
        for minute, own in zip(self._minutes, np.diff(self._sums, axis=0), strict=True):
            yield moment_of(minute), Sums(*own.tolist())

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
        return moment_of(self._minutes[index - 1]) if index else None

    def next_minute(self, moment: datetime) -> datetime | None:
        """The first minute with documents that begins at ``moment`` or later."""
        index = self._index(moment)
        return moment_of(self._minutes[index]) if index < len(self._minutes) else None

    def sums(
        self, ends: NDArray[np.int64], length: int, width: int = len(_COLUMNS)
    ) -> NDArray[np.int64]:
        """See ``Series``: of so many windows their ends are looked up, not searched for."""
        if width not in self._by_width:
            self._by_width[width] = np.ascontiguousarray(self._sums[:, :width])
        running = self._by_width[width]
        return running[self._places(ends)] - running[self._places(ends - length)]

    def _places(self, minutes: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many minutes with documents lie before each of these."""
        if not len(self._minutes):
            return np.zeros_like(minutes)
        begin = self._minutes[0]
        if self._before is None:
            every = np.arange(begin, self._minutes[-1] + 2)
            self._before = np.searchsorted(self._minutes, every)
        places: NDArray[np.int64] = self._before[np.clip(minutes - begin, 0, len(self._before) - 1)]
        return places

    def _columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self._minutes, self._sums

    def _index(self, moment: datetime) -> int:
        return int(np.searchsorted(self._minutes, -((EPOCH - moment) // MINUTE)))
