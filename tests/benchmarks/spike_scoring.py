"""How good alerts on a labelled series are: precision, recall, delay and a score like NAB's.

After Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (2015): the windows of a
series together cover a tenth of it, each centred on its anomaly. The first alert inside one counts
more the earlier it is; each alert outside costs, less so just behind a window; a window without an
alert costs. The sum is put on a scale where never alerting is 0 and perfection is 100.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

WINDOWS_SHARE = 0.1
PROBATION = 750
FALSE_ALARM, MISS = 0.11, 1.0


@dataclass
class Tally:
    """Sums over series."""

    points: float = 0.0
    anomalies: int = 0
    found: int = 0
    alerts: int = 0
    false_alarms: int = 0
    delays: list[int] = field(default_factory=list)
    series: int = 0

    def add(self, alerts: Sequence[int], starts: Sequence[int], rows: int) -> None:
        """Judge the alerting rows of one series."""
        spans = windows(starts, rows)
        alerts = [row for row in alerts if row >= PROBATION]
        self.series += 1
        self.alerts += len(alerts)
        self.anomalies += len(spans)
        for (first, last), start in zip(spans, starts, strict=True):
            inside = [row for row in alerts if first <= row <= last]
            if inside:
                self.found += 1
                self.points += reward(inside[0], first, last)
                self.delays.append(inside[0] - start)
            else:
                self.points -= MISS
        for row in alerts:
            if not any(first <= row <= last for first, last in spans):
                self.false_alarms += 1
                self.points -= FALSE_ALARM * penalty(row, spans)

    @property
    def score(self) -> float:
        """From 0 (never alerts) to 100; below 0 for what is worse than never."""
        return 100 * (self.points + self.anomalies * MISS) / (self.anomalies * (1 + MISS))

    def summary(self) -> dict[str, float | None]:
        return {
            "score": round(self.score, 1),
            "precision": round(1 - self.false_alarms / max(1, self.alerts), 3),
            "recall": round(self.found / self.anomalies, 3),
            "median_delay_rows": float(np.median(self.delays)) if self.delays else None,
            "alerts_a_series": round(self.alerts / self.series, 2),
            "false_alarms_a_series": round(self.false_alarms / self.series, 2),
        }


def windows(starts: Sequence[int], rows: int) -> list[tuple[int, int]]:
    """First and last row of each window; where two would meet, they part halfway."""
    half = int(WINDOWS_SHARE * rows / len(starts) / 2)
    spans = []
    for i, start in enumerate(starts):
        first, last = start - half, start + half
        if i > 0:
            first = max(first, (starts[i - 1] + start) // 2 + 1)
        if i + 1 < len(starts):
            last = min(last, (start + starts[i + 1]) // 2)
        spans.append((max(first, 0), min(last, rows - 1)))
    return spans


def reward(row: int, first: int, last: int) -> float:
    """1 at the window's first row, 0 behind its last."""
    position = -(last - row + 1) / (last - first + 1)
    return _sigmoid(position) / _sigmoid(-1.0)


def penalty(row: int, spans: Sequence[tuple[int, int]]) -> float:
    """The part of a false alarm's price: little just behind a window, all of it elsewhere."""
    before = [span for span in spans if span[1] < row]
    if not before:
        return 1.0
    first, last = before[-1]
    return -_sigmoid(min(3.0, (row - last) / (last - first)))


def _sigmoid(position: float) -> float:
    return 2 / (1 + math.exp(5 * position)) - 1
