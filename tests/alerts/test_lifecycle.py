"""The state machine apart from any rule: invariants over all sequences of findings."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.conditions.lifecycle import Condition, Finding, Reason, Standing, State, advance, failed
from alerts.rules.ruleset import Metric, ThresholdRule

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ACTIVE = {State.FIRING, State.RECOVERING, State.NO_DATA, State.ERROR}
FAILS = "fails"


def terms(window=3, for_=0, keep=0):
    return ThresholdRule(
        name="r", metric=Metric.DOCUMENTS, threshold=1, window=window * MINUTE,
        for_duration=for_ * MINUTE, keep_firing_for=keep * MINUTE,
    )  # fmt: skip


def walked(judged, findings):
    """(minute, previous state, decision) of each finding, a minute apart."""
    standing, steps = None, []
    for minute, finding in enumerate(findings):
        now = NOON + minute * MINUTE
        before = standing.state if standing else State.INACTIVE
        if finding == FAILS:
            decision = failed(standing, now, "ValueError: x")
        else:
            decision = advance(judged, Finding(finding), standing, now)
        steps.append((minute, before, decision))
        standing = decision.standing
    return steps


findings = st.lists(st.sampled_from([*Condition, FAILS]), max_size=40)
all_terms = st.builds(
    terms, st.integers(1, 4), st.sampled_from([0, 1, 3]), st.sampled_from([0, 1, 5])
)


@given(all_terms, findings)
@settings(max_examples=300, deadline=None)
def test_nothing_resolves_that_was_not_active_and_what_is_active_never_just_vanishes(judged, seen):
    for _, before, decision in walked(judged, seen):
        if decision.state is State.RESOLVED:
            assert before in ACTIVE
        if before in ACTIVE:
            assert decision.state in ACTIVE | {State.RESOLVED, State.PENDING}
        if decision.state is State.PENDING:
            assert before not in {State.FIRING, State.RECOVERING}


@given(all_terms, findings)
@settings(max_examples=300, deadline=None)
def test_a_standing_is_of_its_state_and_knows_since_when(judged, seen):
    for minute, before, decision in walked(judged, seen):
        now, standing = NOON + minute * MINUTE, decision.standing
        if standing is None:
            assert decision.state in {State.INACTIVE, State.RESOLVED}
            continue
        assert standing.state is decision.state
        assert (standing.since == now) or before is decision.state
        assert standing.since <= now
        if standing.state in {State.FIRING, State.RECOVERING}:
            assert standing.fired_at is not None
        if standing.state is State.PENDING:
            assert standing.fired_at is None


@given(all_terms, findings)
@settings(max_examples=300, deadline=None)
def test_a_firing_begins_only_when_its_condition_is_met(judged, seen):
    for minute, before, decision in walked(judged, seen):
        new = decision.standing is not None and decision.standing.fired_at == NOON + minute * MINUTE
        if decision.state is State.FIRING and new:
            assert seen[minute] is Condition.MET
            assert before not in {State.FIRING, State.RECOVERING}


@given(all_terms, findings, st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_a_restart_changes_nothing(judged, seen, cut):
    """A standing is all that a rule remembers: from it the rest follows as before."""
    steps = walked(judged, seen)
    standing = steps[cut - 1][2].standing if 0 < cut <= len(steps) else None
    if cut == 0 or cut > len(steps):
        return
    for minute, _, decision in steps[cut:]:
        now = NOON + minute * MINUTE
        again = (
            failed(standing, now, "ValueError: x")
            if seen[minute] == FAILS
            else advance(judged, Finding(seen[minute]), standing, now)
        )
        assert again == decision
        standing = again.standing


MET, HELD, CLEAR = Condition.MET, Condition.HELD, Condition.CLEAR
THIN, AWAITED, SILENT = Condition.THIN, Condition.AWAITED, Condition.SILENT


@pytest.mark.parametrize(
    ("judged", "seen", "state", "reason"),
    [
        (terms(keep=2), [MET, CLEAR, CLEAR], State.RECOVERING, Reason.KEPT),
        (terms(keep=2), [MET, CLEAR, CLEAR, CLEAR], State.RESOLVED, Reason.CLEARED),
        (terms(keep=2), [MET, CLEAR, HELD], State.FIRING, Reason.NOT_CLEAR),
        (terms(keep=2), [MET, CLEAR, HELD, CLEAR, CLEAR], State.RECOVERING, Reason.KEPT),
        (terms(keep=2), [MET, CLEAR, AWAITED, AWAITED, AWAITED], State.RECOVERING, Reason.AWAITED),
        (terms(window=2, keep=9), [MET, CLEAR, THIN, THIN], State.RECOVERING, Reason.TOO_FEW),
        (terms(window=2, keep=9), [MET, CLEAR, THIN, THIN, THIN], State.RESOLVED, Reason.TOO_FEW),
        (terms(), [HELD], State.INACTIVE, Reason.WITHIN),
        (terms(), [AWAITED], State.INACTIVE, Reason.AWAITED),
        (terms(for_=2), [MET, AWAITED], State.INACTIVE, Reason.AWAITED),
        (terms(), [SILENT], State.NO_DATA, Reason.NO_DOCUMENTS),
        (terms(for_=2), [MET, SILENT], State.NO_DATA, Reason.NO_DOCUMENTS),
        (terms(), [SILENT, CLEAR], State.RESOLVED, Reason.DATA_BACK),
        (terms(), [SILENT, THIN], State.RESOLVED, Reason.DATA_BACK),
        (terms(), [SILENT, MET], State.FIRING, Reason.BEYOND),
        (terms(), [MET, SILENT, CLEAR], State.RESOLVED, Reason.CLEARED),
        (terms(keep=1), [MET, SILENT, CLEAR], State.RECOVERING, Reason.KEPT),
        (terms(), [MET, SILENT, HELD], State.FIRING, Reason.NOT_CLEAR),
        (terms(), [MET, FAILS, HELD], State.FIRING, Reason.NOT_CLEAR),
        (terms(), [FAILS, CLEAR], State.RESOLVED, Reason.JUDGED_AGAIN),
        (terms(), [FAILS, SILENT], State.NO_DATA, Reason.NO_DOCUMENTS),
    ],
)
def test_where_a_sequence_of_findings_leads(judged, seen, state, reason):
    _, _, decision = walked(judged, seen)[-1]

    assert (decision.state, decision.reason) == (state, reason)


GRAVITY = st.lists(st.tuples(st.sampled_from(Condition), st.integers(1, 10)), max_size=40)


def test_what_fires_is_graver_by_steps_that_are_news():
    standing, told = None, []
    for minute, severity in enumerate([4, 5, 6, 7, 9, 3, 10]):
        decision = advance(
            terms(), Finding(Condition.MET, severity=severity), standing, NOON + minute * MINUTE
        )
        standing = decision.standing
        told.append((str(decision.reason), standing.severity))

    assert told == [
        ("beyond_threshold", 4), ("not_clear_yet", 4), ("graver", 6), ("not_clear_yet", 6),
        ("graver", 9), ("not_clear_yet", 9), ("not_clear_yet", 9),
    ]  # fmt: skip
    assert standing.fired_at == NOON


@given(all_terms, GRAVITY)
@settings(max_examples=300, deadline=None)
def test_only_what_fires_grows_and_it_never_falls_while_it_lasts(judged, seen):
    standing = None
    for minute, (condition, severity) in enumerate(seen):
        met = condition is Condition.MET
        finding = Finding(condition, severity=severity if met else None)
        decision = advance(judged, finding, standing, NOON + minute * MINUTE)
        after = decision.standing
        if decision.reason is Reason.GRAVER:
            assert (decision.state, condition) == (State.FIRING, Condition.MET)
            assert after.fired_at < NOON + minute * MINUTE
            assert after.severity >= standing.severity + 2
        elif standing and after and standing.fired_at and standing.fired_at == after.fired_at:
            assert after.severity == standing.severity
        standing = after


def test_a_failure_is_since_its_first_and_says_what_failed():
    first = failed(Standing(State.FIRING, NOON, NOON), NOON + MINUTE, "ValueError: x")
    second = failed(first.standing, NOON + 2 * MINUTE, "ValueError: y")

    assert second.standing == Standing(State.ERROR, NOON + MINUTE, NOON)
    assert (first.detail, second.detail) == ("ValueError: x", "ValueError: y")
