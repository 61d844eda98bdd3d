"""Labelled series of 5-minute counts, drawn from a seed: what spike detectors are judged on.

A series is 55 days of mentions: a daily and weekly rhythm, drift, self-exciting chatter with a
heavy tail, over-dispersed counts, and small bursts and lone outliers that nobody would wake a
person for. On top lie the anomalies to be found, each with its first row. Development seeds chose
the detector's parameters; evaluation seeds were only ever reported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

STEP = timedelta(minutes=5)
DAY = 288
ROWS = 55 * DAY
START = datetime(2015, 2, 26, 21, 40, tzinfo=UTC)
CALM_ROWS = 4 * DAY
"""Rows at the start without anomalies."""

DEVELOPMENT = range(100, 124)
EVALUATION = range(9000, 9032)


@dataclass(frozen=True)
class Series:
    """``counts`` and the first row of each anomaly, with what it is."""

    seed: int
    counts: np.ndarray
    anomalies: tuple[tuple[int, str], ...]

    @property
    def timestamps(self) -> list[datetime]:
        return [START + i * STEP for i in range(len(self.counts))]


def draw(seed: int, rows: int = ROWS) -> Series:
    """The series of that seed."""
    chance = np.random.default_rng(seed)
    usual = _usual(chance, rows)
    starts = _starts(chance, rows)
    kinds = [str(chance.choice(list(_KINDS), p=_ODDS)) for _ in starts]
    factor = np.ones(rows)
    for start, kind in zip(starts, kinds, strict=True):
        _KINDS[kind](factor, start, chance)
    counts = _chatter(chance, usual * _distractors(chance, rows) * factor, factor)
    _glitches(chance, counts, starts)
    return Series(seed, counts, tuple(zip(starts, kinds, strict=True)))


def _usual(chance: np.random.Generator, rows: int) -> np.ndarray:
    """The expected count of a row without any event: level, rhythm and drift."""
    level = np.exp(chance.uniform(np.log(1.5), np.log(250)))
    hour = np.arange(rows) / 12.0
    phase, second = chance.uniform(0, 24, 2)
    depth = chance.uniform(0.2, 1.2)
    day = depth * np.sin(2 * np.pi * (hour - phase) / 24)
    day += 0.4 * depth * np.sin(4 * np.pi * (hour - second) / 24)
    opening = chance.uniform(0, 0.8) * (np.abs((hour - phase) % 24 - 8) < chance.uniform(0.2, 1.5))
    weekend = np.where((hour // 24).astype(int) % 7 >= 5, np.log(chance.uniform(0.35, 1.0)), 0.0)
    walk = np.cumsum(chance.normal(0, chance.uniform(0.05, 0.2) / np.sqrt(DAY), rows))
    return level * np.exp(day + opening + weekend + walk)


def _distractors(chance: np.random.Generator, rows: int) -> np.ndarray:
    """Slow weather and small bursts, in every series more or less of them."""
    pull, spread = np.exp(-1 / chance.uniform(6, 60)), chance.uniform(0.05, 0.35)
    noise = chance.normal(0, spread * np.sqrt(1 - pull**2), rows)
    weather = np.zeros(rows)
    for i in range(1, rows):
        weather[i] = pull * weather[i - 1] + noise[i]
    factor = np.exp(weather)
    for _ in range(chance.poisson(chance.uniform(0, 25))):
        at = chance.integers(rows)
        height = min(chance.pareto(2.5) * 0.6, 2.5)
        _decay(factor, at, 1 + height, chance.uniform(2, 12))
    return factor


def _chatter(chance: np.random.Generator, rate: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Counts whose rate partly follows the counts before, with gamma distributed marks."""
    branching = chance.uniform(0, 0.5)
    size = np.exp(chance.uniform(np.log(2), np.log(30)))
    memory = np.exp(-1 / chance.uniform(1, 6))
    counts = np.zeros(len(rate))
    excited = 0.0
    for i, usual in enumerate(rate):
        wanted = (1 - branching) * usual + (branching * excited if factor[i] > 0 else 0.0)
        counts[i] = chance.poisson(wanted * chance.gamma(size) / size)
        excited = memory * excited + (1 - memory) * counts[i]
    return counts


def _glitches(chance: np.random.Generator, counts: np.ndarray, starts: list[int]) -> None:
    """Lone high rows (a robot repeats itself) and short runs without any; neither is labelled."""
    for _ in range(chance.poisson(chance.uniform(0, 20))):
        at = chance.integers(len(counts))
        counts[at] = round(counts[at] * (1 + min(chance.pareto(2), 3)) + chance.poisson(2))
    for _ in range(chance.poisson(1.5)):
        at = chance.integers(len(counts))
        if all(abs(at - start) > DAY for start in starts):
            counts[at : at + chance.integers(1, 4)] = 0


def _starts(chance: np.random.Generator, rows: int) -> list[int]:
    count = int(chance.integers(2, 6))
    room = (rows - CALM_ROWS - DAY) / count
    return [int(CALM_ROWS + (i + chance.uniform(0.15, 0.85)) * room) for i in range(count)]


def _decay(factor: np.ndarray, start: int, height: float, life: float) -> None:
    after = np.arange(len(factor) - start)
    factor[start:] *= 1 + (height - 1) * np.exp(-after / life)


def _burst(factor: np.ndarray, start: int, chance: np.random.Generator) -> None:
    _decay(factor, start, 1 + chance.uniform(2.5, 15), chance.uniform(6, 60))


def _ramp(factor: np.ndarray, start: int, chance: np.random.Generator) -> None:
    rise = int(chance.integers(6, 30))
    height = 1 + chance.uniform(2.5, 8)
    factor[start : start + rise] *= np.linspace(1, height, rise)
    _decay(factor, start + rise, height, chance.uniform(12, 60))


def _outlier(factor: np.ndarray, start: int, chance: np.random.Generator) -> None:
    factor[start : start + chance.integers(1, 3)] *= chance.uniform(10, 40)


def _outage(factor: np.ndarray, start: int, chance: np.random.Generator) -> None:
    factor[start : start + chance.integers(18, 100)] *= 0


def _drop(factor: np.ndarray, start: int, chance: np.random.Generator) -> None:
    factor[start : start + chance.integers(48, 200)] *= chance.uniform(0.05, 0.25)


def _shift(factor: np.ndarray, start: int, chance: np.random.Generator) -> None:
    factor[start:] *= chance.uniform(2.2, 4)


_Shape = Callable[[np.ndarray, int, np.random.Generator], None]
_KINDS: dict[str, _Shape] = {
    "burst": _burst, "ramp": _ramp, "outlier": _outlier, "outage": _outage, "drop": _drop,
    "shift": _shift,
}  # fmt: skip
_ODDS = (0.5, 0.15, 0.1, 0.1, 0.05, 0.1)
