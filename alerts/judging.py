"""Judging: every rule over a span of the grid, from buckets that are read once for each scope.

Reads the store; decides nothing that ``alerts.evaluation`` does not. What it saw of a firing that
begins is kept as a card.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from alerts.cards import Missing, Window, begins, chosen, make_card, oldest_of
from alerts.decisions import Standing, State
from alerts.evaluation import Moment, Outcome, Standings, evaluate_own, removed
from alerts.rules import Rule, RuleSet
from alerts.windows import Series, next_point, series_by_key
from store import alertlog
from store.alertlog import EventRow, StateRow
from store.buckets import read_scope
from store.cards import Evidence, NewCard, read_evidence, read_positions, write_cards
from store.database import Connection

_EMPTY = Series([])


def read_standings(rows: Iterable[StateRow]) -> Standings:
    """The standings as they are kept."""
    return {
        (row.rule, row.key): Standing(
            State(row.state),
            row.since.astimezone(UTC),
            row.fired_at and row.fired_at.astimezone(UTC),
            row.thin_since and row.thin_since.astimezone(UTC),
        )
        for row in rows
    }


def judge(  # noqa: PLR0913 - a span of one run
    connection: Connection,
    run_id: int,
    rules: RuleSet,
    before: Standings,
    after: datetime,
    until: datetime,
) -> Outcome:
    """Every event in (after, until] in order, and the standings at ``until``."""
    own: dict[str, dict[str, Standing]] = defaultdict(dict)
    for (name, key), standing in before.items():
        own[name][key] = standing
    outcome = Outcome()
    by_scope: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules.rules:
        of_rule = own.pop(rule.name, {})
        if next_point(after, rule.every) <= until:
            by_scope[rule.scope].append(rule)
            own[rule.name] = of_rule
        else:
            outcome.standings |= {(rule.name, key): s for key, s in of_rule.items()}
    for scope, judged in by_scope.items():
        series = _read(connection, run_id, scope, judged, after, until)
        for rule in judged:
            part = evaluate_own(rule, series[rule.kinds], own.pop(rule.name), after, until)
            outcome.events += part.events
            outcome.standings |= part.standings
            outcome.windows |= _windows(part.events, series[rule.kinds])
    for name, orphans in own.items():
        outcome.events += [removed(s, name, key, until) for key, s in orphans.items()]
    outcome.events.sort(key=lambda event: (event.at, event.rule, event.key))
    return outcome


def write_standings(
    connection: Connection, run_id: int, standings: Standings, before: Standings
) -> None:
    """Keep what changed."""
    changed = [
        StateRow(rule, key, s.state, s.since, s.fired_at, s.thin_since)
        for (rule, key), s in standings.items()
        if before.get((rule, key)) != s
    ]
    cleared = sorted(before.keys() - standings.keys())
    alertlog.write_states(connection, run_id, changed, cleared)


def explain(  # noqa: PLR0913 - the firings of one step of a run
    connection: Connection,
    run_id: int,
    rules: RuleSet,
    happened: Iterable[tuple[int, EventRow]],
    windows: Mapping[Moment, Window],
    allowed_lateness: timedelta,
) -> None:
    """Keep a card of each firing that begins, or why it has none.

    Firings of one window, whatever their rules, share one look at its documents.
    """
    carded, rest = chosen(happened)
    if not carded:
        return
    positions = read_positions(connection, run_id)
    by_name = {rule.name: rule for rule in rules.rules}
    known: dict[object, Evidence] = {}
    made = []
    for number, event in carded:
        rule, window = by_name[event.rule], windows[event.rule, event.key, event.at]
        span = (event.window_start, event.window_end)
        place = (event.scope, event.key, tuple(sorted(rule.kinds)), *span)
        if place not in known:
            known[place] = read_evidence(connection, run_id, *place)
        card = make_card(event, rule, window, known[place], positions, allowed_lateness)
        made.append(NewCard(number, card.as_dict(), oldest=oldest_of(card.drivers)))
    made += [NewCard(number, None, Missing.STEP_LIMIT) for number, _ in rest]
    write_cards(connection, made)


def _windows(events: Iterable[EventRow], series: Mapping[str, Series]) -> dict[Moment, Window]:
    found = {}
    for event in filter(begins, events):
        of_key, span = series.get(event.key, _EMPTY), (event.window_start, event.window_end)
        window = Window(of_key.window(*span), of_key.filled(*span))
        found[event.rule, event.key, event.at] = window
    return found


def _read(  # noqa: PLR0913 - what the rules of one scope look back on
    connection: Connection,
    run_id: int,
    scope: str,
    rules: Sequence[Rule],
    after: datetime,
    until: datetime,
) -> Mapping[tuple[str, ...], Mapping[str, Series]]:
    """The minutes of each key, by kinds of documents."""
    reach = _farthest(rule for rule in rules if not rule.keys)
    named_reach = _farthest(rule for rule in rules if rule.keys)
    named = {key for rule in rules for key in rule.keys}
    buckets = list(
        read_scope(
            connection,
            run_id,
            scope,
            until,
            None if reach is None else after - reach,
            None if named_reach is None else after - named_reach,
            named,
        )
    )
    return {kinds: series_by_key(buckets, kinds) for kinds in {rule.kinds for rule in rules}}


def _farthest(rules: Iterable[Rule]) -> timedelta | None:
    return max((rule.reach for rule in rules), default=None)
