"""Evaluation: a rule over a span of the grid, for every key. Pure, and the same for live, replay
and backtest.

Grid points at which nothing can change (a calm or missing key with an empty window) are skipped.
A key that cannot be judged is in error at that grid point, and harms no other.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from alerts.cards.card import Window, is_explained
from alerts.conditions.composites import Timelines
from alerts.conditions.coverage import coverage, silent_from
from alerts.conditions.decisions import Coverage
from alerts.conditions.finders import NOTHING_PAST, Finder, Past, Stretch, finder_of
from alerts.conditions.lifecycle import (
    Condition,
    Decision,
    Finding,
    Reason,
    Standing,
    State,
    advance,
    failed,
    grows,
)
from alerts.conditions.windows import Series, floor, next_point
from alerts.rules.kinds import AnyRule, CompositeRule
from alerts.rules.rule import GRID, NoData
from alerts.rules.ruleset import RuleSet, members_first
from store.alertlog import EventRow

log = structlog.get_logger(__name__)

_EMPTY = Series([])
_LONGEST_DETAIL = 500

Standings = dict[tuple[str, str], Standing]
"""The standing of each (rule name, key) that is not inactive."""


Moment = tuple[str, str, datetime]
"""Rule name, key and grid point."""


@dataclass(slots=True)
class Outcome:
    """What an evaluation changed: events in order of time, and the standings after it.

    ``windows`` are those of the firings that began or grew graver.
    """

    events: list[EventRow] = field(default_factory=list)
    standings: Standings = field(default_factory=dict)
    windows: dict[Moment, Window] = field(default_factory=dict)

    def add(self, other: "Outcome") -> None:
        """Take over what came of another evaluation; events are not put in order."""
        self.events += other.events
        self.standings |= other.standings
        self.windows |= other.windows


def evaluate(  # noqa: PLR0913 - a span of one rule
    rule: AnyRule,
    series: Mapping[str, Series],
    before: Standings,
    after: datetime,
    until: datetime,
    past: Past = NOTHING_PAST,
) -> Outcome:
    """Judge ``rule`` at every grid point in (after, until]; ``series`` go back by its reach."""
    own = {key: standing for (name, key), standing in before.items() if name == rule.name}
    return evaluate_own(rule, series, own, Stretch(after, until), past)


def evaluate_own(
    rule: AnyRule,
    series: Mapping[str, Series],
    before: Mapping[str, Standing],
    judged: Stretch,
    past: Past = NOTHING_PAST,
) -> Outcome:
    """The same where ``before`` holds the standings of this rule alone, by key."""
    named = rule.keys or (("",) if rule.scope == "all" else series)
    outcome = Outcome()
    for key in sorted({*named, *before}):
        own, of_key, standing = rule.at(key), series.get(key, _EMPTY), before.get(key)
        finder = finder_of(own, key, of_key, judged, past)
        for now, decision, finding in _judge(own, key, of_key, finder, standing, judged):
            previous = standing.state if standing else State.INACTIVE
            if decision.state is not previous or decision.reason is Reason.GRAVER:
                event = _event(own, key, of_key, now, standing, decision)
                outcome.events.append(event)
                if is_explained(event):
                    outcome.windows[rule.name, key, now] = _window(own, of_key, now, finding)
            standing = decision.standing
        if standing is not None:
            outcome.standings[rule.name, key] = standing
    outcome.events.sort(key=lambda event: (event.at, event.key))
    return outcome


def evaluate_rules(
    rules: RuleSet,
    series: Iterable[tuple[AnyRule, Mapping[str, Series], Past]],
    before: Mapping[str, Mapping[str, Standing]],
    judged: Stretch,
) -> Outcome:
    """Judge each rule by its series, and composite rules by what came of the others.

    ``before`` holds the standings by rule and key. Events are not in order.
    """
    outcome = Outcome()
    composites = {}
    for rule, of_rule, past in series:
        if isinstance(rule, CompositeRule):
            composites[rule.name] = rule, of_rule
        else:
            own = before.get(rule.name, {})
            outcome.add(evaluate_own(rule, of_rule, own, judged, past))
    known = {(name, key): s for name, own in before.items() for key, s in own.items()}
    timelines = Timelines(rules, known)
    timelines.add(outcome.events)
    for name in members_first(rule for rule, _ in composites.values()):
        rule, of_rule = composites[name]
        concerned = dict.fromkeys(timelines.keys(rule), _EMPTY) | dict(of_rule)
        past = Past(members=timelines.of)
        own = before.get(rule.name, {})
        made = evaluate_own(rule, concerned, own, judged, past)
        timelines.add(made.events)
        outcome.add(made)
    return outcome


def removed(standing: Standing, rule_name: str, key: str, now: datetime) -> EventRow:
    """The end of an alert whose rule is no longer in the rules."""
    calm = standing.state in {State.INACTIVE, State.PENDING}
    return EventRow(
        rule=rule_name,
        key=key,
        scope="",
        at=now,
        previous=standing.state,
        state=State.INACTIVE if calm else State.RESOLVED,
        reason=Reason.RULE_REMOVED,
        severity=1,
        fired_at=standing.fired_at,
        value=None,
        documents=0,
        window_start=now,
        window_end=now,
    )


def _judge(  # noqa: PLR0913 - one key of one rule over one span
    rule: AnyRule,
    key: str,
    series: Series,
    finder: Finder,
    standing: Standing | None,
    judged: Stretch,
) -> Iterator[tuple[datetime, Decision, Finding | None]]:
    """Each grid point that is judged; the finding is None where that failed."""
    may_skip = rule.min_documents > 0
    now, until = next_point(judged.after, rule.every), judged.until
    while now <= until:
        if standing is None and (calm_until := _calm_until(rule, series, finder, now)) != now:
            if calm_until is None:
                return
            now = calm_until
            continue
        if may_skip and _rests(standing) and _is_empty(rule, series, now):
            following = _next_change(rule, series, standing, now)
            if following is None:
                return
            if following > now:
                now = following
                continue
        decision, finding = _decide(rule, key, series, finder, standing, now)
        yield now, decision, finding
        standing = decision.standing
        now += rule.every


def _calm_until(rule: AnyRule, series: Series, finder: Finder, now: datetime) -> datetime | None:
    """The first grid point from ``now`` on at which a calm key may not be so; None: there is none.

    That is where the condition may be met, or where silence has lasted long enough.
    """
    alerts = rule.on_silence is NoData.ALERT
    if alerts and not rule.expects:
        return now  # whether it is missed depends on each window that it had documents in
    met = _next_met(finder, now)
    if met == now or not alerts:
        return met
    silent = silent_from(rule, series, now)
    if silent is None:  # no document yet: silence begins after the first
        silent = series.next_minute(now)
    points = [] if silent is None else [max(now, next_point(silent - GRID, rule.every))]
    points += [] if met is None else [met]
    return min(points, default=None)


def _next_met(finder: Finder, now: datetime) -> datetime | None:
    try:
        return finder.next_met(now)
    except Exception:  # noqa: BLE001 - it fails again where it is judged, and is told there
        return now


def _rests(standing: Standing | None) -> bool:
    return standing is None or standing.state is State.NO_DATA


def _is_empty(rule: AnyRule, series: Series, now: datetime) -> bool:
    last = series.last_minute(now)
    return last is None or last < now - rule.window


def _next_change(
    rule: AnyRule, series: Series, standing: Standing | None, now: datetime
) -> datetime | None:
    """The first grid point from ``now`` on at which an empty window may mean something new."""
    missing = standing is not None
    if missing and coverage(rule, series, standing, now) is not Coverage.SILENT:
        return now
    minute = series.next_minute(now)
    # The first grid point whose window holds that whole minute.
    points = [] if minute is None else [floor(minute, rule.every) + rule.every]
    if not missing and (silent := silent_from(rule, series, now)) is not None:
        on_grid = floor(silent, rule.every)
        points.append(on_grid if on_grid == silent else on_grid + rule.every)
    return min(points, default=None)


def _decide(  # noqa: PLR0913 - one grid point of one key of one rule
    rule: AnyRule,
    key: str,
    series: Series,
    finder: Finder,
    standing: Standing | None,
    now: datetime,
) -> tuple[Decision, Finding | None]:
    try:
        finding = finder.find(now, coverage(rule, series, standing, now))
        if rule.severity is not None:
            finding = replace(finding, severity=None)
        if finding.condition is Condition.MET and _is_news(finding, standing):
            finding = finder.confirm(finding, now)
        return advance(rule, finding, standing, now), finding
    except Exception as error:  # noqa: BLE001 - whatever one rule does, the others are judged
        detail = f"{type(error).__name__}: {error}"[:_LONGEST_DETAIL]
        log.warning("rule_failed", rule=rule.name, key=key, at=str(now), error=detail)
        return failed(standing, now, detail), None


def _is_news(finding: Finding, standing: Standing | None) -> bool:
    """Whether a condition that is met begins a firing, brings it nearer, or makes it graver."""
    return standing is None or standing.fired_at is None or grows(finding, standing)


def _window(rule: AnyRule, series: Series, now: datetime, finding: Finding | None) -> Window:
    span = (now - rule.window, now)
    return Window(series.window(*span), series.filled(*span), finding.usual if finding else None)


def _event(  # noqa: PLR0913 - one row of the log
    rule: AnyRule,
    key: str,
    series: Series,
    now: datetime,
    before: Standing | None,
    decision: Decision,
) -> EventRow:
    source = decision.standing or before
    return EventRow(
        rule=rule.name,
        key=key,
        scope=rule.scope,
        at=now,
        previous=before.state if before else State.INACTIVE,
        state=decision.state,
        reason=decision.reason,
        severity=rule.severity_of(source.severity if source else None),
        fired_at=source.fired_at if source else None,
        value=decision.value,
        documents=series.window(now - rule.window, now).documents,
        window_start=now - rule.window,
        window_end=now,
        detail=decision.detail,
    )
