"""What a window means for a rule: a pure function from numbers and the state before to the next.

No input, output or clock: ``now`` is a grid point of event time, and the same arguments always
give the same decision, live, in a replay and in a backtest.
"""

from datetime import datetime
from enum import StrEnum

from alerts.lifecycle import (
    Condition,
    Decision,
    Finding,
    Reason,
    Standing,
    State,
    advance,
)
from alerts.rules import Metric, Rule
from classifier.prediction import SCALE
from store.buckets import Sums

__all__ = ["Coverage", "Decision", "Reason", "Standing", "State", "decide", "find", "measure"]


class Coverage(StrEnum):
    """What is known of a key's documents, apart from how many the window holds.

    ``AWAITED``: the window is empty and the rule does not want that to end what fires.
    ``SILENT``: for so long that the rule wants it to be told.
    """

    USUAL = "usual"
    AWAITED = "awaited"
    SILENT = "silent"


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


def find(rule: Rule, sums: Sums, coverage: Coverage = Coverage.USUAL) -> Finding:
    """What a threshold rule finds in a window."""
    value = measure(rule.metric, sums)
    if coverage is Coverage.SILENT:
        return Finding(Condition.SILENT, value)
    if value is None or sums.documents < rule.min_documents:
        awaited = coverage is Coverage.AWAITED
        return Finding(Condition.AWAITED if awaited else Condition.THIN, value)
    if _beyond(rule, value, rule.threshold):
        return Finding(Condition.MET, value)
    held = _beyond(rule, value, rule.clear_threshold)
    return Finding(Condition.HELD if held else Condition.CLEAR, value)


def decide(
    rule: Rule,
    sums: Sums,
    before: Standing | None,
    now: datetime,
    coverage: Coverage = Coverage.USUAL,
) -> Decision:
    """What ``rule`` makes of the window ``sums`` that ends at ``now``.

    A window with fewer documents than the rule asks for is not judged: nothing starts on it, what
    is pending is dropped, and what fires goes on until a whole window length has been too thin.
    """
    return advance(rule, find(rule, sums, coverage), before, now)


def _beyond(rule: Rule, value: float, threshold: float) -> bool:
    return value >= threshold if rule.operator == ">=" else value <= threshold
