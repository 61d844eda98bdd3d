"""Composite rules: what follows from the states of other rules for the same key. Pure.

A member counts by its state, with its own for-duration and hysteresis, and not by its value. It
may be composite itself, and is judged before what is made of it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.conditions.decisions import Coverage
from alerts.conditions.lifecycle import Condition, Finding, Standing, State
from alerts.conditions.windows import ceiling
from alerts.rules.kinds import CompositeRule
from alerts.rules.rule import USUAL_SEVERITY
from alerts.rules.ruleset import RuleSet
from store.alertlog import EventRow

AlertKey = tuple[str, str]
"""Rule name and key."""

_FIRING = {State.FIRING, State.RECOVERING}
_UNKNOWN = {State.NO_DATA, State.ERROR}


@dataclass(frozen=True, slots=True)
class Turn:
    """From ``at`` on a member is in ``state``; ``severity`` is that of its alert."""

    at: datetime
    state: State
    severity: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """What became of one member for one key: its state before, and each change in order."""

    before: State = State.INACTIVE
    severity: int = 0
    turns: tuple[Turn, ...] = ()

    def at(self, now: datetime) -> tuple[State, int]:
        """The state at a grid point, with what changed there, and its severity."""
        index = bisect_right(self.turns, now, key=lambda turn: turn.at)
        if not index:
            return self.before, self.severity
        return self.turns[index - 1].state, self.turns[index - 1].severity


class Timelines:
    """What became of every rule and key in a step."""

    def __init__(self, rules: RuleSet, before: Mapping[AlertKey, Standing]) -> None:
        self._rules, self._before = rules, before
        self._turns: dict[AlertKey, list[Turn]] = defaultdict(list)

    def add(self, events: Iterable[EventRow]) -> None:
        """Take in what came of rules; each rule's events come at once."""
        for event in sorted(events, key=lambda event: event.at):
            turn = Turn(event.at, State(event.state), event.severity)
            self._turns[event.rule, event.key].append(turn)

    def of(self, rule: str, key: str) -> Timeline:
        """That of one rule for one key."""
        standing, turns = self._before.get((rule, key)), tuple(self._turns.get((rule, key), ()))
        if standing is None:
            return Timeline(turns=turns)
        known = self._rules.rule(rule)
        severity = known.at(key).severity_of(standing.severity) if known else USUAL_SEVERITY
        return Timeline(standing.state, severity, turns)

    def keys(self, rule: CompositeRule) -> set[str]:
        """The keys for which a member is or was something else than inactive."""
        return {key for name, key in {*self._before, *self._turns} if name in rule.members}


class CompositeFinder:
    """What a composite rule finds for one key; the value is how many members fire."""

    def __init__(self, rule: CompositeRule, members: Sequence[Timeline]) -> None:
        self._rule, self._members = rule, members
        self._turns = sorted({turn.at for member in members for turn in member.turns})

    def find(self, now: datetime, coverage: Coverage = Coverage.USUAL) -> Finding:  # noqa: ARG002
        """A member that has no data or fails may fire or not: what stands is left to stand."""
        states = [member.at(now) for member in self._members]
        firing = [severity for state, severity in states if state in _FIRING]
        unknown = sum(state in _UNKNOWN for state, _ in states)
        needed = len(states) if self._rule.all_of else 1
        value = float(len(firing))
        if len(firing) >= needed:
            return Finding(Condition.MET, value, severity=max(firing))
        possible = len(firing) + unknown >= needed
        return Finding(Condition.AWAITED if possible else Condition.CLEAR, value)

    def confirm(self, finding: Finding, now: datetime) -> Finding:  # noqa: ARG002
        """See ``alerts.conditions.finders.Finder``."""
        return finding

    def next_met(self, now: datetime) -> datetime | None:
        """See ``alerts.conditions.finders.Finder``."""
        if self.find(now).condition is Condition.MET:
            return now
        later = self._turns[bisect_right(self._turns, now) :]
        return next((self._on_grid(at) for at in later if self._is_met_from(at)), None)

    def _is_met_from(self, at: datetime) -> bool:
        return self.find(self._on_grid(at)).condition is Condition.MET

    def _on_grid(self, at: datetime) -> datetime:
        return ceiling(at, self._rule.every)
