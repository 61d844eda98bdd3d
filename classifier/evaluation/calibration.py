"""Calibration: probabilities that mean what they say. Of texts given 0.8, eight in ten are right.

One number a head, its temperature, divides the logits; it is fitted on development rows and folded
into the head, so serving knows nothing of it and the likeliest class never changes. Arithmetic on
arrays alone: knows no model and no text. A target of ``UNLABELLED`` is passed over everywhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from classifier.evaluation.confusion import Floats, Indices
from classifier.labels import UNLABELLED

BINS = 15
"""Bins of a reliability diagram and of the expected calibration error, as Guo et al. have them."""

FEWEST_ROWS = 30
"""With fewer labelled rows than these a temperature is not fitted."""

COLDEST, HOTTEST = 0.05, 20.0
"""The range in which a temperature is looked for."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows whose top probability lies in one span, and how many of them are right."""

    rows: int
    confidence: float
    """The mean top probability of the rows."""
    accuracy: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far a head's top probabilities are from the share that is right."""

    rows: int
    ece: float
    """Expected calibration error over bins of equal width."""
    adaptive_ece: float
    """The same over bins of equally many rows."""
    bins: tuple[Bin, ...]
    """The bins of equal width that hold any row, the least sure first."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """One head before and after its logits were divided by ``temperature``."""

    head: str
    temperature: float
    before: Reliability
    after: Reliability


def softmax(logits: ArrayLike) -> Floats:
    """Probabilities (N, C), in float64, of logits (N, C)."""
    raised = np.asarray(logits, dtype=np.float64)
    raised = np.exp(raised - raised.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> float:
    """The temperature under which ``targets`` (N,) are likeliest, given ``logits`` (N, C).

    Temperature scaling of Guo et al. 2017, "On Calibration of Modern Neural Networks". The
    likelihood is concave in 1/T, so the zero of its slope is found by bisection, exactly and
    always. Targets are smoothed by one row in N + 2, as Platt 1999 does, so that rows that are all
    right do not ask for a temperature of nought. Where nothing can be learned (fewer than
    ``FEWEST_ROWS`` labelled rows, one class only, or logits all alike) the answer is 1: no change.
    Raises ValueError if a logit is not finite.
    """
    values, labels = _labelled(logits, targets)
    if not np.isfinite(values).all():
        raise ValueError("a temperature needs finite logits; the model's are not, so train it anew")
    if len(labels) < FEWEST_ROWS or len(np.unique(labels)) < 2 or not np.ptp(values, axis=1).any():
        return 1.0
    smoothing = 1 / (len(labels) + 2)
    wanted = (1 - smoothing) * values[np.arange(len(labels)), labels]
    wanted += smoothing * values.mean(axis=1)
    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)
    for _ in range(60):
        middle = (low + high) / 2
        expected = (softmax(values * np.exp(middle)) * values).sum(axis=1)
        low, high = (low, middle) if (expected - wanted).mean() > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))


def calibrate(head: str, temperature: float, logits: ArrayLike, targets: ArrayLike) -> Calibration:
    """What ``temperature`` does to uncalibrated ``logits`` (N, C) of rows it was not fitted on."""
    values, labels = _labelled(logits, targets)
    before, after = (reliability(softmax(values / t), labels) for t in (1.0, temperature))
    return Calibration(head, temperature, before, after)


def reliability(probabilities: Floats, targets: ArrayLike, bins: int = BINS) -> Reliability:
    """The calibration of ``probabilities`` (N, C) on ``targets`` (N,); all nought without rows."""
    values, labels = _labelled(probabilities, targets)
    confidence, right = top(values, labels)
    inside = equal_width(confidence, bins)
    return Reliability(
        rows=len(labels),
        ece=binned_error(right - confidence, inside),
        adaptive_ece=binned_error(right - confidence, _equal_mass(confidence, bins)),
        bins=tuple(
            Bin(
                int((inside == b).sum()),
                float(confidence[inside == b].mean()),
                float(right[inside == b].mean()),
            )
            for b in np.unique(inside)
        ),
    )


def top(probabilities: Floats, targets: Indices) -> tuple[Floats, Floats]:
    """The probability (N,) of each row's likeliest class, and 1 where that class is the target."""
    if not len(targets):
        return np.empty(0), np.empty(0)
    said = probabilities.argmax(axis=1)
    return probabilities.max(axis=1), (said == targets).astype(np.float64)


def equal_width(confidence: Floats, bins: int = BINS) -> Indices:
    """The bin (N,) of each probability; bins hold their upper edge, as Guo et al. have it."""
    numbers = np.ceil(confidence * bins).astype(np.int64) - 1
    return np.clip(numbers, 0, bins - 1)


def binned_error(gaps: Floats, inside: Indices) -> float:
    """The mean over rows of their bin's gap between being right and being sure.

    With ``gaps`` (N,) of right less confidence this is the expected calibration error of Naeini
    et al. 2015: each bin's gap weighs as its share of the rows, so the sizes cancel.
    """
    return float(np.abs(np.bincount(inside, weights=gaps)).sum() / max(1, len(gaps)))


def _equal_mass(confidence: Floats, bins: int) -> Indices:
    """Bins of equally many rows, so that no sparse bin speaks as loud as a full one.

    Equal probabilities share a bin, whichever order the rows come in (Nguyen and O'Connor 2015
    introduce the bins).
    """
    ordered = np.sort(confidence)
    ranks = np.searchsorted(ordered, confidence, side="left")
    return ranks * bins // max(1, len(confidence))


def _labelled(values: ArrayLike, targets: ArrayLike) -> tuple[Floats, Indices]:
    """The rows that carry a label, as float64 and int64."""
    labels = np.asarray(targets, dtype=np.int64)
    given = labels != UNLABELLED
    return np.asarray(values, dtype=np.float64)[given], labels[given]
