"""The population stability index: how far one set of counts is from another. Pure arithmetic.

    PSI = sum over bins of (p - q) ln(p / q)

over shares p and q: the symmetric Kullback-Leibler divergence of Jeffreys (1946) under the name
that credit scoring gives it. Its usual limits, 0.1 and 0.25, are those of Siddiqi, "Credit Risk
Scorecards" (2006).

A small sample has an index above zero without any drift: with B bins and n and m observations it
is about (B - 1) (1/n + 1/m) on average (Yurdakul, "Statistical properties of population stability
index", 2018). That expected value is taken off before the limits apply, and where it is larger
than the lower limit itself, the index is not judged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MODERATE, DRIFTED = 0.1, 0.25


class Verdict(StrEnum):
    """What an index says."""

    STABLE = "stable"
    MODERATE = "moderate"
    DRIFTED = "drifted"
    TOO_FEW = "too few documents"


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison: its index, and what the index would be on average without any drift."""

    name: str
    psi: float
    expected: float
    bins: int
    verdict: Verdict


def compare(name: str, before: Sequence[int], now: Sequence[int] | Counts) -> Part:
    """One part: counts (B,) of the reference and of now, bin by bin."""
    old, new = np.asarray(before), np.asarray(now)
    used = int(((old + new) > 0).sum())
    expected = expected_psi(used, int(old.sum()), int(new.sum()))
    index = float(contributions(old, new).sum())
    return Part(name, index, expected, used, judge(index, expected))


def contributions(before: Counts, now: Counts) -> Floats:
    """What each bin (B,) adds to the population stability index; never negative.

    A bin that is empty on one side would make it infinite. So the share that half an observation
    of the smaller side has is added to every bin of both sides: the same to both, lest it seem to
    be a difference itself. Zero where a side has no observation at all.
    """
    total_before, total_now = int(before.sum()), int(now.sum())
    if not total_before or not total_now:
        return np.zeros(len(before))
    little = 0.5 / min(total_before, total_now)
    whole = 1 + little * len(before)
    q = (before / total_before + little) / whole
    p = (now / total_now + little) / whole
    return np.asarray((p - q) * np.log(p / q), dtype=np.float64)


def expected_psi(bins: int, before: int, now: int) -> float:
    """The index that chance alone brings, on average; infinite without observations."""
    if not before or not now:
        return float("inf")
    return max(0, bins - 1) * (1 / before + 1 / now)


def judge(psi: float, expected: float) -> Verdict:
    """The verdict on one index: what is beyond chance, against the limits, themselves included."""
    if expected > MODERATE:
        return Verdict.TOO_FEW
    beyond = psi - expected
    if beyond >= DRIFTED:
        return Verdict.DRIFTED
    return Verdict.MODERATE if beyond >= MODERATE else Verdict.STABLE


def overall(parts: Iterable[Verdict], documents: int, min_documents: int) -> Verdict:
    """The worst of the parts that could be judged; too few if none could, or documents are few."""
    found = set(parts) - {Verdict.TOO_FEW}
    if documents < min_documents or not found:
        return Verdict.TOO_FEW
    return next(v for v in (Verdict.DRIFTED, Verdict.MODERATE, Verdict.STABLE) if v in found)
