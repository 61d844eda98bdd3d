"""The one query for all rules of a scope reads what a query for each of them would."""

import pytest
from support.alerting import at, commit_drawn
from support.buckets import read_buckets

from classifier.labels import Labels
from store import runs
from store.buckets import count_documents, read_scope, read_spans
from store.commits import register_model


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        register_model(connection, "m", Labels(("Macro",)))
        made = runs.open_run(connection, "replay", "f")
    for number, symbol in enumerate("ABC"):
        commit_drawn(database, made, 10 * "-", first=10 * number, symbols=(symbol,))
    yield made
    with database.transaction() as connection:
        runs.delete_run(connection, "replay")


@pytest.mark.parametrize(
    ("every", "named", "keys", "expected"),
    [
        (None, None, [], []),
        (None, 0, [], []),
        (None, 0, ["A", "X"], ["A"] * 10),
        (None, 9, ["A"], ["A"]),
        (None, 10, ["A"], []),
        (25, None, [], ["C"] * 3),
        (25, 8, ["A", "C"], ["A"] * 2 + ["C"] * 8),
        (19, 27, ["A", "C"], ["B"] + ["C"] * 8),
    ],
)
def test_every_key_from_one_moment_and_named_ones_from_another(
    database, run, every, named, keys, expected
):
    moments = [None if minute is None else at(minute) for minute in (every, named)]
    with database.transaction() as connection:
        rows = read_scope(connection, run.id, "symbol", at(28), *moments, keys)

    assert [row[0] for row in rows] == expected


def test_a_row_holds_what_a_bucket_does(database, run):
    with database.transaction() as connection:
        (row,) = read_scope(connection, run.id, "symbol", at(10), at(9), None, [])
        (bucket,) = read_buckets(connection, run.id, "symbol", at(9), at(10))

    key, start, kind, *numbers = row
    sums = bucket.sums
    assert (key, start, kind) == (bucket.key, bucket.start, bucket.kind)
    assert numbers == [
        sums.documents, sums.negative, sums.neutral, sums.positive, sums.score_sum
    ]  # fmt: skip


@pytest.mark.parametrize(("start", "end", "count"), [(0, 30, 30), (5, 6, 1), (6, 6, 0)])
def test_documents_of_a_span_are_counted(database, run, start, end, count):
    with database.transaction() as connection:
        assert count_documents(connection, run.id, at(start), at(end)) == count


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (None, {("A", 8): 2, ("B", 12): 3, ("C", 27): 1}),
        (["A", "C"], {("A", 8): 2, ("C", 27): 1}),
        ([], {}),
    ],
)
def test_a_span_is_read_as_minutes_or_as_one_sum_at_its_start(database, run, keys, expected):
    spans = [(at(8), at(10)), (at(12), at(15)), (at(27), at(28)), (at(40), at(50))]
    place = (run.id, "minute", "symbol", spans, keys)
    with database.transaction() as connection:
        minutes = read_spans(connection, *place)
        sums = read_spans(connection, *place, summed=True)

    assert {(row[0], (row[1] - at(0)).seconds // 60): row[3] for row in sums} == expected
    assert [row[0] for row in minutes] == [
        key for (key, _), n in expected.items() for _ in range(n)
    ]
    assert all(row[3] == 1 for row in minutes)
