from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import alerts.evaluation.evaluating
from alerts.conditions.coverage import coverage
from alerts.conditions.decisions import find
from alerts.conditions.lifecycle import Reason, Standing, State, advance
from alerts.conditions.windows import Series
from alerts.evaluation.evaluating import evaluate, removed
from alerts.rules.ruleset import Metric, NoData, ThresholdRule
from store.buckets import Sums

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

MOOD = {"-": Sums(1, negative=1), "=": Sums(1, neutral=1), "#": Sums(5, negative=5)}


def at(minute):
    return NOON + minute * MINUTE


def drawn(timeline):
    """`-` a minute with one negative document, `=` one neutral, `#` five negative, `.` none."""
    return Series([(at(i), MOOD[c]) for i, c in enumerate(timeline) if c != "."])


def rule(window=3, every=1, for_=0, keep=0, silence=None, no_data=None, **fields):
    fields = {
        "metric": Metric.NEGATIVE_SHARE,
        "threshold": 0.6,
        "clear": 0.4,
        "min_documents": 2,
        "scope": "topic",
    } | fields
    return ThresholdRule(
        name="r",
        window=window * MINUTE,
        every=every * MINUTE,
        for_duration=for_ * MINUTE,
        keep_firing_for=keep * MINUTE,
        no_data=no_data and NoData(no_data),
        no_data_after=silence and silence * MINUTE,
        **fields,
    )


def story(rule, timeline, after=0, until=None, before=None):
    """The events as (minute, state, reason), and the standings after them."""
    until = len(timeline) if until is None else until
    outcome = evaluate(rule, {"k": drawn(timeline)}, before or {}, at(after), at(until))
    told = [((e.at - NOON) // MINUTE, e.state, e.reason) for e in outcome.events]
    return told, outcome.standings


@pytest.mark.parametrize(
    ("judged", "timeline", "expected"),
    [
        (rule(), "......", []),
        (rule(), "=====", []),
        (rule(), "-....", []),
        (rule(), "--=..", [(2, "firing", "beyond_threshold")]),
        (
            rule(),
            "---===",
            [(2, "firing", "beyond_threshold"), (5, "resolved", "cleared")],
        ),
        (
            rule(for_=2),
            "-----",
            [(2, "pending", "beyond_threshold"), (4, "firing", "held_for_duration")],
        ),
        (
            rule(for_=2),
            "--===",
            [(2, "pending", "beyond_threshold"), (4, "inactive", "within_threshold")],
        ),
        (
            rule(for_=3),
            "--....",
            [(2, "pending", "beyond_threshold"), (4, "inactive", "too_few_documents")],
        ),
        (
            rule(),
            "--..........",
            [(2, "firing", "beyond_threshold"), (7, "resolved", "too_few_documents")],
        ),
        (rule(window=2, every=3), "#==#==#==", []),
        (rule(window=2, every=3), "=#=", [(3, "firing", "beyond_threshold")]),
        (
            rule(metric=Metric.DOCUMENTS, threshold=0, clear=None, operator="<=", min_documents=0,
                 keys=("k",), window=2),
            "=...=",
            [(3, "firing", "beyond_threshold"), (5, "resolved", "cleared")],
        ),
    ],
)  # fmt: skip
def test_a_drawn_timeline_gives_its_events(judged, timeline, expected):
    assert story(judged, timeline)[0] == expected


@pytest.mark.parametrize(("until", "events"), [(1, 0), (2, 1)])
def test_the_span_ends_with_its_last_grid_point(until, events):
    assert len(story(rule(), "--", until=until)[0]) == events


@pytest.mark.parametrize(("after", "events"), [(1, 1), (2, 0)])
def test_the_span_begins_after_its_first_grid_point(after, events):
    assert len(story(rule(window=2), "--", after=after, until=2)[0]) == events


def test_an_event_tells_of_the_window_that_was_judged():
    outcome = evaluate(rule(severity=7), {"k": drawn("--=---===")}, {}, at(0), at(9))
    fired, resolved = outcome.events

    assert (fired.rule, fired.key, fired.scope, fired.severity) == ("r", "k", "topic", 7)
    assert (fired.at, fired.previous, fired.fired_at) == (at(2), "inactive", at(2))
    assert (fired.value, fired.documents) == (1.0, 2)
    assert (fired.window_start, fired.window_end) == (at(-1), at(2))
    assert (resolved.at, resolved.previous, resolved.fired_at) == (at(8), "firing", at(2))
    assert (resolved.value, resolved.documents) == (1 / 3, 3)
    assert (resolved.window_start, resolved.window_end) == (at(5), at(8))


def test_only_the_named_keys_are_judged():
    series = {"A": drawn("--"), "B": drawn("--")}

    every_key = evaluate(rule(), series, {}, at(0), at(2))
    one_key = evaluate(rule(keys=("B", "C")), series, {}, at(0), at(2))

    assert [event.key for event in every_key.events] == ["A", "B"]
    assert [event.key for event in one_key.events] == ["B"]


def test_silence_of_everything_is_judged_though_there_is_no_document():
    silent = rule(
        scope="all",
        metric=Metric.DOCUMENTS,
        threshold=0,
        clear=None,
        operator="<=",
        min_documents=0,
    )

    outcome = evaluate(silent, {}, {}, at(0), at(9))

    assert [(e.key, e.at, e.state) for e in outcome.events] == [("", at(1), "firing")]


def test_the_events_of_many_keys_come_in_order_of_time():
    series = {"A": drawn("...--"), "B": drawn("--"), "C": drawn("...--")}

    outcome = evaluate(rule(), series, {}, at(0), at(5))
    fired = [(e.at, e.key) for e in outcome.events if e.state == "firing"]

    assert fired == [(at(2), "B"), (at(5), "A"), (at(5), "C")]


def test_a_key_that_fires_is_judged_though_its_documents_have_ended():
    before = {("r", "gone"): Standing(State.FIRING, at(0), at(0))}

    outcome = evaluate(rule(), {}, before, at(0), at(9))

    assert [(e.key, e.at, e.reason) for e in outcome.events] == [("gone", at(4), Reason.TOO_FEW)]
    assert outcome.standings == {}


def test_the_standings_of_other_rules_are_left_alone():
    before = {("other", "k"): Standing(State.FIRING, at(0), at(0))}

    outcome = evaluate(rule(), {}, before, at(0), at(9))

    assert (outcome.events, outcome.standings) == ([], {})


@pytest.mark.parametrize(
    ("standing", "state"),
    [
        (Standing(State.FIRING, at(1), at(1)), "resolved"),
        (Standing(State.PENDING, at(1)), "inactive"),
    ],
)
def test_a_rule_that_is_removed_ends_what_stood(standing, state):
    event = removed(standing, "old", "k", at(5))

    assert (event.rule, event.key, event.at, event.state) == ("old", "k", at(5), state)
    assert (event.previous, event.fired_at) == (standing.state, standing.fired_at)
    assert event.reason == "rule_removed"


def at_every_grid_point(rule, series, standing, after, until):
    """What happens when no grid point is skipped: (moment, state, reason) of each change."""
    told, now = [], after
    while (now := now + MINUTE) <= until:
        if (now - NOON) % rule.every:
            continue
        window, known = series.window(now - rule.window, now), coverage(rule, series, standing, now)
        decision = advance(rule, find(rule, window, known), standing, now)
        if decision.state is not (standing.state if standing else State.INACTIVE):
            told.append((now, decision.state, decision.reason))
        standing = decision.standing
    return told, standing


@pytest.mark.parametrize(
    ("judged", "timeline", "expected"),
    [
        (rule(keep=2), "---======", [
            (2, "firing", "beyond_threshold"), (5, "recovering", "kept_firing"),
            (7, "resolved", "cleared")]),
        (rule(keep=2, window=1, min_documents=1), "-=-==..", [
            (1, "firing", "beyond_threshold"), (2, "recovering", "kept_firing"),
            (3, "firing", "not_clear_yet"), (4, "recovering", "kept_firing"),
            (7, "resolved", "too_few_documents")]),
        (rule(no_data="alert", silence=4), "=.......", []),
        (rule(no_data="alert", silence=4, keys=("k",)), "=.....", [
            (5, "no_data", "no_documents")]),
        (rule(no_data="alert", silence=4, keys=("k",)), "=....", [
            (5, "no_data", "no_documents")]),
        (rule(no_data="alert", silence=4, keys=("k",)), "=...=", []),
        (rule(no_data="alert", silence=4), "===....==", [
            (7, "no_data", "no_documents"), (8, "resolved", "documents_are_back")]),
        (rule(no_data="alert", silence=4, min_documents=4), "===.....", []),
        (rule(no_data="alert", silence=4), "===.....#", [
            (7, "no_data", "no_documents"), (9, "firing", "beyond_threshold")]),
        (rule(no_data="alert", silence=4, for_=1), "===.....##", [
            (7, "no_data", "no_documents"), (9, "pending", "beyond_threshold"),
            (10, "firing", "held_for_duration")]),
        (rule(no_data="alert", silence=4), "---.....#", [
            (2, "firing", "beyond_threshold"), (7, "no_data", "no_documents"),
            (9, "firing", "not_clear_yet")]),
        (rule(no_data="alert", silence=4), "---.....==", [
            (2, "firing", "beyond_threshold"), (7, "no_data", "no_documents"),
            (9, "firing", "too_few_documents"), (10, "resolved", "cleared")]),
        (rule(no_data="keep"), "---" + 30 * ".", [(2, "firing", "beyond_threshold")]),
        (rule(no_data="ok"), "---.......", [
            (2, "firing", "beyond_threshold"), (8, "resolved", "too_few_documents")]),
        (rule(keys=("k",)), "===" + 12 * ".", [(15, "no_data", "no_documents")]),
        (rule(keys=("k",)), "===" + 11 * ".", []),
        (rule(keys=("k",), min_documents=0), "===" + 30 * ".", []),
    ],
)  # fmt: skip
def test_recovery_and_silence_are_states(judged, timeline, expected):
    assert story(judged, timeline)[0] == expected


def test_a_key_that_cannot_be_judged_is_in_error_and_harms_no_other(monkeypatch):
    judged = rule(for_=1)

    def brittle(rule, finding, standing, now):
        if now == at(2) and finding.value < 0.9:
            raise ZeroDivisionError("no such share")
        return advance(rule, finding, standing, now)

    monkeypatch.setattr(alerts.evaluation.evaluating, "advance", brittle)
    outcome = evaluate(judged, {"bad": drawn("=#====="), "k": drawn("---")}, {}, at(0), at(7))

    told = {key: [(e.at, e.state) for e in outcome.events if e.key == key] for key in ("bad", "k")}
    assert told == {
        "bad": [(at(2), "error"), (at(3), "pending"), (at(4), "firing"), (at(5), "resolved")],
        "k": [(at(2), "pending"), (at(3), "firing")],
    }
    assert outcome.events[0].detail == "ZeroDivisionError: no such share"


@pytest.mark.parametrize(
    ("before", "timeline", "expected"),
    [
        (Standing(State.ERROR, at(0), at(-9)), "--", [(1, "firing", "too_few_documents")]),
        (Standing(State.ERROR, at(0), at(-9)), "##", [(1, "firing", "not_clear_yet")]),
        (Standing(State.ERROR, at(0), at(-9)), "==", [
            (1, "firing", "too_few_documents"), (2, "resolved", "cleared")]),
        (Standing(State.ERROR, at(0)), "--", [
            (1, "resolved", "judged_again"), (2, "firing", "beyond_threshold")]),
    ],
)  # fmt: skip
def test_what_fired_before_an_error_goes_on_after_it(before, timeline, expected):
    found = story(rule(window=2), timeline, before={("r", "k"): before})[0]

    assert found == expected


timelines = st.lists(
    st.tuples(st.sampled_from(["-", "=", "#"]), st.integers(0, 25)), max_size=10
).map(lambda parts: "".join(mood + gap * "." for mood, gap in parts))

rules = st.builds(
    rule,
    window=st.integers(1, 8),
    every=st.sampled_from([1, 2, 3, 5, 10]),
    for_=st.sampled_from([0, 1, 4]),
    threshold=st.sampled_from([0.5, 0.8]),
    clear=st.sampled_from([None, 0.3]),
    min_documents=st.integers(0, 3),
    keys=st.just(("k",)),
    keep=st.sampled_from([0, 1, 6]),
    no_data=st.sampled_from([None, *NoData]),
    silence=st.sampled_from([None, 1, 7, 20]),
)


@given(rules, timelines, st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_skipping_empty_grid_points_changes_no_event(judged, timeline, after):
    series, until = drawn(timeline), at(len(timeline) + 30)

    told, standing = at_every_grid_point(judged, series, None, at(after), until)
    outcome = evaluate(judged, {"k": series}, {}, at(after), until)

    assert [(e.at, e.state, e.reason) for e in outcome.events] == told
    assert outcome.standings.get(("r", "k")) == standing


@given(rules, timelines, st.lists(st.integers(0, 120), max_size=12))
@settings(max_examples=200, deadline=None)
def test_a_span_in_pieces_gives_the_events_of_the_span_in_one_go(judged, timeline, cuts):
    series, end = {"k": drawn(timeline)}, len(timeline) + 30
    points = sorted({0, end, *(cut for cut in cuts if cut < end)})

    events, standings = [], {}
    for after, until in pairwise(points):
        outcome = evaluate(judged, series, standings, at(after), at(until))
        events += outcome.events
        standings = outcome.standings
    whole = evaluate(judged, series, {}, at(0), at(end))

    assert events == whole.events
    assert standings == whole.standings
