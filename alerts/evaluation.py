"""Evaluation: a rule over a span of the grid, for every key. Pure, and the same for live, replay
and backtest.

Grid points at which nothing can change (an inactive key with an empty window) are skipped.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from alerts.decisions import Decision, Reason, Standing, State, decide
from alerts.rules import Rule
from alerts.windows import Series, floor, next_point
from store.alertlog import EventRow

_EMPTY = Series([])

Standings = dict[tuple[str, str], Standing]
"""The standing of each (rule name, key) that is not inactive."""


@dataclass(slots=True)
class Outcome:
    """What an evaluation changed: events in order of time, and the standings after it."""

    events: list[EventRow] = field(default_factory=list)
    standings: Standings = field(default_factory=dict)


def evaluate(
    rule: Rule,
    series: Mapping[str, Series],
    before: Standings,
    after: datetime,
    until: datetime,
) -> Outcome:
    """Judge ``rule`` at every grid point in (after, until]; ``series`` reach one window back."""
    named = set(rule.keys) or ({""} if rule.scope == "all" else set(series))
    active = {key for name, key in before if name == rule.name}
    outcome = Outcome()
    for key in sorted(named | active):
        standing = before.get((rule.name, key))
        for now, decision in _judge(rule, series.get(key, _EMPTY), standing, after, until):
            previous = standing.state if standing else State.INACTIVE
            if decision.state is not previous:
                window = series.get(key, _EMPTY).window(now - rule.window, now)
                fired_at = _fired_at(standing, decision)
                outcome.events.append(
                    _event(rule, key, now, previous, decision, fired_at, window.documents)
                )
            standing = decision.standing
        if standing is not None:
            outcome.standings[rule.name, key] = standing
    outcome.events.sort(key=lambda event: (event.at, event.key))
    return outcome


def removed(standing: Standing, rule_name: str, key: str, now: datetime) -> EventRow:
    """The end of an alert whose rule is no longer in the rules."""
    return EventRow(
        rule=rule_name,
        key=key,
        scope="",
        at=now,
        previous=standing.state,
        state=State.RESOLVED if standing.state is State.FIRING else State.INACTIVE,
        reason=Reason.RULE_REMOVED,
        severity=1,
        fired_at=standing.fired_at,
        value=None,
        documents=0,
        window_start=now,
        window_end=now,
    )


def _judge(
    rule: Rule, series: Series, standing: Standing | None, after: datetime, until: datetime
) -> Iterator[tuple[datetime, Decision]]:
    may_skip = rule.min_documents > 0
    now = next_point(after, rule.every)
    while now <= until:
        window = series.window(now - rule.window, now)
        if standing is None and may_skip and window.documents == 0:
            minute = series.next_minute(now)
            if minute is None:
                return
            # The first grid point whose window holds that whole minute.
            now = floor(minute, rule.every) + rule.every
            continue
        decision = decide(rule, window, standing, now)
        yield now, decision
        standing = decision.standing
        now += rule.every


def _fired_at(standing: Standing | None, decision: Decision) -> datetime | None:
    source = decision.standing or standing
    return source.fired_at if source else None


def _event(  # noqa: PLR0913 - one row of the log
    rule: Rule,
    key: str,
    now: datetime,
    previous: State,
    decision: Decision,
    fired_at: datetime | None,
    documents: int,
) -> EventRow:
    return EventRow(
        rule=rule.name,
        key=key,
        scope=rule.scope,
        at=now,
        previous=previous,
        state=decision.state,
        reason=decision.reason,
        severity=rule.severity,
        fired_at=fired_at,
        value=decision.value,
        documents=documents,
        window_start=now - rule.window,
        window_end=now,
    )
