"""The events that rules would have had over a run's history, from its stored minutes.

The evaluation is that of ``alerts.evaluation``, which judges live runs and replays: same buckets
and rules, same events. It goes key by key, each read once over the whole span, so that a year fits
into memory and into a minute. Writes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import TypeVar

from alerts.cards.explaining import count_texts
from alerts.conditions.finders import Past, Stretch
from alerts.conditions.histories import History
from alerts.conditions.windows import Series, floor
from alerts.evaluation.evaluating import Outcome, evaluate_rules
from alerts.evaluation.lookback import reach
from alerts.rules.kinds import AnyRule, SpikeRule
from alerts.rules.rule import GRID
from alerts.rules.ruleset import RuleSet
from store.buckets import list_keys, span
from store.database import Connection, Database
from store.minutes import read_minutes

Wanted = tuple[tuple[str, ...], tuple[str, ...]]
"""Kinds of documents, and the spellings of a key."""

Progress = Callable[[int, int], None]
T = TypeVar("T")

READERS = 4
"""Keys under way at once: most of the work is PostgreSQL's, on cores of its own."""


def whole_span(connection: Connection, run_id: int) -> Stretch | None:
    """All grid points of a run; None while it has no bucket."""
    extent = span(connection, run_id)
    if extent is None:
        return None
    return Stretch(floor(extent[0], GRID), floor(extent[1], GRID) + GRID)


def judge_history(  # noqa: PLR0913 - a span of one run, and who is told meanwhile
    database: Database,
    run_id: int,
    rules: RuleSet,
    judged: Stretch,
    on_progress: Progress = lambda _done, _all: None,
    before_rule: Callable[[], None] = lambda: None,
) -> Outcome:
    """Every event of ``rules`` within the span, in order; the state before it is inactive.

    ``before_rule`` is called, on any thread, before a key is judged by a rule; what it raises ends
    all of it, as what ``on_progress`` raises does.
    """

    def judge(subject: Subject) -> Outcome:
        return evaluate_rules(rules, subject.series(before_rule), {}, judged)

    outcome = Outcome()
    for of_key in over_keys(database, run_id, rules, judged, judge, on_progress):
        outcome.add(of_key)
    outcome.events.sort(key=lambda event: (event.at, event.rule, event.key))
    return outcome


def over_keys(  # noqa: PLR0913 - a span of one run, and what is done with it
    database: Database,
    run_id: int,
    rules: RuleSet,
    judged: Stretch,
    work: Callable[["Subject"], T],
    on_progress: Progress = lambda _done, _all: None,
) -> Iterator[T]:
    """What ``work`` makes of every key that some rule judges, in order of scope and key.

    Several keys are read at once, each in a transaction of its own. ``on_progress`` is told how
    many keys are done, and of how many; what it raises leaves the keys unread that wait.
    """
    with database.transaction() as connection:
        wanted = list(_wanted(connection, run_id, rules))
        extent = span(connection, run_id)
    past = Past(began=extent and extent[0], texts=_texts(database, run_id))

    stopped = Event()

    def read(one: tuple[str, str, list[AnyRule]]) -> T:
        if stopped.is_set():  # a key before it, which is asked for first, says why
            raise CancelledError
        scope, key, of_key = one
        try:
            with database.transaction() as connection:
                minutes = _read(connection, run_id, scope, key, of_key, judged)
            return work(Subject(scope, key, of_key, minutes, past))
        except BaseException:
            stopped.set()
            raise

    with ThreadPoolExecutor(READERS) as pool:
        try:
            for done, result in enumerate(pool.map(read, wanted), 1):
                yield result
                on_progress(done, len(wanted))
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Subject:
    """A scope and key, the rules that judge it, and its minutes by what the rules want of them.

    ``past``: what else they look back on.
    """

    scope: str
    key: str
    rules: Sequence[AnyRule]
    minutes: Mapping[Wanted, History]
    past: Past

    def history(self, rule: AnyRule) -> History:
        """The minutes that ``rule`` judges."""
        return self.minutes[_wanted_of(rule, self.key)]

    def series(
        self, before_rule: Callable[[], None]
    ) -> Iterator[tuple[AnyRule, Mapping[str, Series], Past]]:
        """Each rule with its series and what else it looks back on."""
        for rule in self.rules:
            before_rule()
            yield rule, {self.key: self.history(rule)}, self.past


def _texts(database: Database, run_id: int) -> Callable[[SpikeRule, str, datetime], int]:
    """Texts of a window, each time in a transaction of its own: keys are judged by many threads."""

    def texts(rule: SpikeRule, key: str, end: datetime) -> int:
        with database.reading() as connection:
            return count_texts(connection, run_id, rule, key, end)

    return texts


def _wanted_of(rule: AnyRule, key: str) -> Wanted:
    return rule.kinds, rule.spellings(key)


def _wanted(
    connection: Connection, run_id: int, rules: RuleSet
) -> Iterator[tuple[str, str, list[AnyRule]]]:
    """Every scope and key that some rule judges, with those rules."""
    for scope in sorted({rule.scope for rule in rules.rules}):
        of_scope = [rule for rule in rules.rules if rule.scope == scope]
        named = {key for rule in of_scope for key in (*rule.keys, *rule.aliases)}
        every = list_keys(connection, run_id, scope) if scope != "all" else [""]
        for key in sorted(named | set(every)):
            of_key = [rule for rule in of_scope if _judges(rule, key)]
            if of_key:
                yield scope, key, of_key


def _judges(rule: AnyRule, key: str) -> bool:
    if rule.keys:
        return key in rule.keys
    return not any(key in names for names in rule.aliases.values())


def _read(  # noqa: PLR0913 - one key of one run
    connection: Connection,
    run_id: int,
    scope: str,
    key: str,
    rules: Sequence[AnyRule],
    judged: Stretch,
) -> Mapping[Wanted, History]:
    """The key's minutes for each choice of kinds and spellings, as far back as any rule looks."""
    start = judged.after - max(_reach(rule) for rule in rules)
    return {
        (kinds, keys): History(
            read_minutes(connection, run_id, scope, keys, start, judged.until, kinds)
        )
        for kinds, keys in {_wanted_of(rule, key) for rule in rules}
    }


def _reach(rule: AnyRule) -> timedelta:
    if isinstance(rule, SpikeRule):
        return max(reach(rule), rule.baseline_reach + timedelta(hours=1))
    return reach(rule)
