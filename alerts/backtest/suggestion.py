"""Thresholds that would have told about as often as wished, found on a run's history.

The values that a rule's windows had are the candidates; what each would have told is counted by
the evaluation itself, with for-durations, hysteresis and all. Writes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerts.backtest.firings import WEEK, firings
from alerts.backtest.history import Progress, Subject, over_keys
from alerts.conditions.decisions import measured
from alerts.conditions.finders import Stretch
from alerts.evaluation.evaluating import evaluate
from alerts.rules.kinds import AnyRule, CompositeRule, SpikeRule, ThresholdRule, TrendRule
from alerts.rules.rule import Metric
from alerts.rules.ruleset import RuleSet
from store.database import Database

CANDIDATES = 40
_TAIL = 0.5 ** np.linspace(1, 14, CANDIDATES)
"""Parts of all windows that may lie beyond a candidate: from a half down to one in 16,000."""

_SURPRISES = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0)
_FALLS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5)
"""Candidates of spike and trend rules, whose thresholds mean the same whatever the feed."""

_VALUES_A_KEY = 20_000
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule with a threshold, and what it would have told; None where no window was judged."""

    rule: AnyRule
    before_per_week: float
    suggested: AnyRule | None
    per_week: float | None


def suggest(  # noqa: PLR0913 - a span of one run, and the wish
    database: Database,
    run_id: int,
    rules: RuleSet,
    judged: Stretch,
    per_week: float,
    on_progress: Progress = lambda _done, _all: None,
) -> list[Suggestion]:
    """For each rule the threshold that would have told most often, but not above ``per_week``."""
    steps = _Halves(on_progress)
    values = _values(database, run_id, rules, judged, steps.first)
    tried = {rule.name: _tries(rule, values[rule.name]) for rule in rules.rules}
    counts = {name: np.zeros(len(some), np.int64) for name, some in tried.items()}

    def count(subject: Subject) -> dict[str, list[int]]:
        return {
            rule.name: [_count(one, subject, judged) for one in tried[rule.name]]
            for rule in subject.rules
        }

    for of_key in over_keys(database, run_id, rules, judged, count, steps.second):
        for name, some in of_key.items():
            counts[name] += np.array(some)
    weeks = (judged.until - judged.after) / WEEK
    return [_choose(tried[r.name], counts[r.name] / weeks, per_week) for r in rules.rules]


class _Halves:
    """Two passes over the same keys, told as one."""

    def __init__(self, on_progress: Progress) -> None:
        self.first: Callable[[int, int], None] = lambda done, keys: on_progress(done, 2 * keys)
        self.second: Callable[[int, int], None] = lambda done, keys: on_progress(
            keys + done, 2 * keys
        )


def _values(
    database: Database, run_id: int, rules: RuleSet, judged: Stretch, on_progress: Progress
) -> dict[str, NDArray[np.float64]]:
    """Values of every rule's windows; of a long history evenly spaced ones."""
    found: dict[str, list[NDArray[np.float64]]] = {rule.name: [] for rule in rules.rules}

    def read(subject: Subject) -> dict[str, NDArray[np.float64]]:
        some = {rule.name: _values_of(rule, subject, judged) for rule in subject.rules}
        return {name: of[:: 1 + len(of) // _VALUES_A_KEY] for name, of in some.items()}

    for of_key in over_keys(database, run_id, rules, judged, read, on_progress):
        for name, some in of_key.items():
            found[name].append(some)
    return {name: np.concatenate([np.zeros(0), *some]) for name, some in found.items()}


def _values_of(rule: AnyRule, subject: Subject, judged: Stretch) -> NDArray[np.float64]:
    """What a threshold rule would hold against its threshold; of other rules nothing is asked."""
    if not isinstance(rule, ThresholdRule):
        return np.zeros(0)
    points = judged.points(rule.every)
    values, enough = measured(rule.at(subject.key), subject.history(rule), points)
    return values[enough]


def _tries(rule: AnyRule, values: NDArray[np.float64]) -> list[AnyRule]:
    """The rule as it is, then with each candidate, from the laxest to the strictest."""
    match rule:
        case ThresholdRule():
            return [rule, *(_with_threshold(rule, level) for level in _levels(rule, values))]
        case SpikeRule():
            return [rule, *(_with_surprise(rule, level) for level in _SURPRISES)]
        case TrendRule():
            return [rule, *(msgspec.structs.replace(rule, fall=fall) for fall in _FALLS)]
        case CompositeRule():
            return [rule]


def _levels(rule: ThresholdRule, values: NDArray[np.float64]) -> list[float]:
    if not len(values):
        return []
    upward = rule.operator == ">="
    levels = np.quantile(values, 1 - _TAIL if upward else _TAIL)
    whole = rule.metric in {Metric.DOCUMENTS, Metric.NEGATIVE_COUNT}
    rounded = np.round(levels, 0 if whole else _DECIMALS)
    return sorted({float(level) for level in rounded}, reverse=not upward)


def _with_threshold(rule: ThresholdRule, threshold: float) -> ThresholdRule:
    """The same rule at another threshold, as far from where it clears as before."""
    if rule.clear is None:
        return msgspec.structs.replace(rule, threshold=threshold)
    clear = round(threshold - (rule.threshold - rule.clear), _DECIMALS)
    return msgspec.structs.replace(rule, threshold=threshold, clear=clear)


def _with_surprise(rule: SpikeRule, threshold: float) -> SpikeRule:
    """The same rule at another threshold, clear at the same part of it as before."""
    if rule.clear is None:
        return msgspec.structs.replace(rule, threshold=threshold)
    clear = round(threshold * rule.clear / rule.threshold, _DECIMALS)
    return msgspec.structs.replace(rule, threshold=threshold, clear=clear)


def _count(rule: AnyRule, subject: Subject, judged: Stretch) -> int:
    series = {subject.key: subject.history(rule)}
    found = evaluate(rule, series, {}, judged.after, judged.until, subject.past)
    return len(firings(found.events))


def _choose(tried: Sequence[AnyRule], per_week: NDArray[np.float64], wished: float) -> Suggestion:
    """The laxest candidate from which on none tells more often than wished."""
    rule, before = tried[0], float(per_week[0])
    if len(tried) == 1:
        return Suggestion(rule, before, None, None)
    rates = per_week[1:]
    too_many = np.flatnonzero(rates > wished)
    chosen = min(int(too_many[-1]) + 1 if len(too_many) else 0, len(rates) - 1)
    return Suggestion(rule, before, tried[1 + chosen], float(rates[chosen]))
