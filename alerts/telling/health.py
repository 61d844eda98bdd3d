"""The state of the pipeline itself: silence of a feed is not calm, and a backlog is not news. Pure.

Goes by the wall clock, so it is for live runs alone and says nothing about any document.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from alerts.common.phrases import phrase
from alerts.rules.policies import PipelinePolicy

NAME = "@pipeline"
"""Stands where an alert has its rule; no rule can be called so."""

SCOPE = "pipeline"

BEHIND = "the watermark is {minutes} minutes behind the clock"
WAITING = "no checkpoint moved for {minutes} minutes, and {records} records wait"
MISSING = (
    "no checkpoint moved for {minutes} minutes, in which about {documents} documents were to come"
)
DETAILS = (BEHIND, WAITING, MISSING)
"""What is stored with a state of the pipeline."""

_EXPECTED = 20.0
"""So many documents must be missing: by chance alone a steady feed leaves out that many with a
probability of e^-20."""


class PipelineState(StrEnum):
    """Whether what is judged is what happens now."""

    CURRENT = "current"
    STALLED = "stalled"
    LAGGING = "lagging"


class PipelineReason(StrEnum):
    """Why the pipeline counts as it does."""

    MOVING = "checkpoints_move"
    QUIET = "nothing_expected"
    NEVER_MOVED = "no_document_yet"
    STANDS = "checkpoints_do_not_move"
    BEHIND = "watermark_behind"
    CATCHING_UP = "watermark_catches_up"


@dataclass(frozen=True, slots=True)
class Vitals:
    """What can be seen of a live pipeline.

    ``moved``: when a checkpoint last moved. ``watermark``: up to where nothing more is expected.
    ``idle``: whether nothing has come for so long that event time goes on by the clock.
    ``documents``: how many the hour before the newest of them held. ``waiting``: how many records
    are known to wait in the feed; None: not known.
    """

    moved: datetime | None
    watermark: datetime | None
    idle: bool = False
    documents: int = 0
    waiting: int | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """A state, why, and in a line what was seen."""

    state: PipelineState
    reason: PipelineReason
    detail: str = ""


def examine(vitals: Vitals, before: PipelineState, policy: PipelinePolicy, now: datetime) -> Health:
    """The state of the pipeline at ``now``, by the wall clock.

    A clock that was set back makes times lie ahead; they count as now.
    """
    if vitals.moved is None:
        return Health(PipelineState.CURRENT, PipelineReason.NEVER_MOVED)
    still = max(now - vitals.moved, timedelta(0))
    if still >= policy.stalled_after:
        return _still(vitals, still)
    behind = max(now - vitals.watermark, timedelta(0)) if vitals.watermark else timedelta(0)
    detail = str(phrase(BEHIND, minutes=_minutes(behind)))
    # An idle feed has no backlog: where its newest document is old, nothing newer was published.
    if behind >= policy.lagging_after and not vitals.idle:
        return Health(PipelineState.LAGGING, PipelineReason.BEHIND, detail)
    # Half the limit, so that a pipeline at the limit does not turn lagging and current in turn.
    if before is PipelineState.LAGGING and behind * 2 > policy.lagging_after:
        return Health(PipelineState.LAGGING, PipelineReason.CATCHING_UP, detail)
    return Health(PipelineState.CURRENT, PipelineReason.MOVING)


def _still(vitals: Vitals, still: timedelta) -> Health:
    """Nothing moved for long: stalled if something should have."""
    expected = vitals.documents * (still / timedelta(hours=1))
    if vitals.waiting:
        detail = str(phrase(WAITING, minutes=_minutes(still), records=f"{vitals.waiting:,}"))
        return Health(PipelineState.STALLED, PipelineReason.STANDS, detail)
    if vitals.waiting is None and expected >= _EXPECTED:
        detail = str(phrase(MISSING, minutes=_minutes(still), documents=f"{expected:,.0f}"))
        return Health(PipelineState.STALLED, PipelineReason.STANDS, detail)
    return Health(PipelineState.CURRENT, PipelineReason.QUIET)


def _minutes(duration: timedelta) -> str:
    return f"{duration // timedelta(minutes=1):,}"
