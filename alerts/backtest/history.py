"""The events that rules would have had over a run's history, from its stored minutes.

The evaluation is that of ``alerts.evaluation``, which judges live runs and replays: same buckets
and rules, same events. It goes key by key, each read once over the whole span, so that a year fits
into memory and into a minute. Writes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from alerts.evaluation import evaluate
from alerts.histories import History
from alerts.rules import GRID, Rule, RuleSet
from alerts.windows import floor
from store.alertlog import EventRow
from store.buckets import list_keys, span
from store.database import Connection, Database
from store.minutes import read_minutes

Kinds = tuple[str, ...]
Progress = Callable[[int, int], None]
T = TypeVar("T")

READERS = 4
"""Keys under way at once: most of the work is PostgreSQL's, on cores of its own."""


@dataclass(frozen=True, slots=True)
class Span:
    """The grid points that are judged: those in (after, until]."""

    after: datetime
    until: datetime


def whole_span(connection: Connection, run_id: int) -> Span | None:
    """All grid points of a run; None while it has no bucket."""
    extent = span(connection, run_id)
    if extent is None:
        return None
    return Span(floor(extent[0], GRID), floor(extent[1], GRID) + GRID)


def judge_history(  # noqa: PLR0913 - a span of one run, and who is told meanwhile
    database: Database,
    run_id: int,
    rules: RuleSet,
    judged: Span,
    on_progress: Progress = lambda _done, _all: None,
    before_rule: Callable[[], None] = lambda: None,
) -> list[EventRow]:
    """Every event of ``rules`` within the span, in order; the state before it is inactive.

    ``before_rule`` is called, on any thread, before a key is judged by a rule; what it raises ends
    all of it, as what ``on_progress`` raises does.
    """

    def judge(subject: Subject) -> list[EventRow]:
        found: list[EventRow] = []
        for rule, history in subject.histories():
            before_rule()
            outcome = evaluate(rule, {subject.key: history}, {}, judged.after, judged.until)
            found += outcome.events
        return found

    every = over_keys(database, run_id, rules, judged, judge, on_progress)
    events = [event for of_key in every for event in of_key]
    return sorted(events, key=lambda event: (event.at, event.rule, event.key))


def over_keys(  # noqa: PLR0913 - a span of one run, and what is done with it
    database: Database,
    run_id: int,
    rules: RuleSet,
    judged: Span,
    work: Callable[["Subject"], T],
    on_progress: Progress = lambda _done, _all: None,
) -> Iterator[T]:
    """What ``work`` makes of every key that some rule judges, in order of scope and key.

    Several keys are read at once, each in a transaction of its own. ``on_progress`` is told how
    many keys are done, and of how many; what it raises leaves the keys unread that wait.
    """
    with database.transaction() as connection:
        wanted = list(_wanted(connection, run_id, rules))

    def read(one: tuple[str, str, list[Rule]]) -> T:
        scope, key, of_key = one
        with database.transaction() as connection:
            minutes = _read(connection, run_id, scope, key, of_key, judged)
        return work(Subject(scope, key, of_key, minutes))

    with ThreadPoolExecutor(READERS) as pool:
        try:
            for done, result in enumerate(pool.map(read, wanted), 1):
                yield result
                on_progress(done, len(wanted))
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Subject:
    """A scope and key, the rules that judge it, and its minutes by the kinds that they want."""

    scope: str
    key: str
    rules: Sequence[Rule]
    minutes: Mapping[Kinds, History]

    def histories(self) -> Iterator[tuple[Rule, History]]:
        """Each rule with the history that it judges."""
        return ((rule, self.minutes[rule.kinds]) for rule in self.rules)


def _wanted(
    connection: Connection, run_id: int, rules: RuleSet
) -> Iterator[tuple[str, str, list[Rule]]]:
    """Every scope and key that some rule judges, with those rules."""
    for scope in sorted({rule.scope for rule in rules.rules}):
        of_scope = [rule for rule in rules.rules if rule.scope == scope]
        named = {key for rule in of_scope for key in rule.keys}
        every = list_keys(connection, run_id, scope) if scope != "all" else [""]
        for key in sorted(named | set(every)):
            of_key = [rule for rule in of_scope if key in rule.keys or not rule.keys]
            if of_key:
                yield scope, key, of_key


def _read(  # noqa: PLR0913 - one key of one run
    connection: Connection,
    run_id: int,
    scope: str,
    key: str,
    rules: Sequence[Rule],
    judged: Span,
) -> Mapping[Kinds, History]:
    """The key's minutes for each choice of kinds, as far back as any of the rules looks."""
    start = judged.after - max(rule.reach for rule in rules)
    return {
        kinds: History(
            read_minutes(connection, run_id, scope, key, start, judged.until, kinds),
            judged.after,
            judged.until,
        )
        for kinds in {rule.kinds for rule in rules}
    }
