"""Search on a real PostgreSQL: words, filters, orders, texts that repeat, pages by key."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.labels import SENTIMENTS, Labels
from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store import search as searching
from store.commits import commit_batch, register_model
from store.corrections import Correction, add_correction
from store.errors import SearchCutError
from store.preparing import prepare_batch
from store.runs import delete_run, open_run
from store.search import Order, Search, export, margin_of, read_document, says_something, search

DAY, MINUTE = datetime(2026, 3, 9, tzinfo=UTC), timedelta(minutes=1)
TOPICS = ("Banks", "Oil")


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        made = open_run(connection, "replay")
        register_model(connection, "m1", Labels(TOPICS))
        register_model(connection, "m2", Labels(TOPICS))
    yield made
    with database.transaction() as connection:
        delete_run(connection, "replay")


@pytest.fixture
def add(database, run):
    """Add documents: (minute, text) and what else there is to say of each."""

    def added(minute, text, *, sentiments=(0.2, 0.5, 0.3), topic="Banks", model="m1", **fields):
        identity = fields.pop("id", f"{minute}-{len(text)}-{fields.get('source', 'wire')}")
        document = Document(
            id=identity,
            published_at=DAY + minute * MINUTE,
            text=text,
            **{"source": "wire", "kind": "news", **fields},
        )
        said = Prediction(
            {name: 10_000 * (name == topic) for name in TOPICS},
            {n: round(p * 10_000) for n, p in zip(SENTIMENTS, sentiments, strict=True)},
            model,
            3,
        )
        with database.transaction() as connection:
            batch = ScoredBatch([document], [said], [], [])
            commit_batch(connection, run.id, prepare_batch(batch))
        return identity

    return added


@pytest.fixture
def find(database, run):
    """Search the run's day; the page."""

    def found(words="", *, after=None, limit=50, start=DAY, end=DAY + timedelta(days=1), **filters):
        with database.transaction() as connection:
            asked = Search(run.id, start, end, words, **filters)
            return search(connection, asked, after, limit=limit)

    return found


def ids(page):
    return [row.id for row in page.rows]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("downgrade", ["a"]),
        ("downgraded banks", ["a"]),
        ('"oil prices"', ["b"]),
        ('"prices oil"', []),
        ("bank or oil", ["b", "a"]),
        ("bank -oil", ["a"]),
        ("headline", ["b"]),
        ("nowhere", []),
        ("", ["b", "a"]),
        ("'); drop table documents; --", []),
        ('" <-> & | ! :* \\ %', []),
        ("\x00oil", ["b"]),
    ],
)
def test_words_are_found_in_title_and_text(add, find, words, expected):
    add(1, "The bank was downgraded today", id="a")
    add(2, "Oil prices climb", id="b", title="A headline")

    assert ids(find(words)) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"topic": "Oil"}, ["b"]),
        ({"symbol": "X"}, ["c", "a"]),
        ({"symbol": "X", "words": "calm"}, ["c"]),
        ({"source": "blog"}, ["c"]),
        ({"kind": "comment"}, ["b"]),
        ({"sentiment": "negative"}, ["a"]),
        ({"model": "m2"}, ["c"]),
        ({"topic": "Oil", "model": "m2"}, []),
        ({"start": DAY + 2 * MINUTE}, ["c", "b"]),
        ({"end": DAY + 2 * MINUTE}, ["a"]),
    ],
)
def test_filters_narrow_what_is_found(add, find, filters, expected):
    add(1, "panic", id="a", symbols=("X", "Y"), sentiments=(0.8, 0.1, 0.1))
    add(2, "barrel", id="b", topic="Oil", kind="comment")
    add(3, "calm seas", id="c", symbols=("X",), source="blog", model="m2")

    assert ids(find(**filters)) == expected


def test_the_order_says_what_comes_first(add, find):
    add(1, "torn", id="torn", sentiments=(0.4, 0.38, 0.22))
    add(2, "dreadful", id="dreadful", sentiments=(0.9, 0.06, 0.04))
    add(3, "fine", id="fine", sentiments=(0.05, 0.15, 0.8))

    assert ids(find(order=Order.NEWEST)) == ["fine", "dreadful", "torn"]
    assert ids(find(order=Order.NEGATIVE)) == ["dreadful", "torn", "fine"]
    page = find(order=Order.UNCERTAIN)
    assert ids(page) == ["torn", "fine", "dreadful"]
    assert [row.margin for row in page.rows] == [200, 6500, 8400]


def test_one_text_is_shown_once_and_its_documents_are_counted(add, find):
    add(1, "Shares  fall", id="first", source="wire")
    add(2, "shares\tfall\n", id="second", source="blog")
    add(3, "shares fall!", id="other")
    add(4, "fall", id="titled", title="Shares")

    page = find()

    assert [(row.id, row.copies) for row in page.rows] == [("titled", 3), ("other", 1)]
    assert (page.texts, page.documents) == (2, 4)


def test_pages_hold_everything_once_whatever_comes_in_meanwhile(add, find):
    for number in range(7):
        add(number // 2, f"text {number}", id=f"d{number}")
    everything = ids(find())

    first = find(limit=3)
    add(50, "a later one", id="later")
    second = find(limit=3, after=first.after)
    third = find(limit=3, after=second.after)

    assert [len(page.rows) for page in (first, second, third)] == [3, 3, 1]
    assert ids(first) + ids(second) + ids(third) == everything
    assert third.after is None
    assert (first.texts, second.texts) == (7, 8)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_of_equals_lose_and_repeat_nothing(add, find, order, limit):
    for number in range(6):
        add(5, f"text {number}", id=f"d{number}", sentiments=(0.3 + 0.1 * (number % 2), 0.4, 0.3))
    everything, read, after = ids(find(order=order)), [], None
    while len(read) < 6:
        page = find(order=order, limit=limit, after=after)
        read, after = read + ids(page), page.after

    assert read == everything
    assert after is None


def test_only_the_newest_of_a_long_span_are_read_and_the_answer_says_so(add, find, monkeypatch):
    monkeypatch.setattr(searching, "READ", 3)
    for number in range(5):
        add(number, f"text {number}", id=f"d{number}", symbols=("X",) if number != 3 else ())

    page = find("text")
    assert ids(page) == ["d4", "d3", "d2", "d1"]
    assert page.read_from == DAY + MINUTE
    assert find("text", start=DAY + 2 * MINUTE).read_from is None
    assert find("text", symbol="X").read_from == DAY
    assert find("text", topic="Oil").read_from is None


def test_a_glance_reads_fewer_and_says_so(add, run, database):
    for number in range(5):
        add(number, f"text {number}", id=f"d{number}", symbols=("X",))
    asked = Search(run.id, DAY, DAY + timedelta(days=1), symbol="X")

    with database.transaction() as connection:
        page = search(connection, asked, read=2)
        everything = search(connection, asked)

    assert ids(page) == ["d4", "d3", "d2"]
    assert page.read_from == DAY + 2 * MINUTE
    assert (len(everything.rows), everything.read_from) == (5, None)


def test_a_search_that_takes_too_long_is_ended_and_says_what_to_do(add, database, run):
    for number in range(3):
        add(number, f"{number} " + "word " * 40_000, id=f"d{number}")
    asked = Search(run.id, DAY, DAY + timedelta(days=1), "word")

    with pytest.raises(SearchCutError, match="shorter span"), database.transaction() as connection:
        search(connection, asked, seconds=0.001)
    with database.transaction() as connection:
        assert len(search(connection, asked).rows) == 3


def test_what_was_corrected_leaves_the_queue_with_all_its_copies(add, find, database, run):
    add(1, "the same", id="a")
    add(2, "The same", id="b")
    add(3, "another", id="c")
    with database.transaction() as connection:
        add_correction(connection, Correction(run.id, "a", "Oil", None, "ann"))

    assert ids(find(uncorrected=True)) == ["c"]
    assert ids(find()) == ["c", "b"]


def test_the_largest_text_of_all_is_searched_at_its_beginning(add, find):
    add(1, "needle " + " ".join(f"w{n}-x{n}/y{n}.example" for n in range(12_000)), id="long")

    assert ids(find("needle")) == ["long"]


def test_one_document_is_read_whole(add, database, run):
    add(
        1,
        "x" * 5000,
        id="long",
        author="ann",
        symbols=("B", "A"),
        sentiments=(0.1, 0.2, 0.7),
    )

    with database.transaction() as connection:
        found = read_document(connection, run.id, "long")
        assert read_document(connection, run.id, "gone") is None

    assert (len(found.text), found.author, found.symbols) == (5000, "ann", ("A", "B"))
    assert found.sentiment_probabilities == {"negative": 1000, "neutral": 2000, "positive": 7000}
    assert found.topic_probabilities == {"Banks": 10_000, "Oil": 0}


def test_an_export_holds_whole_texts_and_says_when_it_was_cut(add, database, run, monkeypatch):
    for number in range(4):
        add(number, f"{number}" * 1000, id=f"d{number}")
    asked = Search(run.id, DAY, DAY + timedelta(days=1))

    def exported():
        with database.transaction() as connection:
            rows, cut = export(connection, asked)
        return [(row.id, len(row.text)) for row in rows], cut

    everything = [(f"d{n}", 1000) for n in (3, 2, 1, 0)]
    assert exported() == (everything, False)
    monkeypatch.setattr(searching, "EXPORTED_ROWS", 4)
    assert exported() == (everything, False)
    monkeypatch.setattr(searching, "EXPORTED_ROWS", 3)
    assert exported() == (everything[:3], True)
    monkeypatch.setattr(searching, "EXPORTED_CHARACTERS", 2000)
    assert exported() == (everything[:2], True)


@pytest.mark.parametrize(("words", "says"), [("oil", True), ("the", False), ("!&", False)])
def test_words_that_say_nothing_are_told_apart(database, words, says):
    with database.transaction() as connection:
        assert says_something(connection, words) is says


def test_another_run_is_not_searched(add, database, run):
    add(1, "here", id="a")
    with database.transaction() as connection:
        other = open_run(connection, "other")
        asked = Search(run.id, DAY, DAY + timedelta(days=1))
        assert len(search(connection, asked).rows) == 1
        assert search(connection, replace(asked, run_id=other.id)).rows == ()


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6))
def test_the_margin_is_between_the_two_largest(probabilities):
    first, *rest = sorted(probabilities, reverse=True)
    assert margin_of(probabilities) == first - (rest[0] if rest else 0)
