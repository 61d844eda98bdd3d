"""Text of others, made fit to be seen; times and durations as they are written."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.plain import interval, lasting, moment, paragraphs, plain

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x07c\x1b[31m", "abc[31m"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("\u2066left\u2069 \u200eand\u200f \u061cright", "left and right"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("two\r\nlines\u2028and\tmore", "two lines and more"),
        ("$5 and $6 **bold** <b>", "$5 and $6 **bold** <b>"),
        ("مرحبا 中文 👩\u200d💻", "مرحبا 中文 👩\u200d💻"),
        ("\x1b\u202e", ""),
    ],
)
def test_only_what_can_be_seen_is_left(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("limit", "shown"), [(11, "hello world"), (10, "hello wor…"), (7, "hello…")]
)
def test_a_long_text_is_cut_with_a_mark(limit, shown):
    assert plain("hello world", limit) == shown


def test_a_whole_text_keeps_its_lines():
    assert paragraphs("one\r\n\n two\x07 \n\u202e\nthree") == "one\ntwo\nthree"


@pytest.mark.parametrize(
    ("start", "length", "shown"),
    [
        (NOON, HOUR, "9 Mar 12:00\u201313:00"),
        (NOON, 12 * HOUR, "9 Mar 12:00 \u2013 10 Mar 00:00"),
        (NOON - 12 * HOUR, 24 * HOUR, "9 Mar"),
        (NOON - 12 * HOUR, 72 * HOUR, "9 Mar \u2013 11 Mar"),
    ],
)
def test_an_interval_says_no_more_than_it_must(start, length, shown):
    assert interval(start, start + length) == shown


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [(0, "under a minute"), (5, "5 min"), (60, "1 h"), (130, "2 h 10 min"), (1501, "1 d 1 h")],
)
def test_a_duration_is_told_in_two_units(minutes, shown):
    assert lasting(timedelta(minutes=minutes)) == shown


def test_a_moment_is_told_to_the_minute():
    assert moment(NOON) == "9 Mar 12:00"
