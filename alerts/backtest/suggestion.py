"""Thresholds that would have told about as often as wished, found on a run's history.

The values that a rule's windows had are the candidates; what each would have told is counted by
the evaluation itself, with for-durations, hysteresis and all. Writes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerts.backtest.firings import WEEK, firings
from alerts.backtest.history import Progress, Span, Subject, over_keys
from alerts.evaluation import evaluate
from alerts.rules import Metric, Rule, RuleSet
from store.database import Database

CANDIDATES = 40
_TAIL = 0.5 ** np.linspace(1, 14, CANDIDATES)
"""Parts of all windows that may lie beyond a candidate: from a half down to one in 16,000."""

_VALUES_A_KEY = 20_000
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule with a threshold, and what it would have told; None where no window was judged."""

    rule: Rule
    before_per_week: float
    suggested: Rule | None
    per_week: float | None


def suggest(  # noqa: PLR0913 - a span of one run, and the wish
    database: Database,
    run_id: int,
    rules: RuleSet,
    judged: Span,
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
    database: Database, run_id: int, rules: RuleSet, judged: Span, on_progress: Progress
) -> dict[str, NDArray[np.float64]]:
    """Values of every rule's windows; of a long history evenly spaced ones."""
    found: dict[str, list[NDArray[np.float64]]] = {rule.name: [] for rule in rules.rules}

    def read(subject: Subject) -> dict[str, NDArray[np.float64]]:
        some = {rule.name: history.values(rule) for rule, history in subject.histories()}
        return {name: of[:: 1 + len(of) // _VALUES_A_KEY] for name, of in some.items()}

    for of_key in over_keys(database, run_id, rules, judged, read, on_progress):
        for name, some in of_key.items():
            found[name].append(some)
    return {name: np.concatenate([np.zeros(0), *some]) for name, some in found.items()}


def _tries(rule: Rule, values: NDArray[np.float64]) -> list[Rule]:
    """The rule as it is, then with each candidate, from the laxest to the strictest."""
    if not len(values):
        return [rule]
    upward = rule.operator == ">="
    levels = np.quantile(values, 1 - _TAIL if upward else _TAIL)
    whole = rule.metric in {Metric.DOCUMENTS, Metric.NEGATIVE_COUNT}
    rounded = np.round(levels, 0 if whole else _DECIMALS)
    distinct = sorted({float(level) for level in rounded}, reverse=not upward)
    return [rule, *(_with_threshold(rule, level) for level in distinct)]


def _with_threshold(rule: Rule, threshold: float) -> Rule:
    """The same rule at another threshold, as far from where it clears as before."""
    changes: dict[str, Any] = {"threshold": threshold}
    if rule.clear is not None:
        changes["clear"] = round(threshold - (rule.threshold - rule.clear), _DECIMALS)
    return msgspec.structs.replace(rule, **changes)


def _count(rule: Rule, subject: Subject, judged: Span) -> int:
    history = subject.minutes[rule.kinds]
    found = evaluate(rule, {subject.key: history}, {}, judged.after, judged.until)
    return len(firings(found.events))


def _choose(tried: Sequence[Rule], per_week: NDArray[np.float64], wished: float) -> Suggestion:
    """The laxest candidate from which on none tells more often than wished."""
    rule, before = tried[0], float(per_week[0])
    if len(tried) == 1:
        return Suggestion(rule, before, None, None)
    rates = per_week[1:]
    too_many = np.flatnonzero(rates > wished)
    chosen = min(int(too_many[-1]) + 1 if len(too_many) else 0, len(rates) - 1)
    return Suggestion(rule, before, tried[1 + chosen], float(rates[chosen]))
