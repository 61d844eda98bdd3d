from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from alerts.rules.routing import Maintenance, Route, receivers_of, suppression
from alerts.rules.ruleset import RulesError, parse_rules
from alerts.telling.messages import messages_for
from store.alertlog import EventRow

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)  # a Tuesday
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def event(at=NOON, state="firing", fired_at=None, **fields):
    given = {"rule": "bank-mood", "key": "MHBK", "scope": "symbol", "severity": 5} | fields
    return EventRow(
        at=at, previous="inactive", state=state, reason="x", fired_at=fired_at or at, value=None,
        documents=4, window_start=at - HOUR, window_end=at, **given,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({}, True),
        ({"rule": "bank-*"}, True),
        ({"rule": "bank"}, False),
        ({"rule": "BANK-*"}, False),
        ({"key": "MH?K"}, True),
        ({"key": "MH?"}, False),
        ({"scope": "symbol"}, True),
        ({"scope": "topic"}, False),
        ({"min_severity": 5}, True),
        ({"min_severity": 6}, False),
        ({"max_severity": 5}, True),
        ({"max_severity": 4}, False),
        ({"rule": "bank-*", "key": "CPLB"}, False),
    ],
)
def test_an_event_matches_when_every_field_does(fields, matches):
    assert Route(receivers=("pager",), **fields).matches(event()) is matches


ROUTES = (
    Route(receivers=("a",), min_severity=8, go_on=True),
    Route(receivers=("b",), min_severity=5),
    Route(receivers=("c", "own")),
)


@pytest.mark.parametrize(
    ("severity", "told"),
    [(9, ["own", "a", "b"]), (8, ["own", "a", "b"]), (7, ["own", "b"]), (4, ["own", "c"])],
)
def test_the_first_route_that_matches_is_the_last_unless_it_goes_on(severity, told):
    assert receivers_of(event(severity=severity), ("own",), ROUTES) == told


ONCE = Maintenance(name="move", start=NOON, end=NOON + HOUR)
NIGHT = Maintenance(name="night", starts_at="22:00", ends_at="02:00", days=("mon", "tue"))
DAY = Maintenance(name="day", starts_at="09:00", ends_at="17:00")


@pytest.mark.parametrize(
    ("window", "at", "inside"),
    [
        (ONCE, NOON - SECOND, False),
        (ONCE, NOON, True),
        (ONCE, NOON + HOUR - SECOND, True),
        (ONCE, NOON + HOUR, False),
        (NIGHT, datetime(2026, 3, 10, 21, 59, 59, tzinfo=UTC), False),
        (NIGHT, datetime(2026, 3, 10, 22, tzinfo=UTC), True),
        (NIGHT, datetime(2026, 3, 11, 1, 59, 59, tzinfo=UTC), True),
        (NIGHT, datetime(2026, 3, 11, 2, tzinfo=UTC), False),
        (NIGHT, datetime(2026, 3, 11, 22, tzinfo=UTC), False),
        (NIGHT, datetime(2026, 3, 9, 1, tzinfo=UTC), False),
        (NIGHT, datetime(2026, 3, 11, 0, tzinfo=timezone(HOUR)), True),
        (DAY, datetime(2026, 3, 14, 9, tzinfo=UTC), True),
        (DAY, datetime(2026, 3, 14, 17, tzinfo=UTC), False),
    ],
)
def test_a_maintenance_begins_at_its_start_and_ends_before_its_end(window, at, inside):
    told = suppression(event(at), "desk", (window,))

    assert told == (f"maintenance:{window.name}" if inside else None)


@pytest.mark.parametrize(
    ("fired_at", "state", "told"),
    [
        (NOON - SECOND, "resolved", True),
        (NOON, "resolved", False),
        (NOON - SECOND, "firing", False),
    ],
)
def test_what_ends_an_alert_from_before_the_window_is_told(fired_at, state, told):
    happened = event(NOON + MINUTE, state, fired_at)

    assert (suppression(happened, "desk", (ONCE,)) is None) is told


@pytest.mark.parametrize(
    ("fields", "receiver", "suppressed"),
    [
        ({}, "desk", True),
        ({"receivers": ("desk",)}, "desk", True),
        ({"receivers": ("desk",)}, "pager", False),
        ({"max_severity": 4}, "desk", False),
        ({"key": "CPLB"}, "desk", False),
    ],
)
def test_a_maintenance_concerns_what_it_matches(fields, receiver, suppressed):
    window = msgspec.structs.replace(ONCE, **fields)

    assert (suppression(event(), receiver, (window,)) is not None) is suppressed


FILE = """
[[receivers]]
name = "console"
type = "console"

[[receivers]]
name = "pager"
type = "webhook"
url = "http://localhost/"

[[rules]]
name = "r"
metric = "documents"
threshold = 1
receivers = []
"""


def parse(text):
    return parse_rules((FILE + text).encode(), "rules.toml", {})


def test_routes_and_maintenance_are_read_from_the_file():
    rules = parse("""
[[routes]]
min_severity = 8
key = "M*"
receivers = ["pager"]
continue = true

[[routes]]
receivers = ["console"]

[[maintenance]]
name = "move"
start = 2026-03-10T12:00:00Z
end = 2026-03-10T13:00:00+00:00

[[maintenance]]
name = "nights"
from = "22:00"
to = "06:00"
days = ["sat", "sun"]
receivers = ["pager"]
""")

    assert [route.go_on for route in rules.routes] == [True, False]
    happened = event(severity=8, rule="r")
    told = messages_for(1, happened, "live", rules)
    assert [(m.receiver, m.suppressed) for m in told] == [
        ("pager", "maintenance:move"),
        ("console", "maintenance:move"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[routes]]\nreceivers = ["x"]', "route 1: there is no receiver called 'x'"),
        ("[[routes]]\nreceivers = []", "route 1: `receivers` is empty"),
        ("[[routes]]\nmin_severity = 8", "missing required field `receivers`"),
        ('[[routes]]\nreceivers = ["pager"]\nseverity = 8', "unknown field `severity`"),
        ('[[routes]]\nreceivers = ["pager"]\nmin_severity = 0', "`int` >= 1"),
        (
            '[[routes]]\nreceivers = ["pager"]\nmin_severity = 8\nmax_severity = 7',
            "`min_severity` is above `max_severity`",
        ),
        ('[[maintenance]]\nname = "m"', "maintenance 'm': give `start` and `end`, or"),
        ('[[maintenance]]\nname = "m"\nfrom = "22:00"', "give `start` and `end`, or"),
        (
            '[[maintenance]]\nname = "m"\nstart = 2026-03-10T12:00:00Z\nend = 2026-03-10T12:00:00Z',
            "`end` must be after `start`",
        ),
        (
            '[[maintenance]]\nname = "m"\nstart = 2026-03-10T12:00:00\nend = 2026-03-10T13:00:00Z',
            "need an offset",
        ),
        ('[[maintenance]]\nname = "m"\nfrom = "25:00"\nto = "26:00"', "times of day"),
        ('[[maintenance]]\nname = "m"\nfrom = "1:00"\nto = "2:00"\ndays = ["monday"]', "monday"),
        (
            '[[maintenance]]\nname = "m"\nfrom = "1:00"\nto = "2:00"\nstart = 2026-03-10T12:00:00Z',
            "give `start` and `end`, or",
        ),
        (
            '[[maintenance]]\nname = "m"\nfrom = "1:00"\nto = "2:00"\n' * 2,
            "two maintenances are called 'm'",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(text, told):
    with pytest.raises(RulesError) as caught:
        parse(text)

    assert told in str(caught.value)
    assert str(caught.value).startswith("rules.toml")
