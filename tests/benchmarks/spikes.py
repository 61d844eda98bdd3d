"""Spike detection: ours beside three rivals, on labelled series that chose none of its parameters.

A rival's threshold is the one that scores best on the development series, which is kind to it: ours
has the defaults that every series gets. All have the same time to warm up and the same hold.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from spike_rivals import RIVALS, alerts
from spike_scoring import Tally
from spike_series import DEVELOPMENT, EVALUATION, STEP, Series, draw

from alerts.spikes import Detector, Parameters

THRESHOLDS = np.geomspace(2, 60, 60)
OURS = "tapewatch"


def run(*, quick: bool) -> dict[str, Any]:
    """Precision, recall, delay and score of each detector on the evaluation series."""
    development = [draw(seed) for seed in DEVELOPMENT[: 1 if quick else None]]
    evaluation = [draw(seed) for seed in EVALUATION[: 1 if quick else None]]
    results: dict[str, Any] = {OURS: {"threshold": Parameters().threshold, **_ours(evaluation)}}
    for name in RIVALS:
        threshold = max(THRESHOLDS, key=lambda at: _rival(name, at, development)["score"])
        results[name] = {"threshold": round(float(threshold), 2)}
        results[name] |= _rival(name, threshold, evaluation)
    anomalies = sum(len(series.anomalies) for series in evaluation)
    return {
        "series": len(evaluation), "rows_a_series": len(evaluation[0].counts),
        "anomalies": anomalies, "detectors": results,
    }  # fmt: skip


def _ours(of: Iterable[Series]) -> dict[str, Any]:
    return _summary((series, our_alerts(series)) for series in of)


def our_alerts(series: Series) -> list[int]:
    """The rows at which ours alerts."""
    detector = Detector(STEP)
    rows = zip(series.timestamps, series.counts, strict=True)
    return [i for i, (at, count) in enumerate(rows) if detector.update(at, float(count)).alert]


_SCORES: dict[tuple[str, int], np.ndarray] = {}


def _rival(name: str, threshold: float, of: Iterable[Series]) -> dict[str, Any]:
    parameters = Parameters()
    warm_up, hold = parameters.warm_up // STEP, parameters.hold // STEP

    def found(series: Series) -> list[int]:
        key = name, series.seed
        if key not in _SCORES:
            _SCORES[key] = RIVALS[name](series.counts)
        return alerts(_SCORES[key], threshold, warm_up, hold)

    return _summary((series, found(series)) for series in of)


def _summary(judged: Iterable[tuple[Series, list[int]]]) -> dict[str, Any]:
    tally = Tally()
    for series, rows in judged:
        tally.add(rows, [start for start, _ in series.anomalies], len(series.counts))
    return tally.summary()
