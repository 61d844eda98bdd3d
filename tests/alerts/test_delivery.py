from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.receivers.delivery import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    LONGEST_RETRY_AFTER,
    DeliveryError,
    Reason,
    pause,
    reason_of,
    retry_after,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@given(st.integers(0, 100_000), st.integers())
def test_a_pause_is_at_least_half_of_the_doubled_one_and_at_most_the_longest(attempts, seed):
    whole = min(FIRST_PAUSE * float(2 ** min(attempts, 16)), LONGEST_PAUSE)

    assert whole / 2 <= pause(attempts, Random(seed)) <= whole


def test_a_pause_follows_from_the_source_of_randomness():
    assert pause(3, Random(5)) == pause(3, Random(5)) != pause(3, Random(6))


@pytest.mark.parametrize(
    ("asked", "expected"), [(None, 2.5), (2 * SECOND, 2.5), (3 * SECOND, 3), (300 * SECOND, 300)]
)
def test_a_pause_is_never_shorter_than_what_was_asked_for(asked, expected):
    class Least(Random):
        def random(self):
            return 1.0

    assert pause(0, Least(), asked) == expected * SECOND


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 400, 3600),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("\u0661\u0662", None),
        ("Tue, 10 Mar 2026 12:01:30 GMT", 90),
        ("Tuesday, 10-Mar-26 12:01:30 GMT", 90),
        ("Tue, 10 Mar 2026 12:01:30 -0000", 90),
        ("Tue, 10 Mar 2026 12:00:00 GMT", None),
        ("Tue, 10 Mar 2026 11:59:59 GMT", None),
        ("Tue, 10 Mar 2036 12:00:00 GMT", 3600),
        ("Tue, 99 Mar 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date_and_capped(header, seconds):
    expected = None if seconds is None else seconds * SECOND

    assert retry_after(header, NOON) == expected
    assert LONGEST_RETRY_AFTER == 3600 * SECOND


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (302, Reason.REDIRECTED),
        (399, Reason.REDIRECTED),
        (400, Reason.REJECTED),
        (401, Reason.REJECTED),
        (404, Reason.REJECTED),
        (408, Reason.NOT_NOW),
        (410, Reason.GONE),
        (413, Reason.REJECTED),
        (425, Reason.NOT_NOW),
        (429, Reason.THROTTLED),
        (499, Reason.REJECTED),
        (500, Reason.SERVER_ERROR),
        (501, Reason.SERVER_ERROR),
        (502, Reason.UNAVAILABLE),
        (503, Reason.UNAVAILABLE),
        (504, Reason.UNAVAILABLE),
        (505, Reason.SERVER_ERROR),
    ],
)
def test_a_status_has_its_reason(status, reason):
    assert reason_of(status) is reason


@pytest.mark.parametrize(
    ("reason", "asked", "concerns"),
    [
        (Reason.TIMEOUT, None, True),
        (Reason.UNREACHABLE, None, True),
        (Reason.THROTTLED, None, True),
        (Reason.UNAVAILABLE, None, False),
        (Reason.UNAVAILABLE, SECOND, True),
        (Reason.SERVER_ERROR, None, False),
        (Reason.REJECTED, None, False),
    ],
)
def test_a_failure_concerns_the_receiver_or_the_message(reason, asked, concerns):
    assert DeliveryError("x", reason, None, asked).concerns_receiver is concerns
