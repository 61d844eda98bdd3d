import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from store import arrays

HARD = ["", " ", "null", "NULL", '"', "\\", '\\"', "a,b", "{x}", "\t\n\r\\N", "é 📉", "'", "%s :x"]


@pytest.fixture
def read(database):
    """What PostgreSQL reads from a literal."""

    def read(literal, kind):
        with database.transaction() as connection:
            statement = text(f"select cast(:literal as {kind}[])")
            return connection.scalar(statement, {"literal": literal})

    return read


def test_texts_come_back_as_they_were(read):
    chance = random.Random(4)
    noise = ["".join(chance.choices('ab\\"{},\n\t é📉', k=8)) for _ in range(300)]

    for values in ([], HARD, noise, HARD[:1]):
        assert read(arrays.texts(values), "text") == values


def test_a_text_that_is_null_is_told_from_one_that_says_so(read):
    values = [None, *HARD, None, "x"]

    assert read(arrays.texts_or_nulls(values), "text") == values
    assert read(arrays.texts_or_nulls([None]), "text") == [None]
    assert read(arrays.texts_or_nulls([]), "text") == []


@pytest.mark.parametrize("literal", [arrays.texts, arrays.texts_or_nulls])
@pytest.mark.parametrize("values", [["a\0b"], ["a", "\0"], ["\0", "\0"]])
def test_a_nul_is_an_error_and_moves_no_cell(literal, values):
    with pytest.raises(ValueError, match="NUL"):
        literal(values)


@pytest.mark.parametrize("values", [[], [0], [-32768, 32767, 5]])
def test_integers_come_back(read, values):
    assert read(arrays.integers(values), "smallint") == values


def test_lists_of_texts_come_back_one_an_element(read):
    lists = [HARD, [], ["a"], ['"', "{}", ""]]

    found = [read(literal, "text") for literal in read(arrays.text_lists(lists), "text")]

    assert found == lists
    assert read(arrays.text_lists([]), "text") == []


def test_lists_of_integers_come_back_one_an_element(read):
    lists = [[1, 2], [], [-3], [10_000, 0, 7]]

    found = [read(literal, "smallint") for literal in read(arrays.integer_lists(lists), "text")]

    assert found == lists
    assert read(arrays.integer_lists([]), "text") == []


def test_moments_come_back_to_the_microsecond(read):
    moments = [
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 10, 12, 0, 0, 1, tzinfo=UTC),
        datetime.fromisoformat("2026-03-10T17:35:30.999999+05:30"),
    ]

    assert read(arrays.moments(moments), "timestamptz") == moments
    assert read(arrays.moments([moments[1] + timedelta(days=1)] * 2), "timestamptz")
    assert read(arrays.moments([]), "timestamptz") == []


def test_truth_values_come_back(read):
    assert read(arrays.booleans([True, False]), "boolean") == [True, False]
    assert read(arrays.booleans([]), "boolean") == []
