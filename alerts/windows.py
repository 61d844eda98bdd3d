"""Windows: sums of minute buckets over a span that slides along the grid. Pure.

Event time only; decides nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from alerts.rules import Rule
from store.buckets import Bucket, Sums

MINUTE = timedelta(minutes=1)
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Series:
    """One key's minutes in order, with running sums, so that any window costs two look-ups."""

    def __init__(self, minutes: Sequence[tuple[datetime, Sums]]) -> None:
        self._starts = [start for start, _ in minutes]
        self._running = [Sums(), *accumulate(sums for _, sums in minutes)]

    def window(self, start: datetime, end: datetime) -> Sums:
        """The sum over the minutes that begin in [start, end)."""
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        return self._running[last] - self._running[first]

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


def series_by_key(buckets: Iterable[Bucket], kinds: Sequence[str]) -> dict[str, Series]:
    """One series a key of buckets that come in order of key and time; ``kinds`` are added up."""
    minutes: dict[str, dict[datetime, Sums]] = {}
    for bucket in buckets:
        if bucket.kind in kinds:
            of_key = minutes.setdefault(bucket.key, {})
            of_key[bucket.start] = of_key.get(bucket.start, Sums()) + bucket.sums
    return {key: Series(list(of_key.items())) for key, of_key in minutes.items()}


def floor(moment: datetime, step: timedelta) -> datetime:
    """The last grid point at or before ``moment``; the grid counts from the UNIX epoch."""
    return moment - (moment - EPOCH) % step


def next_point(moment: datetime, step: timedelta) -> datetime:
    """The first grid point after ``moment``."""
    return floor(moment, step) + step
