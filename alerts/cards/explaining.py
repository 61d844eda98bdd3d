"""Explaining: from a firing and the window that was judged to its card, with what the store holds.

Firings of one window, whatever their rules, share one look at its documents. Writes nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from alerts.cards.card import Card, Window, different_texts, make_card, together
from alerts.rules.kinds import SpikeRule
from alerts.rules.rule import Metric
from alerts.rules.ruleset import RuleSet
from store.alertlog import EventRow
from store.cards import Evidence, Position, read_evidence
from store.database import Connection


class Explainer:
    """Makes the cards of one run's firings, within one transaction."""

    def __init__(
        self,
        connection: Connection,
        run_id: int,
        rules: RuleSet,
        positions: Sequence[Position] = (),
        allowed_lateness: timedelta = timedelta(0),
    ) -> None:
        self._connection, self._run_id = connection, run_id
        self._rules = {rule.name: rule for rule in rules.rules}
        self._positions, self._lateness = positions, allowed_lateness
        self._known: dict[object, Evidence] = {}

    def card(self, event: EventRow, window: Window) -> Card:
        """Why ``event`` fired; its rule is among the rules."""
        rule = self._rules[event.rule]
        kinds, span = tuple(sorted(rule.kinds)), (event.window_start, event.window_end)
        keys = rule.spellings(event.key)
        found = [self._evidence(event.scope, key, kinds, *span) for key in keys]
        return make_card(event, rule, window, together(found), self._positions, self._lateness)

    def _evidence(
        self, scope: str, key: str, kinds: tuple[str, ...], start: datetime, end: datetime
    ) -> Evidence:
        place = (scope, key, kinds, start, end)
        if place not in self._known:
            self._known[place] = read_evidence(self._connection, self._run_id, *place)
        return self._known[place]


def count_texts(
    connection: Connection, run_id: int, rule: SpikeRule, key: str, end: datetime
) -> int:
    """How many different texts the window of a spike holds, of those that it counts; 20 at most."""
    start = end - rule.window
    found = [
        read_evidence(connection, run_id, rule.scope, one, rule.kinds, start, end)
        for one in rule.spellings(key)
    ]
    return different_texts(together(found), negative=rule.metric is not Metric.DOCUMENTS)
