from datetime import UTC, datetime, timedelta

import pytest

from store.sums import BatchSums

HOUR = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECONDS = int(HOUR.timestamp())
DAY = SECONDS - 12 * 3600


def added(*documents):
    sums = BatchSums()
    for scopes, at, kind, sentiment, score in documents:
        sums.add(scopes, at, kind, sentiment, score)
    return sums.rows()


ALL = [("all", "")]


def test_a_document_is_counted_in_its_minute_its_hour_and_its_day():
    rows = added((ALL, HOUR + timedelta(minutes=7, seconds=9), "news", "negative", -500))

    assert rows == [
        ("day", "all", "", DAY, "news", [1, 1, 0, 0, -500]),
        ("hour", "all", "", SECONDS, "news", [1, 1, 0, 0, -500]),
        ("minute", "all", "", SECONDS + 7 * 60, "news", [1, 1, 0, 0, -500]),
    ]


def test_an_hour_is_the_sum_of_its_minutes():
    _, hour, *minutes = added(
        (ALL, HOUR, "news", "negative", -500),
        (ALL, HOUR + timedelta(seconds=1), "news", "neutral", 3),
        (ALL, HOUR + timedelta(minutes=59, seconds=59), "news", "positive", 70),
    )

    assert hour[-1] == [3, 1, 1, 1, -427]
    assert [row[-1] for row in minutes] == [[2, 1, 1, 0, -497], [1, 0, 0, 1, 70]]


def test_a_day_is_the_sum_of_its_hours():
    rows = added(
        (ALL, HOUR - timedelta(hours=12), "news", "negative", -500),
        (ALL, HOUR + timedelta(hours=11, minutes=59, seconds=59), "news", "positive", 70),
        (ALL, HOUR + timedelta(hours=12), "news", "neutral", 3),
        (ALL, HOUR, "comment", "neutral", 1),
    )

    assert [row[3:] for row in rows if row[0] == "day"] == [
        (DAY, "comment", [1, 0, 1, 0, 1]),
        (DAY, "news", [2, 1, 0, 1, -430]),
        (DAY + 24 * 3600, "news", [1, 0, 1, 0, 3]),
    ]
    assert [row[0] for row in rows] == ["day"] * 3 + ["hour"] * 4 + ["minute"] * 4


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime.fromisoformat("2026-03-10T00:14:59.999999+05:45"),
    ],
)
def test_minutes_hours_and_days_begin_at_or_before_the_moment(moment):
    day, hour, minute = added((ALL, moment, "news", "neutral", 0))

    for row, length in ((day, 86_400), (hour, 3600), (minute, 60)):
        assert row[3] % length == 0
        start = datetime.fromtimestamp(row[3], UTC)
        assert start <= moment < start + timedelta(seconds=length)


def test_a_sentiment_of_another_name_counts_as_a_document_only():
    assert added((ALL, HOUR, "news", "mixed", 5))[2][-1] == [1, 0, 0, 0, 5]


def test_rows_are_in_the_order_in_which_buckets_are_locked():
    scopes = [("symbol", "é"), ("all", ""), ("symbol", "Z"), ("symbol", "a"), ("topic", "Macro")]
    rows = added(
        *(
            (scopes, HOUR + timedelta(minutes=m), kind, "neutral", 0)
            for m in (61, 3, 0)
            for kind in ("news", "comment")
        )
    )

    assert [row[:5] for row in rows] == sorted(row[:5] for row in rows)
    assert len(rows) == 5 * 2 * (1 + 2 + 3)
