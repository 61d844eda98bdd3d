"""What a window means for a threshold rule: a pure function from numbers to a finding.

No input, output or clock: the same arguments always give the same finding, live, in a replay and
in a backtest. What becomes of it is for ``alerts.conditions.lifecycle``.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from alerts.conditions.lifecycle import Condition, Finding
from alerts.conditions.windows import MINUTE, Series
from alerts.rules.kinds import ThresholdRule
from alerts.rules.rule import Metric
from classifier.prediction import SCALE
from store.buckets import Sums


class Coverage(StrEnum):
    """What is known of a key's documents, apart from how many the window holds.

    ``AWAITED``: the window is empty and the rule does not want that to end what fires.
    ``SILENT``: for so long that the rule wants it to be told.
    """

    USUAL = "usual"
    AWAITED = "awaited"
    SILENT = "silent"


def measured(
    rule: ThresholdRule, series: Series, points: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """``measure`` at many grid points (n,), and at which of them the window can be judged."""
    sums = series.sums(points, rule.window // MINUTE)
    documents, negative, score = sums[:, 0], sums[:, 1], sums[:, 4]
    enough = documents >= rule.min_documents
    if rule.metric is Metric.DOCUMENTS:
        return documents.astype(np.float64), enough
    if rule.metric is Metric.NEGATIVE_COUNT:
        return negative.astype(np.float64), enough
    of = np.maximum(documents, 1)
    if rule.metric is Metric.NEGATIVE_SHARE:
        return negative / of, enough & (documents > 0)
    return score / SCALE / of, enough & (documents > 0)


def measure(metric: Metric, sums: Sums) -> float | None:
    """The metric's value in a window; None where an empty window has none."""
    if metric is Metric.DOCUMENTS:
        return float(sums.documents)
    if metric is Metric.NEGATIVE_COUNT:
        return float(sums.negative)
    if sums.documents == 0:
        return None
    if metric is Metric.NEGATIVE_SHARE:
        return sums.negative / sums.documents
    return sums.score_sum / SCALE / sums.documents


def unjudged(coverage: Coverage, value: float | None) -> Finding:
    """What is found where nothing came for long, or too little to judge."""
    if coverage is Coverage.SILENT:
        return Finding(Condition.SILENT, value)
    return Finding(Condition.AWAITED if coverage is Coverage.AWAITED else Condition.THIN, value)


def find(rule: ThresholdRule, sums: Sums, coverage: Coverage = Coverage.USUAL) -> Finding:
    """What a threshold rule finds in a window."""
    value = measure(rule.metric, sums)
    if coverage is Coverage.SILENT or value is None or sums.documents < rule.min_documents:
        return unjudged(coverage, value)
    if _beyond(rule, value, rule.threshold):
        return Finding(Condition.MET, value)
    held = _beyond(rule, value, rule.clear_threshold)
    return Finding(Condition.HELD if held else Condition.CLEAR, value)


def _beyond(rule: ThresholdRule, value: float, threshold: float) -> bool:
    return value >= threshold if rule.operator == ">=" else value <= threshold
