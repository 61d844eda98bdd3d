"""Judging: every rule over a span of the grid, from buckets that are read once for each scope.

Reads the store; decides nothing that ``alerts.evaluation.evaluating`` does not. What it saw of a
firing that begins or grows is kept as a card.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from alerts.cards.card import Missing, Window, chosen, oldest_of
from alerts.cards.explaining import Explainer
from alerts.conditions.finders import Stretch
from alerts.conditions.lifecycle import Standing, State
from alerts.conditions.windows import next_point
from alerts.evaluation.evaluating import Moment, Outcome, Standings, evaluate_rules, removed
from alerts.evaluation.lookback import read_series
from alerts.rules.ruleset import RuleSet
from store import alertlog
from store.alertlog import EventRow, StateRow
from store.cards import NewCard, read_positions, write_cards
from store.database import Connection


def read_standings(rows: Iterable[StateRow]) -> Standings:
    """The standings as they are kept."""
    return {
        (row.rule, row.key): Standing(
            State(row.state),
            row.since.astimezone(UTC),
            row.fired_at and row.fired_at.astimezone(UTC),
            row.thin_since and row.thin_since.astimezone(UTC),
            row.severity,
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
    outcome, judged = Outcome(), Stretch(after, until)
    due = []
    for rule in rules.rules:
        of_rule = own.pop(rule.name, {})
        if next_point(after, rule.every) <= until:
            due.append(rule)
            own[rule.name] = of_rule
        else:
            outcome.standings |= {(rule.name, key): s for key, s in of_rule.items()}
    read = read_series(connection, run_id, due, judged)
    outcome.add(evaluate_rules(rules, read, own, judged))
    for rule in due:
        own.pop(rule.name, None)
    for name, orphans in own.items():
        outcome.events += [removed(s, name, key, until) for key, s in orphans.items()]
    outcome.events.sort(key=lambda event: (event.at, event.rule, event.key))
    return outcome


def write_standings(
    connection: Connection, run_id: int, standings: Standings, before: Standings
) -> None:
    """Keep what changed."""
    changed = [
        StateRow(rule, key, s.state, s.since, s.fired_at, s.thin_since, s.severity)
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
    """Keep a card of each firing that begins or has grown graver, or why it has none."""
    carded, rest = chosen(happened)
    if not carded:
        return
    positions = read_positions(connection, run_id)
    explainer = Explainer(connection, run_id, rules, positions, allowed_lateness)
    made = []
    for number, event in carded:
        card = explainer.card(event, windows[event.rule, event.key, event.at])
        made.append(NewCard(number, card.as_dict(), oldest=oldest_of(card.drivers)))
    made += [NewCard(number, None, Missing.STEP_LIMIT) for number, _ in rest]
    write_cards(connection, made)
