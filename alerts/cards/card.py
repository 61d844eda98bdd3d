"""Evidence cards: why an alert fired, as it was known when it did. Pure.

A card is built once, kept with the event, and not changed when documents come late or are scored
again. It says which documents weighed most; which words did is added by ``alerts.cards.weighing``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from alerts.conditions.lifecycle import Reason, State, Usual
from alerts.rules.kinds import AnyRule, SpikeRule, ThresholdRule
from alerts.rules.wording import condition
from classifier.prediction import SCALE
from store.alertlog import EventRow
from store.buckets import Sums
from store.cards import Candidate, Evidence, Position

MOST_DRIVERS = 5
MOST_A_STEP = 200
"""Cards that one step of the alerter builds, those of the gravest alerts."""

_QUOTED, _LONGEST_URL = 280, 500
_VERSION = 2
_DIGITS = 4


class Missing(StrEnum):
    """Why a firing has no card."""

    STEP_LIMIT = "step_limit"


@dataclass(frozen=True, slots=True)
class Window:
    """What was judged: the sums of [start, end), and how many of its minutes hold documents.

    ``usual``: what it was held against, where that is a baseline.
    """

    sums: Sums
    minutes: int
    usual: Usual | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """The window and its numbers; ``mean_score`` goes from -1 to 1, None for an empty window."""

    start: str
    end: str
    documents: int
    negative: int
    neutral: int
    positive: int
    mean_score: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rule held against the window; ``condition`` says in words when it fires.

    Metric, operator and threshold are those of rules that have one; baseline, band and surprise
    those of a spike.
    """

    type: str
    condition: str
    value: float | None
    metric: str | None = None
    operator: str | None = None
    threshold: float | None = None
    clear: float | None = None
    baseline: float | None = None
    band: tuple[float, float] | None = None
    surprise: float | None = None


@dataclass(frozen=True, slots=True)
class Driver:
    """A document that weighed much. Its texts are as the feed sent them, cut short."""

    id: str
    source: str
    kind: str
    published_at: str
    title: str | None
    text: str
    url: str | None
    score: float
    repeats: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the window was there: minutes with documents, of how many; what came late."""

    minutes: int
    of_minutes: int
    allowed_lateness_seconds: float
    late: int


@dataclass(frozen=True, slots=True)
class Card:
    """Why one alert began to fire, or grew graver.

    ``examined`` documents were looked at for drivers and models.
    """

    window: Numbers
    rule: Judged
    severity: int
    drivers: tuple[Driver, ...]
    examined: int
    models: Mapping[str, int]
    coverage: Coverage
    offsets: tuple[str, ...]
    version: int = _VERSION
    drivers_pruned: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The card as an object of JSON."""
        plain = asdict(self)
        return {**plain, "drivers": list(plain["drivers"]), "offsets": list(self.offsets)}


def is_explained(event: EventRow) -> bool:
    """Whether it gets a card: a firing begins with it, or has grown graver.

    One that goes on after a recovery is no other firing.
    """
    grown = event.reason == Reason.GRAVER
    return event.state == State.FIRING and (grown or event.at == event.fired_at)


def chosen(
    happened: Iterable[tuple[int, EventRow]], limit: int = MOST_A_STEP
) -> tuple[list[tuple[int, EventRow]], list[tuple[int, EventRow]]]:
    """What is to be explained: what gets a card, and the rest. The gravest and latest first."""
    begun = [(number, event) for number, event in happened if is_explained(event)]
    begun.sort(key=lambda each: (-each[1].severity, -each[1].at.timestamp(), *_name(each[1])))
    return begun[:limit], begun[limit:]


def make_card(  # noqa: PLR0913 - what was judged, and what was read
    event: EventRow,
    rule: AnyRule,
    window: Window,
    evidence: Evidence,
    positions: Sequence[Position],
    allowed_lateness: timedelta,
) -> Card:
    """The card of ``event`` from what was judged and what was read."""
    span = event.window_end - event.window_start
    return Card(
        window=_numbers(event, window.sums),
        rule=_judged(rule.at(event.key), event.value, window.usual),
        severity=event.severity,
        drivers=drivers_of(evidence.candidates),
        examined=evidence.examined,
        models=dict(evidence.models),
        coverage=Coverage(
            minutes=window.minutes,
            of_minutes=span // timedelta(minutes=1),
            allowed_lateness_seconds=allowed_lateness.total_seconds(),
            late=sum(position.late for position in positions),
        ),
        offsets=tuple(f"{p.source}[{p.partition}]@{p.next_offset}" for p in positions),
    )


def together(found: Sequence[Evidence]) -> Evidence:
    """The evidence of a key and its aliases; a document that names several is one candidate."""
    if len(found) == 1:
        return found[0]
    candidates = {c.id: c for evidence in found for c in evidence.candidates}
    models: Counter[str] = Counter()
    for evidence in found:
        models.update(evidence.models)
    worst = sorted(candidates.values(), key=lambda c: (c.score, -c.published_at.timestamp(), c.id))
    return Evidence(sum(evidence.examined for evidence in found), models, worst)


def different_texts(evidence: Evidence, *, negative: bool) -> int:
    """How many different texts there are, at most as many as were handed over."""
    some = (c for c in evidence.candidates if c.score < 0 or not negative)
    return len({normalized(f"{c.title or ''} {c.text}") for c in some})


def drivers_of(candidates: Iterable[Candidate], most: int = MOST_DRIVERS) -> tuple[Driver, ...]:
    """The first of them; each text once, with how often it came."""
    firsts: dict[str, Candidate] = {}
    repeats: dict[str, int] = {}
    for candidate in candidates:
        same = normalized(f"{candidate.title or ''} {candidate.text}")
        firsts.setdefault(same, candidate)
        repeats[same] = repeats.get(same, 0) + candidate.repeats
    return tuple(_driver(firsts[same], repeats[same]) for same in [*firsts][:most])


def oldest_of(drivers: Sequence[Driver]) -> datetime | None:
    """The event time of the oldest document; None: there is none."""
    return min((datetime.fromisoformat(d.published_at) for d in drivers), default=None)


def normalized(text: str) -> str:
    """What two texts agree in that are repeats of each other: case and white space are left out."""
    return "".join(text.casefold().split())


def _judged(rule: AnyRule, value: float | None, usual: Usual | None) -> Judged:
    base = Judged(type=rule.type, condition=str(condition(rule)), value=value)
    if isinstance(rule, ThresholdRule):
        return replace(
            base,
            metric=rule.metric,
            operator=rule.operator,
            threshold=rule.threshold,
            clear=rule.clear_threshold,
        )
    if isinstance(rule, SpikeRule):
        base = replace(
            base, metric=rule.metric, threshold=rule.threshold, clear=rule.clear_threshold
        )
    if usual is None:
        return base
    return replace(
        base,
        baseline=round(usual.baseline, _DIGITS),
        band=(0.0, round(usual.upper, _DIGITS)),
        surprise=round(usual.surprise, _DIGITS),
    )


def _numbers(event: EventRow, sums: Sums) -> Numbers:
    mean = sums.score_sum / SCALE / sums.documents if sums.documents else None
    return Numbers(
        start=event.window_start.isoformat(),
        end=event.window_end.isoformat(),
        documents=sums.documents,
        negative=sums.negative,
        neutral=sums.neutral,
        positive=sums.positive,
        mean_score=None if mean is None else round(mean, 4),
    )


def _driver(candidate: Candidate, repeats: int) -> Driver:
    return Driver(
        id=candidate.id,
        source=candidate.source,
        kind=candidate.kind,
        published_at=candidate.published_at.isoformat(),
        title=_cut(candidate.title, _QUOTED) if candidate.title else None,
        text=_cut(candidate.text, _QUOTED),
        url=_cut(candidate.url, _LONGEST_URL) if candidate.url else None,
        score=candidate.score / SCALE,
        repeats=repeats,
    )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "\u2026"


def _name(event: EventRow) -> tuple[str, str]:
    return event.rule, event.key
