"""The lifecycle of an alert: from what a rule found and the state before to the next state.

A pure state machine. It does not know how a condition is measured: any kind of rule hands in a
``Finding``. Nor does it know who is told; that is for ``alerts.telling.walking``.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

GRAVER_BY = 2
"""What fires is graver once it is found so many levels above: smaller steps are no news."""


class State(StrEnum):
    """Where a rule stands for a key. ``RESOLVED`` ends what was active, and is inactive again."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    NO_DATA = "no_data"
    ERROR = "error"


class Reason(StrEnum):
    """Why a decision came out as it did."""

    WITHIN = "within_threshold"
    BEYOND = "beyond_threshold"
    HELD = "held_for_duration"
    WAITING = "waiting_for_duration"
    CLEARED = "cleared"
    NOT_CLEAR = "not_clear_yet"
    GRAVER = "graver"
    KEPT = "kept_firing"
    TOO_FEW = "too_few_documents"
    LEARNING = "learning_baseline"
    AWAITED = "documents_awaited"
    NO_DOCUMENTS = "no_documents"
    DATA_BACK = "documents_are_back"
    FAILED = "evaluation_failed"
    JUDGED_AGAIN = "judged_again"
    RULE_REMOVED = "rule_removed"


class Condition(StrEnum):
    """What a rule found in its window.

    ``MET``: a firing may begin. ``HELD``: too little to begin one, enough to go on (hysteresis).
    ``CLEAR``: neither. ``THIN``: too little to judge. ``LEARNING``: too little history to judge.
    ``AWAITED``: nothing came, and the rule wants what stands to stand. ``SILENT``: nothing came for
    so long that it is to be told.
    """

    MET = "met"
    HELD = "held"
    CLEAR = "clear"
    THIN = "thin"
    LEARNING = "learning"
    AWAITED = "awaited"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Usual:
    """What was usual: the baseline, the upper end of its band, and how surprising the value is.

    Baseline and band are in the unit of the value; the surprise is -log10 of a probability.
    """

    baseline: float
    upper: float
    surprise: float


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition, and the value that was judged, None where the window has none.

    ``severity``: from 1 to 10, where the finding says how grave it is. ``usual``: where the value
    was held against a baseline.
    """

    condition: Condition
    value: float | None = None
    severity: int | None = None
    usual: Usual | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a rule for a key, and since when.

    ``fired_at``: when the firing began that lasts, also while it recovers, has no data or fails.
    ``thin_since``: the grid point from which a firing alert's window held too few documents.
    ``severity``: the greatest found until it fired, and since then the latest that was graver by
    ``GRAVER_BY``; None where findings say nothing of it.
    """

    state: State
    since: datetime
    fired_at: datetime | None = None
    thin_since: datetime | None = None
    severity: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next standing (None: inactive), the reason, and the value that was judged."""

    standing: Standing | None
    state: State
    reason: Reason
    value: float | None
    detail: str | None = None


class Terms(Protocol):
    """What the machine asks of a rule."""

    @property
    def window(self) -> timedelta:
        """How long windows may be thin before a firing alert ends."""
        ...

    @property
    def for_duration(self) -> timedelta:
        """How long the condition must be met before it fires."""
        ...

    @property
    def keep_firing_for(self) -> timedelta:
        """How long it must be clear before it resolves."""
        ...


def advance(terms: Terms, finding: Finding, before: Standing | None, now: datetime) -> Decision:
    """The next standing of a rule for a key, at the grid point ``now``."""
    if finding.condition is Condition.SILENT:
        return _silent(before, finding, now)
    decision = _judged(terms, finding, _underlying(before, now), now)
    if before is None or decision.state is not State.INACTIVE:
        return decision
    if before.state is State.NO_DATA:
        return Decision(None, State.RESOLVED, Reason.DATA_BACK, decision.value)
    if before.state is State.ERROR:
        return Decision(None, State.RESOLVED, Reason.JUDGED_AGAIN, decision.value)
    return decision


def grows(finding: Finding, before: Standing) -> bool:
    """Whether an alert that fires is found graver than it is known to be."""
    if finding.severity is None or before.severity is None or before.fired_at is None:
        return False
    return finding.severity - before.severity >= GRAVER_BY


def failed(before: Standing | None, now: datetime, detail: str) -> Decision:
    """The rule could not be judged; what fires is remembered and goes on once it can."""
    since = before.since if before and before.state is State.ERROR else now
    standing = _set_aside(State.ERROR, since, before)
    return Decision(standing, State.ERROR, Reason.FAILED, None, detail)


def _silent(before: Standing | None, finding: Finding, now: datetime) -> Decision:
    if before is not None and before.state is State.NO_DATA:
        return Decision(before, State.NO_DATA, Reason.NO_DOCUMENTS, finding.value)
    standing = _set_aside(State.NO_DATA, now, before)
    return Decision(standing, State.NO_DATA, Reason.NO_DOCUMENTS, finding.value)


def _set_aside(state: State, since: datetime, before: Standing | None) -> Standing:
    """A state that remembers what fires meanwhile."""
    if before is None:
        return Standing(state, since)
    return Standing(state, since, before.fired_at, severity=before.severity)


def _underlying(before: Standing | None, now: datetime) -> Standing | None:
    """What stood before data went missing or judging failed: a firing, or nothing."""
    if before is None or before.state not in {State.NO_DATA, State.ERROR}:
        return before
    if before.fired_at is None:
        return None
    return Standing(State.FIRING, now, before.fired_at, severity=before.severity)


def _judged(terms: Terms, finding: Finding, before: Standing | None, now: datetime) -> Decision:
    if before is None:
        return _from_inactive(terms, finding, now)
    if before.state is State.PENDING:
        return _from_pending(terms, finding, before, now)
    return _from_firing(terms, finding, before, now)


def _from_inactive(terms: Terms, finding: Finding, now: datetime) -> Decision:
    if finding.condition is not Condition.MET:
        return Decision(None, State.INACTIVE, _why_not(finding.condition), finding.value)
    if terms.for_duration:
        pending = Standing(State.PENDING, now, severity=finding.severity)
        return Decision(pending, State.PENDING, Reason.BEYOND, finding.value)
    return _fire(now, Reason.BEYOND, finding, finding.severity)


def _from_pending(terms: Terms, finding: Finding, before: Standing, now: datetime) -> Decision:
    if finding.condition is not Condition.MET:
        return Decision(None, State.INACTIVE, _why_not(finding.condition), finding.value)
    severity = max(before.severity or 0, finding.severity or 0) or None
    if now - before.since >= terms.for_duration:
        return _fire(now, Reason.HELD, finding, severity)
    waiting = replace(before, severity=severity)
    return Decision(waiting, State.PENDING, Reason.WAITING, finding.value)


def _from_firing(terms: Terms, finding: Finding, before: Standing, now: datetime) -> Decision:
    """From firing or recovering."""
    match finding.condition:
        case Condition.AWAITED:
            return Decision(before, before.state, Reason.AWAITED, finding.value)
        case Condition.THIN | Condition.LEARNING:
            return _thin(terms, finding, before, now)
        case Condition.CLEAR:
            return _clear(terms, finding, before, now)
    since = before.since if before.state is State.FIRING else now
    graver = grows(finding, before)
    severity = finding.severity if graver else before.severity
    still = Standing(State.FIRING, since, before.fired_at, severity=severity)
    reason = Reason.GRAVER if graver else Reason.NOT_CLEAR
    return Decision(still, State.FIRING, reason, finding.value)


def _thin(terms: Terms, finding: Finding, before: Standing, now: datetime) -> Decision:
    thin_since, reason = before.thin_since or now, _why_not(finding.condition)
    if now - thin_since >= terms.window:
        return Decision(None, State.RESOLVED, reason, finding.value)
    held = replace(before, thin_since=thin_since)
    return Decision(held, before.state, reason, finding.value)


def _clear(terms: Terms, finding: Finding, before: Standing, now: datetime) -> Decision:
    since = before.since if before.state is State.RECOVERING else now
    if now - since >= terms.keep_firing_for:
        return Decision(None, State.RESOLVED, Reason.CLEARED, finding.value)
    recovering = Standing(State.RECOVERING, since, before.fired_at, severity=before.severity)
    return Decision(recovering, State.RECOVERING, Reason.KEPT, finding.value)


def _fire(now: datetime, reason: Reason, finding: Finding, severity: int | None) -> Decision:
    standing = Standing(State.FIRING, now, now, severity=severity)
    return Decision(standing, State.FIRING, reason, finding.value)


_NOT_JUDGED = {
    Condition.THIN: Reason.TOO_FEW,
    Condition.LEARNING: Reason.LEARNING,
    Condition.AWAITED: Reason.AWAITED,
}


def _why_not(condition: Condition) -> Reason:
    return _NOT_JUDGED.get(condition, Reason.WITHIN)
