"""How alerts are told, as people write it in the rules file: grouping, flapping, inhibition, and
the state of the pipeline itself. Knows no alert and no clock; docs/alerts.md describes every field.
"""

from datetime import timedelta
from typing import Annotated, Literal

import msgspec

from alerts.common.fields import Severity
from alerts.rules.matchers import MatcherError, check_matchers

Label = Literal["rule", "scope", "key", "severity"]
Matchers = dict[str, str]


class Grouping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Alerts that agree in the labels ``by`` are told together.

    ``wait`` is for the first notification of a group, ``interval`` between two, ``repeat`` until
    one that says nothing new. All count in whole minutes of event time, rounded down.
    """

    by: tuple[Label, ...] = ("rule",)
    wait: timedelta = timedelta(seconds=30)
    interval: timedelta = timedelta(minutes=5)
    repeat: timedelta = timedelta(hours=4)


class Flapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alert that begins and ends more than ``changes`` times within ``span`` is held."""

    changes: Annotated[int, msgspec.Meta(ge=1, le=100)] = 6
    span: timedelta = timedelta(hours=1)


class Inhibition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """While an alert that ``source`` matches fires, those that ``target`` matches are not told.

    ``equal``: fields in which the two must agree.
    """

    source: Matchers
    target: Matchers
    equal: tuple[Label, ...] = ()


class PipelinePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the pipeline of a live run counts as stalled or lagging, and who is told (wall clock).

    ``receivers`` unset: the receiver called console, if there is one.
    """

    stalled_after: timedelta = timedelta(minutes=15)
    lagging_after: timedelta = timedelta(minutes=15)
    severity: Severity = 8
    receivers: tuple[str, ...] | None = None


def faults(grouping: Grouping, flapping: Flapping, pipeline: PipelinePolicy) -> list[str]:
    """What is wrong with the durations, each as the end of a message."""
    found = []
    if grouping.wait < timedelta(0) or grouping.interval < timedelta(0):
        found.append("grouping: `wait` and `interval` cannot be negative")
    if grouping.repeat < timedelta(minutes=1):
        found.append("grouping: `repeat` must be a minute at least")
    if flapping.span < timedelta(minutes=1):
        found.append("flapping: `span` must be a minute at least")
    if min(pipeline.stalled_after, pipeline.lagging_after) < timedelta(minutes=1):
        found.append("pipeline: `stalled_after` and `lagging_after` must be a minute at least")
    return found


def matcher_fault(inhibition: Inhibition) -> str | None:
    """What is wrong with the matchers of an inhibition; None: nothing."""
    for side, matchers in (("source", inhibition.source), ("target", inhibition.target)):
        try:
            check_matchers(matchers)
        except MatcherError as error:
            return f"inhibit: `{side}`: {error}"
    return None
