"""Evaluation: a rule over a span of the grid, for every key. Pure, and the same for live, replay
and backtest.

Grid points at which nothing can change (a calm or missing key with an empty window) are skipped.
A key that cannot be judged is in error at that grid point, and harms no other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from alerts.cards import Window
from alerts.coverage import coverage, silent_from
from alerts.decisions import Coverage, Decision, Reason, Standing, State, decide
from alerts.lifecycle import failed
from alerts.rules import GRID, NoData, Rule
from alerts.windows import Series, floor, next_point
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

    ``windows`` are those of the firings that began, where somebody asked for them.
    """

    events: list[EventRow] = field(default_factory=list)
    standings: Standings = field(default_factory=dict)
    windows: dict[Moment, Window] = field(default_factory=dict)


def evaluate(
    rule: Rule,
    series: Mapping[str, Series],
    before: Standings,
    after: datetime,
    until: datetime,
) -> Outcome:
    """Judge ``rule`` at every grid point in (after, until]; ``series`` go back by its reach."""
    own = {key: standing for (name, key), standing in before.items() if name == rule.name}
    return evaluate_own(rule, series, own, after, until)


def evaluate_own(
    rule: Rule,
    series: Mapping[str, Series],
    before: Mapping[str, Standing],
    after: datetime,
    until: datetime,
) -> Outcome:
    """The same where ``before`` holds the standings of this rule alone, by key."""
    named = rule.keys or (("",) if rule.scope == "all" else series)
    outcome = Outcome()
    for key in sorted({*named, *before}):
        of_key, standing = series.get(key, _EMPTY), before.get(key)
        for now, decision in _judge(rule, key, of_key, standing, after, until):
            previous = standing.state if standing else State.INACTIVE
            if decision.state is not previous:
                event = _event(rule, key, of_key, now, standing, decision)
                outcome.events.append(event)
            standing = decision.standing
        if standing is not None:
            outcome.standings[rule.name, key] = standing
    outcome.events.sort(key=lambda event: (event.at, event.key))
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
    rule: Rule,
    key: str,
    series: Series,
    standing: Standing | None,
    after: datetime,
    until: datetime,
) -> Iterator[tuple[datetime, Decision]]:
    may_skip = rule.min_documents > 0
    now = next_point(after, rule.every)
    while now <= until:
        if standing is None and (calm_until := _calm_until(rule, series, now)) != now:
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
        decision = _decide(rule, key, series, standing, now)
        yield now, decision
        standing = decision.standing
        now += rule.every


def _calm_until(rule: Rule, series: Series, now: datetime) -> datetime | None:
    """The first grid point from ``now`` on at which a calm key may not be so; None: there is none.

    That is where the condition may be met, or where silence has lasted long enough.
    """
    met = series.next_met(rule, now)
    if met == now or rule.on_silence is not NoData.ALERT:
        return met
    silent = silent_from(rule, series, now)
    if silent is None:  # no document yet: silence begins after the first
        silent = series.next_minute(now)
    points = [] if silent is None else [max(now, next_point(silent - GRID, rule.every))]
    points += [] if met is None else [met]
    return min(points, default=None)


def _rests(standing: Standing | None) -> bool:
    return standing is None or standing.state is State.NO_DATA


def _is_empty(rule: Rule, series: Series, now: datetime) -> bool:
    last = series.last_minute(now)
    return last is None or last < now - rule.window


def _next_change(
    rule: Rule, series: Series, standing: Standing | None, now: datetime
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


def _decide(
    rule: Rule, key: str, series: Series, standing: Standing | None, now: datetime
) -> Decision:
    try:
        window = series.window(now - rule.window, now)
        return decide(rule, window, standing, now, coverage(rule, series, standing, now))
    except Exception as error:  # noqa: BLE001 - whatever one rule does, the others are judged
        detail = f"{type(error).__name__}: {error}"[:_LONGEST_DETAIL]
        log.warning("rule_failed", rule=rule.name, key=key, at=str(now), error=detail)
        return failed(standing, now, detail)


def _event(  # noqa: PLR0913 - one row of the log
    rule: Rule,
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
        severity=rule.severity,
        fired_at=source.fired_at if source else None,
        value=decision.value,
        documents=series.window(now - rule.window, now).documents,
        window_start=now - rule.window,
        window_end=now,
        detail=decision.detail,
    )
