from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from alerts.rules.matchers import MatcherError, check_matchers, matches, parse_matchers
from alerts.rules.policies import Flapping
from alerts.telling.flapping import is_flapping, recorded, steady_at
from alerts.telling.silences import boundaries, silencing, state_at
from store.silences import Silence

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Labels:
    rule: str = "bank-run"
    scope: str = "symbol"
    key: str = "CPLB"
    severity: int = 7


@pytest.mark.parametrize(
    ("matchers", "expected"),
    [
        ({"key": "CPLB"}, True),
        ({"key": "cplb"}, False),
        ({"key": "CPL*"}, True),
        ({"key": "CPL?"}, True),
        ({"key": "CPL"}, False),
        ({"key": "*"}, True),
        ({"rule": "bank-*", "key": "CPLB"}, True),
        ({"rule": "bank-*", "key": "MHBK"}, False),
        ({"scope": "symbol"}, True),
        ({"severity": "7"}, True),
        ({"severity": "8"}, False),
        ({"severity": ">=7"}, True),
        ({"severity": ">=8"}, False),
        ({"severity": "<=7"}, True),
        ({"severity": "<= 6"}, False),
        ({"severity": "high"}, False),
        ({}, False),
    ],
)
def test_every_matcher_must_fit(matchers, expected):
    assert matches(matchers, Labels()) is expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["key=CPLB"], {"key": "CPLB"}),
        (["key = a=b"], {"key": "a=b"}),
        (["severity>=7", "rule=x*"], {"severity": ">=7", "rule": "x*"}),
        (["severity=7"], {"severity": "7"}),
        (["key="], {"key": ""}),
    ],
)
def test_matchers_are_read_as_they_are_written(texts, expected):
    assert parse_matchers(texts) == expected


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "everything would match"),
        (["CPLB"], "is no matcher"),
        (["colour=red"], "cannot be matched"),
        (["key=a", "key=b"], "matched twice"),
        (["key>=a"], "only severity"),
        (["severity=high"], "neither a number"),
    ],
)
def test_a_mistake_in_a_matcher_is_told(texts, message):
    with pytest.raises(MatcherError, match=message):
        parse_matchers(texts)


def test_matchers_of_a_file_are_checked_alike():
    with pytest.raises(MatcherError, match="'topic' cannot be matched"):
        check_matchers({"topic": "x"})


def silence(start, end, number=1, **matchers):
    return Silence(number, matchers or {"key": "*"}, start, end, "ann", "", NOON)


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        (NOON - SECOND, "pending"),
        (NOON, "active"),
        (NOON + MINUTE - SECOND, "active"),
        (NOON + MINUTE, "expired"),
    ],
)
def test_the_state_of_a_silence_follows_from_its_span(moment, state):
    kept = silence(NOON, NOON + MINUTE)

    assert state_at(kept, moment) == state
    assert (silencing([kept], Labels(), moment) is kept) == (state == "active")


def test_a_silence_that_was_ended_before_it_began_is_expired():
    assert state_at(silence(NOON, NOON - MINUTE), NOON - MINUTE) == "expired"
    assert silencing([silence(NOON, NOON - MINUTE)], Labels(), NOON) is None


def test_grid_points_at_which_silences_change_are_those_at_or_after_their_ends():
    kept = [silence(NOON + SECOND, NOON + 2 * MINUTE), silence(NOON, NOON + 5 * MINUTE)]

    found = boundaries(kept, NOON, NOON + 4 * MINUTE)

    assert found == [NOON + MINUTE, NOON + 2 * MINUTE]


@pytest.mark.parametrize(
    ("minutes", "allowed", "expected"),
    [
        ([0, 1, 2], 3, False),
        ([0, 1, 2, 60], 3, True),
        ([0, 1, 2, 61], 3, False),
        ([0, 30, 61, 62, 63], 3, True),
        ([0], 1, False),
        ([0, 60], 1, True),
    ],
)
def test_more_changes_than_allowed_in_a_span_are_flapping(minutes, allowed, expected):
    policy, changes = Flapping(changes=allowed, span=60 * MINUTE), ()
    for minute in minutes:
        changes = recorded(changes, NOON + minute * MINUTE, policy)

    assert is_flapping(changes, policy) is expected
    assert len(changes) <= allowed + 1


@pytest.mark.parametrize(
    ("minutes", "allowed", "expected"),
    [
        ([0, 1, 2, 3], 3, 2 + 60),
        ([0, 1, 2, 3, 4], 4, 2 + 60),
        ([0, 1], 1, 1 + 60),
        ([0], 3, None),
    ],
)
def test_an_alert_is_steady_once_half_of_what_is_allowed_lies_in_the_span(
    minutes, allowed, expected
):
    policy = Flapping(changes=allowed, span=60 * MINUTE)
    changes = tuple(NOON + minute * MINUTE for minute in minutes)

    steady = steady_at(changes, policy)

    assert steady == (None if expected is None else NOON + expected * MINUTE)
