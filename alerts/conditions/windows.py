"""Windows: sums of minute buckets over a span that slides along the grid. Pure.

Event time only; decides nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from store.buckets import MinuteRow, Sums

MINUTE = timedelta(minutes=1)
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


_FIELDS = [field.name for field in fields(Sums)]


class Series:
    """One key's minutes in order, with running sums, so that any window costs two look-ups."""

    def __init__(
        self,
        minutes: Sequence[tuple[datetime, Sums]] = (),
        *,
        starts: list[datetime] | None = None,
        columns: Sequence[Sequence[int]] = (),
    ) -> None:
        """Of minutes with their sums; or of ``starts`` and a column for each field of ``Sums``."""
        if starts is None:
            starts = [start for start, _ in minutes]
            columns = [[getattr(sums, name) for _, sums in minutes] for name in _FIELDS]
        self._starts = starts
        self._running = [list(accumulate(column, initial=0)) for column in columns]
        self._arrays: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def minutes(self) -> Iterator[tuple[datetime, Sums]]:
        """Each minute with its sums, in order."""
        for index, start in enumerate(self._starts):
            yield start, Sums(*(running[index + 1] - running[index] for running in self._running))

    def window(self, start: datetime, end: datetime) -> Sums:
        """The sum over the minutes that begin in [start, end)."""
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        return Sums(*(running[last] - running[first] for running in self._running))

    def filled(self, start: datetime, end: datetime) -> int:
        """How many minutes that begin in [start, end) hold documents."""
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def last_minute(self, before: datetime) -> datetime | None:
        """The last minute with documents that begins before ``before``."""
        index = bisect_left(self._starts, before)
        return self._starts[index - 1] if index else None

    def next_minute(self, moment: datetime) -> datetime | None:
        """The first minute with documents that begins at ``moment`` or later."""
        index = bisect_left(self._starts, moment)
        return self._starts[index] if index < len(self._starts) else None

    @property
    def is_long(self) -> bool:
        """Whether it pays to look at all grid points at once."""
        return False

    def sums(
        self, ends: NDArray[np.int64], length: int, width: int = len(_FIELDS)
    ) -> NDArray[np.int64]:
        """The sums of windows of ``length`` minutes, (n, width): the first so many of ``Sums``.

        ``ends`` (n,) are in minutes of the UNIX epoch.
        """
        minutes, running = self._columns()
        last, first = np.searchsorted(minutes, ends), np.searchsorted(minutes, ends - length)
        return running[last, :width] - running[first, :width]

    def _columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Minutes (n,) and running sums (n + 1, 5)."""
        if self._arrays is None:
            minutes = np.array([minute_of(start) for start in self._starts], np.int64)
            running = np.array(self._running, np.int64).reshape(len(_FIELDS), -1).T
            if not len(running):
                running = np.zeros((1, len(_FIELDS)), np.int64)
            self._arrays = minutes, np.ascontiguousarray(running)
        return self._arrays


def combined(parts: Sequence[Series]) -> Series:
    """One series of the minutes of several keys."""
    if len(parts) == 1:
        return parts[0]
    sums: dict[datetime, Sums] = {}
    for part in parts:
        for start, own in part.minutes():
            sums[start] = sums.get(start, Sums()) + own
    return Series(sorted(sums.items(), key=lambda minute: minute[0]))


def series_by_key(rows: Iterable[MinuteRow], kinds: Sequence[str]) -> dict[str, Series]:
    """One series a key of rows that come in order of key and time; ``kinds`` are added up."""
    found: dict[str, Series] = {}
    current: str | None = None
    starts: list[datetime] = []
    columns: list[list[int]] = []
    for key, start, kind, *numbers in rows:
        if kind not in kinds:
            continue
        if key != current:
            if current is not None:
                found[current] = Series(starts=starts, columns=columns)
            current, starts, columns = key, [], [[] for _ in numbers]
        if starts and starts[-1] == start:
            for column, number in zip(columns, numbers, strict=True):
                column[-1] += number
            continue
        starts.append(start)
        for column, number in zip(columns, numbers, strict=True):
            column.append(number)
    if current is not None:
        found[current] = Series(starts=starts, columns=columns)
    return found


def floor(moment: datetime, step: timedelta) -> datetime:
    """The last grid point at or before ``moment``; the grid counts from the UNIX epoch."""
    return moment - (moment - EPOCH) % step


def ceiling(moment: datetime, step: timedelta) -> datetime:
    """The first grid point at or after ``moment``."""
    return moment + (EPOCH - moment) % step


def minute_of(moment: datetime) -> int:
    """The minute of the UNIX epoch that ``moment`` lies in."""
    return (moment - EPOCH) // MINUTE


def moment_of(minute: int | np.int64) -> datetime:
    """The start of a minute of the UNIX epoch."""
    return EPOCH + int(minute) * MINUTE


def next_point(moment: datetime, step: timedelta) -> datetime:
    """The first grid point after ``moment``."""
    return floor(moment, step) + step
