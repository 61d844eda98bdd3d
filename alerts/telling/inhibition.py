"""Inhibition: a firing alert that explains others mutes them. Pure."""

from collections.abc import Iterable, Sequence

from alerts.rules.matchers import Labelled, matches
from alerts.rules.policies import Inhibition

Sources = tuple[frozenset[tuple[object, ...]], ...]
"""For each inhibition, what its firing sources have in the fields that must be equal."""


def sources(inhibitions: Sequence[Inhibition], firing: Iterable[Labelled]) -> Sources:
    """What mutes others while these alerts fire.

    An alert that is source and target of one inhibition mutes nothing by it: two such alerts
    would mute each other, and nobody would be told of either.
    """
    alerts = list(firing)
    return tuple(
        frozenset(
            _equal(inhibition, alert)
            for alert in alerts
            if matches(inhibition.source, alert) and not matches(inhibition.target, alert)
        )
        for inhibition in inhibitions
    )


def is_inhibited(inhibitions: Sequence[Inhibition], firing: Sources, alert: Labelled) -> bool:
    """Whether any of the sources mutes the alert."""
    return any(
        found and _equal(inhibition, alert) in found and matches(inhibition.target, alert)
        for inhibition, found in zip(inhibitions, firing, strict=True)
    )


def _equal(inhibition: Inhibition, alert: Labelled) -> tuple[object, ...]:
    return tuple(getattr(alert, name) for name in inhibition.equal)
