"""What one would try first: three detectors of a few lines, on the same rows.

Each returns a deviation in its own standard deviations for every row, by the rows before it. The
benchmark draws each rival's threshold where the development series score best.
"""

import numpy as np

DAY = 288


def rolling_z(counts: np.ndarray, rows: int = DAY) -> np.ndarray:
    """Distance from the mean of the last day, in its standard deviations."""
    scores = np.zeros(len(counts))
    sums = np.concatenate([[0.0], np.cumsum(counts)])
    squares = np.concatenate([[0.0], np.cumsum(counts**2)])
    at = np.arange(rows, len(counts))
    mean = (sums[at] - sums[at - rows]) / rows
    variance = (squares[at] - squares[at - rows]) / rows - mean**2
    scores[at] = np.abs(counts[at] - mean) / np.sqrt(np.maximum(variance, 0.25))
    return scores


def ewma(counts: np.ndarray, rows: int = 36) -> np.ndarray:
    """Distance from an exponentially weighted mean, in such a standard deviation."""
    weight = 2 / (rows + 1)
    scores = np.zeros(len(counts))
    mean, variance = float(counts[0]), 1.0
    for i, count in enumerate(counts):
        off = count - mean
        scores[i] = abs(off) / np.sqrt(max(variance, 0.25))
        mean += weight * off
        variance = (1 - weight) * (variance + weight * off * off)
    return scores


def seasonal_median(counts: np.ndarray, days: int = 14) -> np.ndarray:
    """Distance from the median of the same time of the last days, in their scaled MAD."""
    scores = np.zeros(len(counts))
    around = np.arange(-3, 4)
    for i in range(2 * DAY, len(counts)):
        back = np.arange(1, min(days, (i - 3) // DAY) + 1) * DAY
        sample = counts[(i - back[:, None] + around).ravel()]
        median = np.median(sample)
        spread = 1.4826 * np.median(np.abs(sample - median))
        scores[i] = abs(counts[i] - median) / max(spread, 1.0)
    return scores


RIVALS = {"rolling z-score": rolling_z, "EWMA": ewma, "seasonal median/MAD": seasonal_median}


def alerts(scores: np.ndarray, threshold: float, warm_up: int, hold: int) -> list[int]:
    """Rows beyond the threshold, none while warming up nor within ``hold`` rows of an alert."""
    told: list[int] = []
    for row in np.flatnonzero(scores >= threshold):
        if row >= warm_up and (not told or row - told[-1] >= hold):
            told.append(int(row))
    return told
