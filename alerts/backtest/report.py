"""A backtest as a whole: what one set of rules came to on a run, and that as plain data.

The command and the dashboard say the same of it. Draws and prints nothing.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from alerts.backtest.comparison import Comparison, Judgement, KnownEvent
from alerts.backtest.firings import Firing, firings, loads
from alerts.backtest.history import Progress, judge_history, whole_span
from alerts.cards.card import Window
from alerts.cards.explaining import Explainer
from alerts.conditions.finders import Stretch
from alerts.evaluation.evaluating import Moment
from alerts.rules.ruleset import RuleSet
from store.alertlog import EventRow
from store.database import Database
from store.digest import digest_events

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Result:
    """What one set of rules came to."""

    events: Sequence[EventRow]
    firings: Sequence[Firing]
    span: Stretch
    windows: Mapping[Moment, Window] = field(default_factory=dict)


def run_backtest(
    database: Database,
    run_id: int,
    rules: RuleSet,
    on_progress: Progress = lambda _done, _keys: None,
    before_rule: Callable[[], None] = lambda: None,
) -> Result | None:
    """Judge a run's whole history; None while it holds no document.

    What ``on_progress`` and ``before_rule`` raise ends it; the latter is called on any thread.
    """
    with database.transaction() as connection:
        span = whole_span(connection, run_id)
    if span is None:
        return None
    found = judge_history(database, run_id, rules, span, on_progress, before_rule)
    return Result(found.events, firings(found.events), span, found.windows)


def strongest(
    database: Database, run_id: int, rules: RuleSet, result: Result, most: int
) -> list[tuple[Firing, dict[str, Any]]]:
    """The gravest firings with their cards, the gravest first; of equals the most surprising.

    Cards quote the documents that the run holds now, and say nothing of offsets.
    """

    def rank(firing: Firing) -> tuple[float, ...]:
        usual = result.windows[firing.moment].usual
        surprise, value = usual.surprise if usual else 0.0, firing.first.value or 0.0
        return -firing.severity, -surprise, -value, firing.fired_at.timestamp()

    gravest = sorted(result.firings, key=rank)[:most]
    with database.reading() as connection:
        explainer = Explainer(connection, run_id, rules)
        return [
            (firing, explainer.card(firing.first, result.windows[firing.moment]).as_dict())
            for firing in gravest
        ]


def digest_rules(rules: RuleSet) -> str:
    """What tells rules that judge differently apart; comments and receivers do not count."""
    judged = [msgspec.structs.replace(rule, receivers=()) for rule in rules.rules]
    return hashlib.sha256(msgspec.json.encode(judged)).hexdigest()


def known_within(events: Iterable[KnownEvent], span: Stretch) -> list[KnownEvent]:
    """Those that the run could know of."""
    return [event for event in events if event.end > span.after and event.start <= span.until]


def report(  # noqa: PLR0913 - what a backtest may come to
    run: str,
    result: Result,
    comparison: Comparison | None,
    judgement: Judgement | None,
    seconds: float,
    cards: Sequence[tuple[Firing, dict[str, Any]]] = (),
) -> dict[str, Any]:
    """All of it as plain data; ``comparison`` has the result's firings as the new ones."""
    plain: dict[str, Any] = {
        "run": run,
        "start": result.span.after.isoformat(),
        "end": result.span.until.isoformat(),
        "alerts": [plain_firing(firing) for firing in result.firings],
        "events": len(result.events),
        "digest": digest_events(result.events),
        "load": [
            {
                "rule": load.rule,
                "key": load.key,
                "alerts": load.firings,
                "alerts_per_week": round(load.per_week, 4),
                "alert_minutes_per_week": round(load.minutes_per_week, 3),
            }
            for load in loads(result.firings, result.span.after, result.span.until)
        ],
        "strongest": [{**plain_firing(firing), "card": card} for firing, card in cards],
        "seconds": round(seconds, 2),
    }
    if comparison is not None:
        plain["against"] = {
            "added": [plain_firing(firing) for firing in comparison.added],
            "gone": [plain_firing(firing) for firing in comparison.gone],
            "shared": len(comparison.shared),
        }
    if judgement is not None:
        plain["known"] = plain_judgement(judgement)
    return plain


def plain_judgement(judgement: Judgement) -> dict[str, Any]:
    """Firings against known events as plain data; what cannot be said is None."""
    delay = judgement.median_delay
    return {
        "events": len(judgement.found),
        "told": sum(finding.firing is not None for finding in judgement.found),
        "true_alerts": len(judgement.true),
        "false_alerts": len(judgement.false),
        "precision": judgement.precision,
        "recall": judgement.recall,
        "median_delay_minutes": None if delay is None else round(delay / _MINUTE, 2),
        "missed": [
            {"start": event.start.isoformat(), "key": event.key, "name": event.name}
            for event in (finding.event for finding in judgement.found if finding.firing is None)
        ],
    }


def plain_firing(firing: Firing) -> dict[str, Any]:
    """One firing as plain data."""
    first = firing.first
    return {
        "rule": first.rule,
        "scope": first.scope,
        "key": first.key,
        "severity": firing.severity,
        "fired_at": firing.fired_at.isoformat(),
        "resolved_at": firing.resolved_at.isoformat() if firing.resolved_at else None,
        "value": first.value,
        "documents": first.documents,
        "reason": first.reason,
    }
