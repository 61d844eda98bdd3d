import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import text
from support.buckets import read_buckets

from store import runs
from store.minutes import read_minutes

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 3, 10, 23, 50, tzinfo=UTC)
COLUMNS = ("documents", "negative", "neutral", "positive", "score_sum")


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        opened = runs.open_run(connection, "live")
    yield opened
    with database.transaction() as connection:
        runs.delete_run(connection, "live")


@pytest.fixture
def fill(database, run):
    """Writes buckets (key, kind, minute after START, five sums)."""

    def fill(rows, scope="topic"):
        with database.transaction() as connection:
            for key, kind, minute, sums in rows:
                connection.execute(
                    text("""
insert into time_buckets (
    run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
values (:run, 'minute', :scope, :key, :start, :kind, :a, :b, :c, :d, :e)"""),
                    {
                        "run": run.id, "scope": scope, "key": key, "kind": kind,
                        "start": START + minute * MINUTE, **dict(zip("abcde", sums, strict=True)),
                    },
                )  # fmt: skip

    return fill


def slow(connection, run, key, start, end, kinds):
    """The same of the bucket-by-bucket reader."""
    found = {}
    for bucket in read_buckets(connection, run.id, "topic", start, end, [key]):
        if bucket.kind in kinds:
            place = (bucket.start - EPOCH) // MINUTE
            sums = [getattr(bucket.sums, name) for name in COLUMNS]
            found[place] = [a + b for a, b in zip(found.get(place, [0] * 5), sums, strict=True)]
    return sorted((place, *sums) for place, sums in found.items())


def table(minutes):
    return np.column_stack([minutes.start, *(getattr(minutes, name) for name in COLUMNS)]).tolist()


@pytest.mark.parametrize("kinds", [("news", "comment"), ("news",), ("comment",)])
def test_columns_hold_what_the_buckets_hold(database, run, fill, kinds):
    chance = random.Random(3)
    rows = {
        (key, kind, chance.randrange(200)): [chance.randrange(90) for _ in range(4)]
        + [chance.randrange(-(10**9), 10**9)]
        for key in ("Macro", 'It\'s "%s" {x} \\ é📉')
        for kind in ("news", "comment")
        for _ in range(80)
    }
    fill([(*place, sums) for place, sums in rows.items()])

    for key in ("Macro", 'It\'s "%s" {x} \\ é📉'):
        start, end = START + 20 * MINUTE, START + 150 * MINUTE
        with database.transaction() as connection:
            found = read_minutes(connection, run.id, "topic", (key,), start, end, kinds)
            expected = slow(connection, run, key, start, end, kinds)
        assert [tuple(row) for row in table(found)] == expected
        assert len(expected) > 20


def test_the_span_holds_its_first_minute_and_not_its_end(database, run, fill):
    fill([("Macro", "news", minute, [1, 0, 1, 0, 5]) for minute in range(5)])

    with database.transaction() as connection:
        found = read_minutes(
            connection, run.id, "topic", ("Macro",), START + MINUTE, START + 3 * MINUTE
        )

    first = (START - EPOCH) // MINUTE
    assert found.start.tolist() == [first + 1, first + 2]


@pytest.mark.parametrize("key", ["Macro", "unknown"])
def test_nothing_is_no_minute(database, run, fill, key):
    fill([("Macro", "news", 0, [1, 0, 1, 0, 5])])

    with database.transaction() as connection:
        found = read_minutes(
            connection, run.id, "topic", (key,), START, START + MINUTE, ("comment",)
        )

    assert table(found) == []


def test_another_run_scope_and_width_are_not_read(database, run, fill):
    fill([("Macro", "news", 0, [1, 0, 1, 0, 5])], scope="source")
    with database.transaction() as connection:
        connection.execute(
            text("""
insert into time_buckets (run_id, width, scope, key, start, kind)
select run_id, 'hour', 'topic', key, start, kind from time_buckets
union all select run_id + 1, 'minute', 'topic', key, start, kind from time_buckets""")
        )
        found = read_minutes(connection, run.id, "topic", ("Macro",), START, START + MINUTE)
        connection.execute(text("delete from time_buckets where run_id <> :id"), {"id": run.id})

    assert table(found) == []
