"""What a batch adds to the time buckets, summed before it is sent. Pure; knows no SQL.

Minutes are counted from the UNIX epoch here. The rows come in the order in which everybody locks
buckets: width, scope, key, start and kind, texts by their code points.
"""

from collections.abc import Iterable
from datetime import datetime

_PLACES = {"negative": 1, "neutral": 2, "positive": 3}
_SCORE = 4

Place = tuple[str, str, int, str]
"""Scope, key, minute and kind."""

Row = tuple[str, str, str, int, str, list[int]]
"""Width, scope, key, start in seconds of the UNIX epoch, kind; and documents, negative, neutral,
positive and the sum of scores."""


class BatchSums:
    """Sums by minute bucket; hours and days are made of them at the end."""

    def __init__(self) -> None:
        self._minutes: dict[Place, list[int]] = {}

    def add(
        self,
        scopes: Iterable[tuple[str, str]],
        published_at: datetime,
        kind: str,
        sentiment: str,
        score: int,
    ) -> None:
        """Count one document under each (scope, key) of ``scopes``."""
        minute = int(published_at.timestamp() // 60)
        column = _PLACES.get(sentiment)
        minutes = self._minutes
        for scope, key in scopes:
            place = (scope, key, minute, kind)
            sums = minutes.get(place)
            if sums is None:
                sums = minutes[place] = [0, 0, 0, 0, 0]
            sums[0] += 1
            if column is not None:
                sums[column] += 1
            sums[_SCORE] += score

    def rows(self) -> list[Row]:
        """The days, then the hours, then the minutes, each in order."""
        hours = _gathered(self._minutes, 60)
        return [
            *_in_order("day", _gathered(hours, 24), 86_400),
            *_in_order("hour", hours, 3600),
            *_in_order("minute", self._minutes, 60),
        ]


def _gathered(buckets: dict[Place, list[int]], count: int) -> dict[Place, list[int]]:
    """Buckets that hold ``count`` of those each."""
    found: dict[Place, list[int]] = {}
    for (scope, key, start, kind), sums in buckets.items():
        place = (scope, key, start // count, kind)
        known = found.get(place)
        found[place] = [a + b for a, b in zip(known, sums, strict=True)] if known else sums
    return found


def _in_order(width: str, buckets: dict[Place, list[int]], seconds: int) -> list[Row]:
    ordered = sorted(buckets.items())
    return [(width, s, k, start * seconds, kind, sums) for (s, k, start, kind), sums in ordered]
