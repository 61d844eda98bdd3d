"""Who is told what: drawn timelines of an alert, and invariants over many of them."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.conditions.lifecycle import State
from alerts.receivers.receiver import Receiver
from alerts.rules.policies import Flapping, Grouping, Inhibition
from alerts.rules.routing import Route
from alerts.rules.ruleset import Metric, RuleSet, ThresholdRule
from alerts.telling.book import ACTIVE, Book, Happened, Orders
from alerts.telling.walking import tell
from store.alertlog import EventRow
from store.silences import Silence

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LETTERS = {
    "F": State.FIRING,
    "r": State.RECOVERING,
    "N": State.NO_DATA,
    "E": State.ERROR,
    "p": State.PENDING,
    ".": State.INACTIVE,
}


def at(minute):
    return NOON + minute * MINUTE


def rule(name="r", **fields):
    return ThresholdRule(
        name=name, metric=Metric.NEGATIVE_SHARE, threshold=0.5, scope="symbol", **fields
    )


def ruleset(
    *rules,
    wait=0,
    interval=0,
    repeat=240,
    by=("rule",),
    changes=100,
    span=60,
    inhibit=(),
    routes=(),
):
    return RuleSet(
        rules=rules or (rule(),),
        receivers=tuple(
            Receiver(name=name, type="console") for name in ("console", "desk", "pager")
        ),
        routes=routes,
        grouping=Grouping(
            by=by, wait=wait * MINUTE, interval=interval * MINUTE, repeat=repeat * MINUTE
        ),
        flapping=Flapping(changes=changes, span=span * MINUTE),
        inhibit=inhibit,
    )


def happened(**timelines):
    """Events of alerts drawn a minute a letter, by name: `k` of the rule `r`, `s_k` of `s`.

    A digit is a firing that is found so grave; `F` is 5.
    """
    events = []
    for name, timeline in timelines.items():
        rule_name, _, key = name.rpartition("_")
        before, fired_at, known = State.INACTIVE, None, 5
        for minute, letter in enumerate(timeline):
            state = State.FIRING if letter.isdigit() else LETTERS[letter]
            if before not in ACTIVE:
                known = 5
            severity = max(known, int(letter)) if letter.isdigit() else known
            ends = state is State.INACTIVE and before in ACTIVE
            shown = State.RESOLVED if ends else state
            if state is State.FIRING and fired_at is None:
                fired_at = at(minute)
            if state is not before or severity != known:
                events.append(
                    event(rule_name or "r", key, minute, before, shown, fired_at, severity)
                )
            before, fired_at = state, fired_at if state in ACTIVE else None
            known = severity
    events.sort(key=lambda e: (e.at, e.rule, e.key))
    return [Happened(number, event) for number, event in enumerate(events, 1)]


def event(rule_name, key, minute, previous, state, fired_at, severity=5):
    return EventRow(
        rule=rule_name, key=key, scope="symbol", at=at(minute), previous=previous, state=state,
        reason="x", severity=severity, fired_at=fired_at, value=None, documents=9,
        window_start=at(minute - 1), window_end=at(minute),
    )  # fmt: skip


def silence(start, end, number=1, **matchers):
    return Silence(number, matchers or {"key": "k"}, at(start), at(end), "ann", "why", NOON)


def acknowledged(minute, key="k"):
    return frozenset({("r", key, at(minute))})


def minutes(moment):
    return (moment - NOON) // MINUTE


def story(notices, *, told=True):
    """Notices as (minute, reason, {key: state}), those that were told or those held back."""
    return [
        (minutes(n.at), str(n.reason), {t.key: t.state and str(t.state) for t in n.alerts})
        for n in notices
        if n.told is told
    ]


def walk(rules, events, until, orders=None):
    return tell(rules, Book(), events, orders or Orders(), at(-1), at(until))


F, N, E = "firing", "no_data", "error"


@pytest.mark.parametrize(
    ("fields", "timelines", "expected"),
    [
        ({}, {"k": ".FF.."}, [(1, "first_firing", {"k": F}), (3, "resolved", {"k": None})]),
        ({}, {"k": "ppp.."}, []),
        ({}, {"k": "FrrFr."}, [(0, "first_firing", {"k": F}), (5, "resolved", {"k": None})]),
        ({}, {"k": "F.F"}, [
            (0, "first_firing", {"k": F}), (1, "resolved", {"k": None}),
            (2, "first_firing", {"k": F})]),
        ({}, {"k": "NNFE."}, [
            (0, "first_firing", {"k": N}), (2, "group_changed", {"k": F}),
            (3, "group_changed", {"k": E}), (4, "resolved", {"k": None})]),
        ({}, {"k": "Np"}, [(0, "first_firing", {"k": N}), (1, "resolved", {"k": None})]),
        ({"wait": 2}, {"k": "FFFF"}, [(2, "first_firing", {"k": F})]),
        ({"wait": 2}, {"k": "FF.."}, []),
        ({"wait": 2}, {"k": "FFF"}, [(2, "first_firing", {"k": F})]),
        ({"wait": 2}, {"a": "FFFF", "b": ".FFF"}, [(2, "first_firing", {"a": F, "b": F})]),
        ({"interval": 3}, {"k": "F....."}, [
            (0, "first_firing", {"k": F}), (3, "resolved", {"k": None})]),
        ({"interval": 3}, {"a": "FFFFFF", "b": ".F.FFF"}, [
            (0, "first_firing", {"a": F}), (3, "group_changed", {"b": F})]),
        ({"interval": 5}, {"k": "F.FFFF"}, [
            (0, "first_firing", {"k": F}), (5, "group_changed", {"k": F})]),
        ({"interval": 3}, {"a": "FFFF..", "b": "F....."}, [
            (0, "first_firing", {"a": F, "b": F}), (3, "resolved", {"b": None})]),
        ({"repeat": 4}, {"k": "FFFFFFFFF"}, [
            (0, "first_firing", {"k": F}), (4, "repeat", {"k": F}), (8, "repeat", {"k": F})]),
        ({"repeat": 4}, {"a": "FFFFFF", "b": "...FFF"}, [
            (0, "first_firing", {"a": F}), (3, "group_changed", {"b": F}),
            (4, "repeat", {"a": F, "b": F})]),
        ({"by": ("rule", "key")}, {"a": "FFF", "b": "F.."}, [
            (0, "first_firing", {"a": F}), (0, "first_firing", {"b": F}),
            (1, "resolved", {"b": None})]),
        ({}, {"k": "F7F9r8."}, [
            (0, "first_firing", {"k": F}), (1, "graver", {"k": F}), (3, "graver", {"k": F}),
            (6, "resolved", {"k": None})]),
        ({"interval": 3}, {"k": "F789FF"}, [
            (0, "first_firing", {"k": F}), (3, "graver", {"k": F})]),
        ({"wait": 2}, {"k": "F9FF"}, [(2, "first_firing", {"k": F})]),
        ({}, {"a": "FF9F", "b": "..FF"}, [
            (0, "first_firing", {"a": F}), (2, "group_changed", {"a": F, "b": F})]),
        ({"repeat": 4}, {"k": "F9FFFF"}, [
            (0, "first_firing", {"k": F}), (1, "graver", {"k": F}), (4, "repeat", {"k": F})]),
        ({}, {"k": "FN9."}, [
            (0, "first_firing", {"k": F}), (1, "group_changed", {"k": N}),
            (2, "group_changed", {"k": F}), (3, "resolved", {"k": None})]),
        ({"changes": 3}, {"k": "F.F.F...."}, [
            (0, "first_firing", {"k": F}), (1, "resolved", {"k": None}),
            (2, "first_firing", {"k": F}), (3, "flapping", {"k": None})]),
        ({"changes": 3, "span": 3}, {"k": "F.F.FFFFF"}, [
            (0, "first_firing", {"k": F}), (1, "resolved", {"k": None}),
            (2, "first_firing", {"k": F}), (3, "flapping", {"k": None}),
            (6, "first_firing", {"k": F})]),
        ({"changes": 3, "span": 2}, {"k": "F.F."}, [
            (0, "first_firing", {"k": F}), (1, "resolved", {"k": None}),
            (2, "first_firing", {"k": F}), (3, "resolved", {"k": None})]),
    ],
)  # fmt: skip
def test_a_drawn_timeline_is_told(fields, timelines, expected):
    events = happened(**timelines)

    found = walk(ruleset(**fields), events, max(map(len, timelines.values())) - 1)

    assert story(found) == expected


@pytest.mark.parametrize(
    ("orders", "timeline", "told", "held"),
    [
        (Orders([silence(0, 3)]), "FFFFF", [(3, "first_firing", {"k": F})],
         [(0, "silenced", {"k": F})]),
        (Orders([silence(0, 9)]), "FFF..", [], [(0, "silenced", {"k": F}),
                                               (3, "never_told", {"k": F})]),
        (Orders([silence(1, 4)]), "FF....", [
            (0, "first_firing", {"k": F}), (4, "resolved", {"k": None})],
         [(1, "silenced", {"k": F})]),
        (Orders([silence(2, 4)]), "FF....", [
            (0, "first_firing", {"k": F}), (4, "resolved", {"k": None})],
         [(2, "silenced", {"k": None})]),
        (Orders([silence(3, 4)]), "FF....", [
            (0, "first_firing", {"k": F}), (2, "resolved", {"k": None})], []),
        (Orders([silence(1, 9, key="x*")]), "FF..", [
            (0, "first_firing", {"k": F}), (2, "resolved", {"k": None})], []),
        (Orders([silence(0, 9, rule="r", severity=">=6")]), "F", [
            (0, "first_firing", {"k": F})], []),
        (Orders((), acknowledged(0)), "FFFFF", [], [(0, "acknowledged", {"k": F})]),
        (Orders((), acknowledged(0)), "FF.F", [(3, "first_firing", {"k": F})],
         [(0, "acknowledged", {"k": F}), (2, "never_told", {"k": F})]),
        (Orders((), acknowledged(1)), "FF", [(0, "first_firing", {"k": F})], []),
    ],
)  # fmt: skip
def test_silences_and_acknowledgements_hold_back(orders, timeline, told, held):
    notices = walk(ruleset(), happened(k=timeline), len(timeline) - 1, orders)

    assert (story(notices), story(notices, told=False)) == (told, held)


def test_an_acknowledged_alert_is_not_repeated_until_it_ends_and_then_armed_anew():
    rules, book = ruleset(repeat=2), Book()
    events = happened(k="FFFFFFFF.F")
    first = tell(rules, book, [e for e in events if e.event.at <= at(3)], Orders(), at(-1), at(3))
    orders = Orders((), acknowledged(0))
    rest = tell(rules, book, [e for e in events if e.event.at > at(3)], orders, at(3), at(12))

    assert story(first) == [(0, "first_firing", {"k": F}), (2, "repeat", {"k": F})]
    assert story(rest) == [
        (8, "resolved", {"k": None}), (9, "first_firing", {"k": F}), (11, "repeat", {"k": F})
    ]  # fmt: skip
    assert story(rest, told=False) == [
        (3, "acknowledged", {"k": F}), (4, "acknowledged", {"k": F}), (6, "acknowledged", {"k": F}),
    ]  # fmt: skip


def test_an_acknowledgement_that_is_taken_back_lets_it_be_repeated():
    rules, book = ruleset(repeat=2), Book()
    events = happened(k="FFFFFF")
    tell(rules, book, events, Orders((), acknowledged(0)), at(-1), at(1))

    assert story(tell(rules, book, [], Orders(), at(1), at(3))) == [
        (1, "first_firing", {"k": F}), (3, "repeat", {"k": F})
    ]  # fmt: skip


MUTES = Inhibition(source={"rule": "s"}, target={"rule": "r"})


@pytest.mark.parametrize(
    ("inhibit", "timelines", "told"),
    [
        (MUTES, {"s_all": "FF..", "k": "FFFF"}, [
            (0, "first_firing", {"all": F}), (2, "first_firing", {"k": F}),
            (2, "resolved", {"all": None})]),
        (MUTES, {"s_all": "NN..", "k": "FF.."}, [
            (0, "first_firing", {"k": F}), (0, "first_firing", {"all": N}),
            (2, "resolved", {"k": None}), (2, "resolved", {"all": None})]),
        (MUTES, {"s_all": ".FF.", "k": "FFFF"}, [
            (0, "first_firing", {"k": F}), (1, "first_firing", {"all": F}),
            (3, "resolved", {"all": None})]),
        (Inhibition(source={"rule": "s"}, target={"rule": "r"}, equal=("key",)),
         {"s_a": "F", "a": "F", "b": "F"}, [
            (0, "first_firing", {"b": F}), (0, "first_firing", {"a": F})]),
        (Inhibition(source={"key": "*"}, target={"key": "*"}), {"a": "F", "b": "F"}, [
            (0, "first_firing", {"a": F, "b": F})]),
    ],
)  # fmt: skip
def test_a_firing_source_mutes_its_targets(inhibit, timelines, told):
    rules = ruleset(rule(), rule("s"), inhibit=(inhibit,))

    notices = walk(rules, happened(**timelines), max(map(len, timelines.values())) - 1)

    assert story(notices) == told


def test_nobody_hears_of_a_replay_and_what_lasts_is_told_once_somebody_listens():
    rules, book = ruleset(), Book()
    replayed = tell(
        rules, book, happened(k="FFF", a="F.."), Orders(), at(-1), at(2), notify=False
    )  # fmt: skip
    live = tell(rules, book, [], Orders(), at(2), at(5))

    assert story(replayed) == []
    assert [(n.reason, n.detail) for n in replayed] == [
        ("replay_not_notified", "first_firing"), ("replay_not_notified", "resolved")
    ]  # fmt: skip
    assert story(live) == [(2, "first_firing", {"k": F})]


def test_when_a_rule_is_gone_nobody_is_told():
    rules, book = ruleset(), Book()
    tell(rules, book, happened(k="FF"), Orders(), at(-1), at(1))

    notices = tell(ruleset(rule("other")), book, [], Orders(), at(1), at(2))

    assert story(notices, told=False) == [(1, "rule_removed", {"k": F})]
    assert (book.tellings, story(notices)) == ({}, [])


def received(notices):
    """What each receiver heard, as (minute, reason, state of `k`)."""
    heard = defaultdict(list)
    for notice in notices:
        for receiver in notice.receivers if notice.told else ():
            (telling,) = notice.alerts
            heard[receiver].append((minutes(notice.at), str(notice.reason), telling.state))
    return dict(heard)


GRAVE = Route(receivers=("pager",), min_severity=8)
MILD = Route(receivers=("desk",), max_severity=7)


@pytest.mark.parametrize(
    ("fields", "timeline", "knew", "comes"),
    [
        ({"interval": 9}, "F9FF..", [(0, "first_firing", F)],
         [(1, "graver", F), (10, "resolved", None)]),
        ({}, "FF9F.F.", [(0, "first_firing", F)], [(2, "graver", F), (4, "resolved", None)]),
        ({}, "F..9F.", [(0, "first_firing", F), (1, "resolved", None)],
         [(3, "first_firing", F), (5, "resolved", None)]),
        ({"interval": 9}, "FF9..F", [(0, "first_firing", F)],
         [(2, "graver", F), (5, "group_changed", F)]),
    ],
)  # fmt: skip
def test_what_grows_graver_is_told_to_more_and_to_those_who_knew(fields, timeline, knew, comes):
    heard = received(walk(ruleset(routes=(GRAVE, MILD), **fields), happened(k=timeline), 20))

    assert heard["pager"] == comes
    assert heard["desk"][: len(knew)] == knew
    if comes[0][1] == "graver":
        assert heard["desk"][len(knew) :][: len(comes)] == comes


def test_who_is_no_receiver_any_more_hears_no_more():
    rules, book = ruleset(routes=(MILD, GRAVE)), Book()
    events = happened(k="FF9.")
    first = tell(rules, book, events[:1], Orders(), at(-1), at(1))
    without = replace(rules, receivers=rules.receivers[:1] + rules.receivers[2:], routes=(GRAVE,))
    rest = tell(without, book, events[1:], Orders(), at(1), at(4))

    assert set(received(first)) == {"console", "desk"}
    assert set(received(rest)) == {"console", "pager"}


timelines = st.lists(st.sampled_from("FFFFrNE..p79"), min_size=1, max_size=40).map("".join)
rulesets = st.builds(
    ruleset,
    st.just(rule()),
    st.just(rule("s")),
    wait=st.sampled_from([0, 1, 4]),
    interval=st.sampled_from([0, 2, 5]),
    repeat=st.sampled_from([1, 3, 10]),
    by=st.sampled_from([(), ("rule",), ("rule", "key")]),
    changes=st.sampled_from([1, 3, 8]),
    span=st.sampled_from([2, 10]),
    inhibit=st.sampled_from([(), (MUTES,)]),
    routes=st.sampled_from([(), (GRAVE,), (MILD, GRAVE)]),
)
silences = st.lists(
    st.builds(
        lambda start, length, key: silence(start, start + length, key=key),
        st.integers(-2, 40),
        st.integers(1, 20),
        st.sampled_from(["k", "*", "j"]),
    ),
    max_size=2,
)
worlds = st.fixed_dictionaries({"k": timelines, "j": timelines, "s_all": timelines})


def in_pieces(rules, events, orders, cuts, until):
    """Walk a span in steps; all notices and the book after them."""
    points, book, notices = [-1, *sorted({c for c in cuts if -1 < c < until}), until], Book(), []
    for after, end in pairwise(points):
        part = [e for e in events if at(after) < e.event.at <= at(end)]
        notices += tell(rules, book, part, orders, at(after), at(end))
    return notices, book


@given(rulesets, worlds, silences, st.lists(st.integers(0, 70), max_size=8))
@settings(max_examples=150, deadline=None)
def test_a_restart_at_any_step_loses_and_adds_nothing(rules, world, quiet, cuts):
    events = happened(**world)

    whole, book = in_pieces(rules, events, Orders(quiet), [], 70)
    pieces, same = in_pieces(rules, events, Orders(quiet), cuts, 70)

    assert pieces == whole
    assert {t for t in same.tellings.values() if t.state} == {
        t for t in book.tellings.values() if t.state
    }


@given(rulesets, worlds, silences)
@settings(max_examples=150, deadline=None)
def test_nothing_is_told_ended_that_was_not_told_begun(rules, world, quiet):
    known = defaultdict(lambda: None)
    for notice in in_pieces(rules, happened(**world), Orders(quiet), [], 90)[0]:
        for telling, receiver in product(notice.alerts, notice.receivers if notice.told else ()):
            alert = (receiver, telling.rule, telling.key)
            if notice.reason == "repeat" or (telling.state is None and notice.reason != "flapping"):
                assert known[alert] is not None, notice
            known[alert] = telling.state


@given(rulesets, worlds, silences)
@settings(max_examples=150, deadline=None)
def test_in_the_end_receivers_know_what_is(rules, world, quiet):
    """Long after the last event, every alert is told as it stands unless something holds it."""
    events = happened(**world)
    notices, _ = in_pieces(rules, events, Orders(quiet), [], 120)
    last = {(e.event.rule, e.event.key): ACTIVE.get(e.event.state) for e in events}
    known = {(t.rule, t.key): t.state for n in notices if n.told for t in n.alerts}
    muted = {
        alert for alert in last if MUTES in rules.inhibit and alert[0] == "r"
        and any(name == "s" and state == State.FIRING for (name, _), state in last.items())
    }  # fmt: skip

    assert {a: known.get(a) for a in last if a not in muted} == {
        alert: state for alert, state in last.items() if alert not in muted
    }


@given(rulesets, worlds, st.lists(st.integers(0, 70), max_size=8))
@settings(max_examples=150, deadline=None)
def test_whoever_was_told_that_an_alert_fires_is_told_how_it_ends(rules, world, cuts):
    events, known = happened(**world), {}
    uninhibited = replace(rules, inhibit=())
    for notice in in_pieces(uninhibited, events, Orders(), cuts, 120)[0]:
        for telling, receiver in product(notice.alerts, notice.receivers if notice.told else ()):
            known[receiver, telling.rule, telling.key] = telling.state
    last = {(e.event.rule, e.event.key): ACTIVE.get(e.event.state) for e in events}

    assert {
        (receiver, *alert)
        for (receiver, *alert), state in known.items()
        if state is not None and last[tuple(alert)] is None
    } == set()


@given(rulesets, worlds)
@settings(max_examples=100, deadline=None)
def test_what_is_acknowledged_at_once_is_never_told_while_it_lasts(rules, world):
    events = happened(**world)
    began = frozenset((e.event.rule, e.event.key, e.event.at) for e in events)

    notices, _ = in_pieces(rules, events, Orders((), began), [], 60)

    assert [n for n in notices if n.told and any(t.state is not None for t in n.alerts)] == []


@given(rulesets, worlds, silences)
@settings(max_examples=100, deadline=None)
def test_a_silence_in_force_lets_nothing_through(rules, world, quiet):
    for notice in in_pieces(rules, happened(**world), Orders(quiet), [], 60)[0]:
        for telling in notice.alerts if notice.told else ():
            assert not any(
                s.starts_at <= notice.at < s.ends_at and s.matchers["key"] in {"*", telling.key}
                for s in quiet
            )


def test_what_is_known_of_an_alert_is_forgotten_once_it_is_calm():
    rules, book = ruleset(span=5), Book()
    tell(rules, book, happened(k="F."), Orders(), at(-1), at(1))
    assert set(book.tellings) == {("r", "k")}

    tell(rules, book, [], Orders(), at(1), at(6))
    assert set(book.tellings) == {("r", "k")}
    tell(rules, book, [], Orders(), at(6), at(7))
    tell(rules, book, [], Orders(), at(7), at(8))

    assert (book.tellings, book.groups) == ({}, {})
