"""Silences in time: which are in force, and when that changes. Pure.

Their spans are compared with the event time of the grid, so that a replay under the same
silences tells the same.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

from alerts.conditions.windows import floor
from alerts.rules.matchers import Labelled, matches
from alerts.rules.ruleset import GRID
from store.silences import Silence


class SilenceState(StrEnum):
    """Where a moment lies in a silence's span."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


def state_at(silence: Silence, moment: datetime) -> SilenceState:
    """The state of a silence: its beginning is part of its span, its end is not."""
    if moment >= silence.ends_at:
        return SilenceState.EXPIRED
    return SilenceState.PENDING if moment < silence.starts_at else SilenceState.ACTIVE


def silencing(silences: Iterable[Silence], alert: Labelled, now: datetime) -> Silence | None:
    """The first silence in force that is about the alert."""
    return next(
        (
            silence
            for silence in silences
            if silence.starts_at <= now < silence.ends_at and matches(silence.matchers, alert)
        ),
        None,
    )


def boundaries(silences: Sequence[Silence], after: datetime, until: datetime) -> list[datetime]:
    """The grid points in (after, until] from which on other silences are in force."""
    moments = [moment for s in silences for moment in (s.starts_at, s.ends_at)]
    points = {floor(moment, GRID) for moment in moments if floor(moment, GRID) == moment}
    points |= {floor(m, GRID) + GRID for m in moments if floor(m, GRID) != m}
    return sorted(point for point in points if after < point <= until)
