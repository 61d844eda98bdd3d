from datetime import UTC, datetime, timedelta

import pytest

from alerts.rules.policies import PipelinePolicy
from alerts.telling.health import PipelineReason, PipelineState, Vitals, examine

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = PipelinePolicy(stalled_after=15 * MINUTE, lagging_after=10 * MINUTE)
CURRENT, STALLED, LAGGING = PipelineState.CURRENT, PipelineState.STALLED, PipelineState.LAGGING


def vitals(still=0.0, behind=0.0, **fields):
    return Vitals(NOON - still * MINUTE, NOON - behind * MINUTE, **fields)


@pytest.mark.parametrize(
    ("seen", "before", "state", "reason"),
    [
        (Vitals(None, None), CURRENT, CURRENT, "no_document_yet"),
        (vitals(), CURRENT, CURRENT, "checkpoints_move"),
        (vitals(still=14.9, documents=9000), CURRENT, CURRENT, "checkpoints_move"),
        (vitals(still=15, documents=9000), CURRENT, STALLED, "checkpoints_do_not_move"),
        (vitals(still=15, documents=79), CURRENT, CURRENT, "nothing_expected"),
        (vitals(still=15, documents=80), CURRENT, STALLED, "checkpoints_do_not_move"),
        (vitals(still=15, documents=0, waiting=1), CURRENT, STALLED, "checkpoints_do_not_move"),
        (vitals(still=15, documents=9000, waiting=0), CURRENT, CURRENT, "nothing_expected"),
        (vitals(still=15, documents=79), STALLED, CURRENT, "nothing_expected"),
        (vitals(behind=9.9), CURRENT, CURRENT, "checkpoints_move"),
        (vitals(behind=10), CURRENT, LAGGING, "watermark_behind"),
        (vitals(behind=10, idle=True), CURRENT, CURRENT, "checkpoints_move"),
        (vitals(behind=5.1), LAGGING, LAGGING, "watermark_catches_up"),
        (vitals(behind=5), LAGGING, CURRENT, "checkpoints_move"),
        (vitals(behind=9, still=15, documents=9000), LAGGING, STALLED, "checkpoints_do_not_move"),
        (Vitals(NOON, None), CURRENT, CURRENT, "checkpoints_move"),
        (vitals(still=-60, behind=-60), CURRENT, CURRENT, "checkpoints_move"),
    ],
)
def test_the_state_follows_from_what_is_seen(seen, before, state, reason):
    health = examine(seen, before, POLICY, NOON)

    assert (health.state, health.reason) == (state, PipelineReason(reason))


def test_a_state_says_in_a_line_what_was_seen():
    stalled = examine(vitals(still=30, documents=600), CURRENT, POLICY, NOON)
    lagging = examine(vitals(behind=90), CURRENT, POLICY, NOON)

    assert stalled.detail == (
        "no checkpoint moved for 30 minutes, in which about 300 documents were to come"
    )
    assert lagging.detail == "the watermark is 90 minutes behind the clock"
