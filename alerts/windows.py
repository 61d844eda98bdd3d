"""Windows: sums of minute buckets over a span that slides along the grid. Pure.

Event time only; decides nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import accumulate

from alerts.rules import Rule
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

    def next_met(self, rule: Rule, now: datetime) -> datetime | None:  # noqa: ARG002
        """The first grid point from ``now`` on that a calm key must be judged at; None: none.

        These minutes are few: at every one.
        """
        return now


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


def next_point(moment: datetime, step: timedelta) -> datetime:
    """The first grid point after ``moment``."""
    return floor(moment, step) + step
