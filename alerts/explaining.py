"""Explaining: from a firing and the window that was judged to its card, with what the store holds.

Firings of one window, whatever their rules, share one look at its documents. Writes nothing.
"""

from collections.abc import Sequence
from datetime import timedelta

from alerts.cards import Card, Window, make_card, together
from alerts.rules import RuleSet
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
        kinds = tuple(sorted(rule.kinds))
        found = [self._evidence(event, key, kinds) for key in rule.spellings(event.key)]
        return make_card(event, rule, window, together(found), self._positions, self._lateness)

    def _evidence(self, event: EventRow, key: str, kinds: tuple[str, ...]) -> Evidence:
        place = (event.scope, key, kinds, event.window_start, event.window_end)
        if place not in self._known:
            self._known[place] = read_evidence(self._connection, self._run_id, *place)
        return self._known[place]
