from datetime import UTC, datetime, timedelta

import pytest

from alerts.conditions.decisions import find, measure
from alerts.conditions.lifecycle import Reason, Standing, State, advance
from alerts.rules.ruleset import Metric, ThresholdRule
from store.buckets import Sums

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WINDOW = 30 * MINUTE
FOR = 10 * MINUTE


def rule(metric="negative_share", threshold=0.5, **fields):
    fields = {"window": WINDOW, "min_documents": 4} | fields
    if "for_" in fields:
        fields["for_duration"] = fields.pop("for_")
    return ThresholdRule(name="r", metric=Metric(metric), threshold=threshold, **fields)


def share(negative, documents=10):
    return Sums(documents=documents, negative=negative, neutral=documents - negative)


def pending(since=NOON):
    return Standing(State.PENDING, since)


def firing(since=NOON, thin_since=None):
    return Standing(State.FIRING, since, since, thin_since)


def decide(rule, sums, before, now):
    return advance(rule, find(rule, sums), before, now)


def outcome(rule, sums, before=None, now=NOON):
    decision = decide(rule, sums, before, now)
    return decision.state, decision.reason


INACTIVE, PENDING, FIRING, RESOLVED = (
    State.INACTIVE,
    State.PENDING,
    State.FIRING,
    State.RESOLVED,
)


@pytest.mark.parametrize(
    ("metric", "sums", "expected"),
    [
        ("documents", Sums(documents=7), 7.0),
        ("documents", Sums(), 0.0),
        ("negative_count", Sums(documents=7, negative=3), 3.0),
        ("negative_count", Sums(), 0.0),
        ("negative_share", Sums(documents=8, negative=2), 0.25),
        ("negative_share", Sums(), None),
        ("mean_score", Sums(documents=4, score_sum=-20_000), -0.5),
        ("mean_score", Sums(documents=4, score_sum=40_000), 1.0),
        ("mean_score", Sums(), None),
    ],
)
def test_each_metric_is_measured_in_its_own_unit(metric, sums, expected):
    assert measure(Metric(metric), sums) == expected


@pytest.mark.parametrize(
    ("judged", "short_of_it", "at_it"),
    [
        (rule("negative_share", 0.5), share(499, 1000), share(500, 1000)),
        (rule("negative_count", 5), share(4), share(5)),
        (rule("documents", 12), share(0, 11), share(0, 12)),
        (
            rule("mean_score", 0.5),
            Sums(documents=4, score_sum=19_999),
            Sums(documents=4, score_sum=20_000),
        ),
        (rule("negative_share", 0.5, operator="<="), share(501, 1000), share(500, 1000)),
        (rule("negative_count", 5, operator="<="), share(6), share(5)),
        (rule("documents", 12, operator="<="), share(0, 13), share(0, 12)),
        (
            rule("mean_score", -0.5, operator="<="),
            Sums(documents=4, score_sum=-19_999),
            Sums(documents=4, score_sum=-20_000),
        ),
    ],
)
def test_a_rule_fires_from_its_threshold_on(judged, short_of_it, at_it):
    assert outcome(judged, short_of_it) == (INACTIVE, Reason.WITHIN)
    assert outcome(judged, at_it) == (FIRING, Reason.BEYOND)


@pytest.mark.parametrize(
    ("operator", "clear", "still_beyond", "cleared"),
    [
        (">=", 0.25, share(250, 1000), share(249, 1000)),
        (">=", None, share(500, 1000), share(499, 1000)),
        ("<=", 0.75, share(750, 1000), share(751, 1000)),
        ("<=", None, share(500, 1000), share(501, 1000)),
    ],
)
def test_a_firing_alert_ends_beyond_its_clear_threshold_only(
    operator, clear, still_beyond, cleared
):
    judged = rule(operator=operator, clear=clear)

    assert outcome(judged, still_beyond, firing()) == (FIRING, Reason.NOT_CLEAR)
    assert outcome(judged, cleared, firing()) == (RESOLVED, Reason.CLEARED)


def test_clear_counts_for_nothing_before_an_alert_fires():
    judged = rule(clear=0.25, for_=FOR)

    assert outcome(judged, share(4), None) == (INACTIVE, Reason.WITHIN)
    assert outcome(judged, share(4), pending()) == (INACTIVE, Reason.WITHIN)


@pytest.mark.parametrize(
    ("judged", "before", "at", "expected"),
    [
        (rule(), None, NOON, (FIRING, Reason.BEYOND)),
        (rule(for_=FOR), None, NOON, (PENDING, Reason.BEYOND)),
        (rule(for_=FOR), pending(), NOON + FOR - MINUTE, (PENDING, Reason.WAITING)),
        (rule(for_=FOR), pending(), NOON + FOR, (FIRING, Reason.HELD)),
        (rule(for_=FOR), pending(), NOON + FOR + MINUTE, (FIRING, Reason.HELD)),
    ],
)
def test_a_rule_fires_once_it_was_beyond_for_its_duration(judged, before, at, expected):
    assert outcome(judged, share(5), before, at) == expected


@pytest.mark.parametrize(
    ("documents", "before", "expected"),
    [
        (3, None, (INACTIVE, Reason.TOO_FEW)),
        (4, None, (PENDING, Reason.BEYOND)),
        (3, pending(), (INACTIVE, Reason.TOO_FEW)),
        (4, pending(), (PENDING, Reason.WAITING)),
        (3, firing(), (FIRING, Reason.TOO_FEW)),
        (4, firing(), (FIRING, Reason.NOT_CLEAR)),
    ],
)
def test_a_window_with_fewer_documents_than_asked_for_is_not_judged(documents, before, expected):
    assert outcome(rule(for_=FOR), share(documents, documents), before) == expected


@pytest.mark.parametrize(
    ("thin_since", "expected"),
    [
        (None, (FIRING, Reason.TOO_FEW)),
        (NOON - WINDOW + MINUTE, (FIRING, Reason.TOO_FEW)),
        (NOON - WINDOW, (RESOLVED, Reason.TOO_FEW)),
    ],
)
def test_a_firing_alert_ends_after_a_whole_window_of_too_few(thin_since, expected):
    assert outcome(rule(), share(3, 3), firing(thin_since=thin_since)) == expected


def test_a_firing_alert_remembers_since_when_its_window_is_thin():
    first = decide(rule(), share(1, 1), firing(), NOON + MINUTE).standing
    second = decide(rule(), share(1, 1), first, NOON + 2 * MINUTE).standing
    full_again = decide(rule(), share(9), second, NOON + 3 * MINUTE).standing

    assert first == second == firing(thin_since=NOON + MINUTE)
    assert full_again == firing()


@pytest.mark.parametrize("before", [None, pending(), firing()])
@pytest.mark.parametrize("metric", ["negative_share", "mean_score"])
def test_an_empty_window_has_no_share_even_where_no_documents_are_asked_for(metric, before):
    judged = rule(metric, -0.5 if metric == "mean_score" else 0.0, min_documents=0)

    decision = decide(judged, Sums(), before, NOON)

    assert decision.reason is Reason.TOO_FEW
    assert decision.value is None


def test_silence_can_be_alerted_on():
    silent = rule("documents", 0, operator="<=", min_documents=0, scope="all")

    assert outcome(silent, Sums()) == (FIRING, Reason.BEYOND)
    assert outcome(silent, Sums(documents=1)) == (INACTIVE, Reason.WITHIN)
    assert outcome(silent, Sums(documents=1), firing()) == (RESOLVED, Reason.CLEARED)


@pytest.mark.parametrize(
    ("before", "sums", "at", "expected"),
    [
        (None, share(4), NOON, None),
        (None, share(5), NOON, pending(NOON)),
        (pending(NOON), share(5), NOON + MINUTE, pending(NOON)),
        (pending(NOON), share(5), NOON + FOR, firing(NOON + FOR)),
        (pending(NOON), share(4), NOON + FOR, None),
        (firing(NOON), share(5), NOON + FOR, firing(NOON)),
        (firing(NOON), share(4), NOON + FOR, None),
    ],
)
def test_a_standing_keeps_the_moment_it_began(before, sums, at, expected):
    assert decide(rule(for_=FOR), sums, before, at).standing == expected


def test_a_decision_carries_the_value_it_was_made_of():
    assert decide(rule(), share(7), None, NOON).value == 0.7
    assert decide(rule(), share(1, 2), None, NOON).value == 0.5
