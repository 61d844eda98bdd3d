"""What is known while telling: what happened, what receivers know, and what is told of it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from alerts.common.reasons import Why
from alerts.conditions.lifecycle import State
from alerts.rules.ruleset import RuleSet
from alerts.telling.grouping import Active, AlertKey
from store.alert_actions import Episode
from store.alertlog import EventRow
from store.silences import Silence
from store.tellings import GroupRow, Telling

ACTIVE = {
    State.FIRING: State.FIRING,
    State.RECOVERING: State.FIRING,
    State.NO_DATA: State.NO_DATA,
    State.ERROR: State.ERROR,
}
"""What receivers hear of a state; what is not here is calm."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event and its number in the log."""

    id: int
    event: EventRow


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification, or one alert held back, at a grid point.

    ``alerts`` are as they were told or held.
    """

    at: datetime
    told: bool
    reason: Why
    alerts: tuple[Telling, ...]
    group: str | None = None
    receivers: tuple[str, ...] = ()
    detail: str | None = None


@dataclass(slots=True)
class Book:
    """What is known of the alerts and groups of a run."""

    tellings: dict[AlertKey, Telling] = field(default_factory=dict)
    groups: dict[str, GroupRow] = field(default_factory=dict)

    def copy(self) -> "Book":
        """One that can be changed alone."""
        return Book(dict(self.tellings), dict(self.groups))


@dataclass(frozen=True, slots=True)
class Orders:
    """What operators want, as far as it is known at the time of a step."""

    silences: Sequence[Silence] = ()
    acknowledged: frozenset[Episode] = frozenset()


def active(telling: Telling) -> Active | None:
    """What is; None: it is calm."""
    if telling.state is None or telling.began_at is None:
        return None
    return Active(telling.state, telling.began_at, telling.severity)


def as_told(telling: Telling) -> Active | None:
    """What receivers think that is; None: they do not think that it is active."""
    if telling.told_state is None or telling.told_began_at is None:
        return None
    severity = telling.severity if telling.told_severity is None else telling.told_severity
    return Active(telling.told_state, telling.told_began_at, severity)


def audiences(
    told: Sequence[Telling], receivers: Sequence[str], rules: RuleSet
) -> list[tuple[tuple[Telling, ...], tuple[str, ...]]]:
    """Which of the alerts are told to whom: most often all of them to their group's receivers.

    Others know of an alert whose severity led to them before: they hear what becomes of it. An end
    is told to those who were told of a beginning.
    """
    heard: dict[str, list[Telling]] = {name: [] for name in receivers}
    for telling in told:
        knew = [one for one in telling.told_to if rules.receiver(one) is not None]
        ended = telling.state is None and bool(knew)
        for receiver in knew if ended else dict.fromkeys((*receivers, *knew)):
            heard.setdefault(receiver, []).append(telling)
    found: dict[tuple[Telling, ...], list[str]] = {}
    for receiver, some in heard.items():
        if some:
            found.setdefault(tuple(some), []).append(receiver)
    return [(some, tuple(to)) for some, to in found.items()]


def events_of(notices: Iterable[Notice]) -> set[int]:
    """The numbers of the events that the notices are about."""
    return {t.event_id for n in notices for t in n.alerts if t.event_id is not None}
