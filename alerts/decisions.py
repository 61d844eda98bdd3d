"""What a window means for a rule: a pure function from numbers and the state before to the next.

No input, output or clock: ``now`` is a grid point of event time, and the same arguments always
give the same decision, live, in a replay and in a backtest.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alerts.rules import Metric, Rule
from classifier.prediction import SCALE
from store.buckets import Sums


class State(StrEnum):
    """Where a rule stands for a key. ``RESOLVED`` is the end of a firing, and inactive again."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Reason(StrEnum):
    """Why a decision came out as it did."""

    WITHIN = "within_threshold"
    BEYOND = "beyond_threshold"
    HELD = "held_for_duration"
    WAITING = "waiting_for_duration"
    CLEARED = "cleared"
    NOT_CLEAR = "not_clear_yet"
    TOO_FEW = "too_few_documents"
    RULE_REMOVED = "rule_removed"


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a rule for a key, and since when.

    ``thin_since``: the grid point from which a firing alert's window held too few documents.
    """

    state: State
    since: datetime
    fired_at: datetime | None = None
    thin_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next standing (None: inactive), the reason, and the value that was judged."""

    standing: Standing | None
    state: State
    reason: Reason
    value: float | None


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


def decide(rule: Rule, sums: Sums, before: Standing | None, now: datetime) -> Decision:
    """What ``rule`` makes of the window ``sums`` that ends at ``now``.

    A window with fewer documents than the rule asks for is not judged: nothing starts on it, what
    is pending is dropped, and what fires goes on until a whole window length has been too thin.
    """
    value = measure(rule.metric, sums)
    thin = sums.documents < rule.min_documents or value is None
    if before is None:
        return _from_inactive(rule, value, now, thin=thin)
    if before.state is State.PENDING:
        return _from_pending(rule, value, before, now, thin=thin)
    return _from_firing(rule, value, before, now, thin=thin)


def _from_inactive(rule: Rule, value: float | None, now: datetime, *, thin: bool) -> Decision:
    if thin:
        return Decision(None, State.INACTIVE, Reason.TOO_FEW, value)
    if not _beyond(rule, value, rule.threshold):
        return Decision(None, State.INACTIVE, Reason.WITHIN, value)
    if rule.for_duration:
        return Decision(Standing(State.PENDING, now), State.PENDING, Reason.BEYOND, value)
    return _fire(now, Reason.BEYOND, value)


def _from_pending(
    rule: Rule, value: float | None, before: Standing, now: datetime, *, thin: bool
) -> Decision:
    if thin:
        return Decision(None, State.INACTIVE, Reason.TOO_FEW, value)
    if not _beyond(rule, value, rule.threshold):
        return Decision(None, State.INACTIVE, Reason.WITHIN, value)
    if now - before.since >= rule.for_duration:
        return _fire(now, Reason.HELD, value)
    return Decision(before, State.PENDING, Reason.WAITING, value)


def _from_firing(
    rule: Rule, value: float | None, before: Standing, now: datetime, *, thin: bool
) -> Decision:
    if thin:
        thin_since = before.thin_since or now
        if now - thin_since >= rule.window:
            return Decision(None, State.RESOLVED, Reason.TOO_FEW, value)
        held = Standing(State.FIRING, before.since, before.fired_at, thin_since)
        return Decision(held, State.FIRING, Reason.TOO_FEW, value)
    if _beyond(rule, value, rule.clear_threshold):
        still = Standing(State.FIRING, before.since, before.fired_at)
        return Decision(still, State.FIRING, Reason.NOT_CLEAR, value)
    return Decision(None, State.RESOLVED, Reason.CLEARED, value)


def _fire(now: datetime, reason: Reason, value: float | None) -> Decision:
    return Decision(Standing(State.FIRING, now, now), State.FIRING, reason, value)


def _beyond(rule: Rule, value: float | None, threshold: float) -> bool:
    if value is None:
        return False
    return value >= threshold if rule.operator == ">=" else value <= threshold
