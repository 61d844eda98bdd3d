import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import select, text
from support.buckets import read_buckets

from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Committed, DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Document, Reason
from store import runs
from store.alertlog import lock_cursor
from store.buckets import SCOPES, Sums, counted_documents, span
from store.commits import KEPT_PAYLOAD, commit_batch, register_model
from store.database import Database
from store.deadletters import count_by_reason, list_dead_letters
from store.errors import CheckpointConflictError
from store.preparing import prepare_batch
from store.schema import checkpoints, document_symbols, documents, models

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EARLY, LATE = NOON - timedelta(days=1), NOON + timedelta(days=1)
PART = Partition("topic", 3)
SENTIMENTS = ("negative", "neutral", "positive")


@pytest.fixture(scope="module")
def database(postgres):
    with postgres.database() as url:
        opened = Database(url)
        opened.migrate()
        with opened.transaction() as connection:
            register_model(connection, "m", Labels(("Macro", "Oil")))
        yield opened
        opened.close()


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        opened = runs.open_run(connection, "live")
    yield opened
    with database.transaction() as connection:
        runs.delete_run(connection, "live")


def at(minute):
    return NOON + minute * MINUTE


def document(identity, minute=0, *symbols, **fields):
    fields = {"source": "s", "kind": "news", "text": "x"} | fields
    return Document(id=str(identity), published_at=at(minute), symbols=symbols, **fields)


def predicted(sentiment="negative", topic="Macro"):
    sure = {name: 10_000 if name == sentiment else 0 for name in SENTIMENTS}
    return Prediction({"Macro": 0, "Oil": 0} | {topic: 10_000}, sure, "m", 1)


def batch(*documents, predictions=None, letters=(), advances=()):
    predictions = predictions or [predicted()] * len(documents)
    return ScoredBatch(documents, predictions, letters, advances)


def commit(database, run, *documents, **parts):
    with database.transaction() as connection:
        return commit_batch(connection, run.id, prepare_batch(batch(*documents, **parts)))


def sums_by_key(database, run, scope, width="minute"):
    """The buckets of a scope as {(key, minute, kind): sums}."""
    with database.transaction() as connection:
        found = read_buckets(connection, run.id, scope, EARLY, LATE, width=width)
        return {(b.key, (b.start - NOON) // MINUTE, b.kind): b.sums for b in found}


def documents_by_key(database, run, scope):
    return {key: sums.documents for key, sums in sums_by_key(database, run, scope).items()}


def recount(database, run, width="minute"):
    """Every bucket, counted anew from the documents and their symbols."""
    added, named = documents.c, document_symbols.c
    columns = (
        added.id, added.topic, added.source, added.published_at, added.kind, added.sentiment,
        added.score,
    )  # fmt: skip
    with database.transaction() as connection:
        rows = connection.execute(select(*columns).where(added.run_id == run.id)).all()
        pairs = connection.execute(
            select(named.document_id, named.symbol).where(named.run_id == run.id)
        ).all()
    symbols = {row.id: [s for identity, s in pairs if identity == row.id] for row in rows}
    counted = {scope: {} for scope in SCOPES}
    for row in rows:
        start = row.published_at.replace(second=0, microsecond=0)
        start = start.replace(minute=0) if width == "hour" else start
        one = Sums(1, *(int(row.sentiment == name) for name in SENTIMENTS), row.score)
        keys = {
            "all": [""],
            "topic": [row.topic],
            "source": [row.source],
            "symbol": symbols[row.id],
        }
        for scope, of_scope in keys.items():
            for key in of_scope:
                place = (key, (start - NOON) // MINUTE, row.kind)
                counted[scope][place] = counted[scope].get(place, Sums()) + one
    return counted


def stored_buckets(database, run, width="minute"):
    return {scope: sums_by_key(database, run, scope, width) for scope in SCOPES}


def counters(database, run):
    with database.transaction() as connection:
        return runs.read_counters(connection, run.id)


def positions(database, run):
    with database.transaction() as connection:
        return runs.read_checkpoints(connection, run.id)


def symbols_of(database, run, identity):
    named = document_symbols.c
    statement = select(named.symbol).where(
        named.run_id == run.id, named.document_id == str(identity)
    )
    kept = select(documents.c.symbols).where(
        documents.c.run_id == run.id, documents.c.id == str(identity)
    )
    with database.transaction() as connection:
        found = set(connection.scalars(statement))
        assert connection.scalar(kept) == sorted(found)
    return found


def test_a_document_is_kept_with_its_prediction(database, run):
    whole = document(
        1, 2, "A", source="wire", kind="comment", text="tab\tline\n\\ é 📉", title="Title",
        url="https://example.test", author="A", language="en",
    )  # fmt: skip
    prediction = Prediction(
        {"Macro": 4000, "Oil": 6000},
        {"negative": 7000, "neutral": 2000, "positive": 1000},
        "m",
        9,
        truncated=True,
    )

    assert commit(database, run, whole, predictions=[prediction]) == Committed(1)

    with database.transaction() as connection:
        row = connection.execute(select(documents).where(documents.c.run_id == run.id)).one()
    assert (row.id, row.source, row.kind, row.published_at) == ("1", "wire", "comment", at(2))
    assert (row.title, row.text, row.url) == ("Title", whole.text, "https://example.test")
    assert (row.author, row.language) == ("A", "en")
    assert (row.topic, row.sentiment, row.score) == ("Oil", "negative", -6000)
    assert row.topic_probabilities == [4000, 6000]
    assert row.sentiment_probabilities == [7000, 2000, 1000]
    assert (row.truncated, row.model) == (True, "m")


def test_an_optional_field_that_is_absent_stays_absent(database, run):
    commit(database, run, document(1))

    with database.transaction() as connection:
        row = connection.execute(select(documents).where(documents.c.run_id == run.id)).one()
    assert (row.title, row.url, row.author, row.language) == (None, None, None, None)


def test_a_repeat_within_a_batch_counts_once_and_the_first_is_kept(database, run):
    first, second = document(1, text="first"), document(1, 5, text="second")

    assert commit(database, run, first, second) == Committed(1, 1)

    with database.transaction() as connection:
        kept = connection.execute(select(documents.c.text, documents.c.published_at)).all()
    assert kept == [("first", at(0))]
    assert documents_by_key(database, run, "all") == {("", 0, "news"): 1}


def test_a_repeat_in_a_later_batch_changes_nothing(database, run):
    commit(database, run, document(1), document(2))
    before = stored_buckets(database, run)

    again = commit(
        database, run, document(2, 5, text="other"), predictions=[predicted("positive", "Oil")]
    )

    assert again == Committed(0, 1)
    assert stored_buckets(database, run) == before
    assert counters(database, run) == Committed(2, 1)


@pytest.mark.parametrize("batches", [[0, 1, 2], [0, 1, 1], [0, 0, 0], [0, 0, 1]])
def test_a_document_that_comes_once_for_each_symbol_gets_all_of_them(database, run, batches):
    posts = [document(1, 0, "A"), document(1, 9, "A", "B"), document(1, 0, "C")]

    for number in sorted(set(batches)):
        commit(database, run, *[p for p, b in zip(posts, batches, strict=True) if b == number])

    assert symbols_of(database, run, 1) == {"A", "B", "C"}
    assert documents_by_key(database, run, "symbol") == {(symbol, 0, "news"): 1 for symbol in "ABC"}
    assert documents_by_key(database, run, "all") == {("", 0, "news"): 1}
    assert counters(database, run) == Committed(1, 2)


def test_a_symbol_named_later_counts_with_the_first_ones_sentiment_and_time(database, run):
    commit(database, run, document(1, 3, "A"), predictions=[predicted("negative")])
    commit(database, run, document(1, 8, "B", kind="comment"), predictions=[predicted("positive")])

    assert sums_by_key(database, run, "symbol") == {
        ("A", 3, "news"): Sums(1, 1, 0, 0, -10_000),
        ("B", 3, "news"): Sums(1, 1, 0, 0, -10_000),
    }


def test_each_document_lands_in_its_buckets(database, run):
    posts = [
        document(1, 0, "A", "B"),
        document(2, 0, "A"),
        document(3, 0, "A", kind="comment"),
        document(4, 1),
        document(5, 61, source="t"),
    ]
    said = [
        predicted("negative"),
        predicted("positive"),
        predicted("neutral"),
        predicted("negative", "Oil"),
        predicted("negative", "Oil"),
    ]

    commit(database, run, *posts, predictions=said)

    news, comment, negative = Sums(2, 1, 0, 1, 0), Sums(1, 0, 1, 0, 0), Sums(1, 1, 0, 0, -10_000)
    assert sums_by_key(database, run, "all") == {
        ("", 0, "news"): news,
        ("", 0, "comment"): comment,
        ("", 1, "news"): negative,
        ("", 61, "news"): negative,
    }
    assert sums_by_key(database, run, "topic") == {
        ("Macro", 0, "news"): news,
        ("Macro", 0, "comment"): comment,
        ("Oil", 1, "news"): negative,
        ("Oil", 61, "news"): negative,
    }
    assert sums_by_key(database, run, "symbol") == {
        ("A", 0, "news"): news,
        ("A", 0, "comment"): comment,
        ("B", 0, "news"): negative,
    }
    assert set(sums_by_key(database, run, "source")) == {
        ("s", 0, "news"), ("s", 0, "comment"), ("s", 1, "news"), ("t", 61, "news"),
    }  # fmt: skip
    assert sums_by_key(database, run, "all", "hour") == {
        ("", 0, "news"): news + negative,
        ("", 0, "comment"): comment,
        ("", 60, "news"): negative,
    }


@pytest.mark.parametrize(
    ("moment", "minute"),
    [
        (at(5), 5),
        (at(6) - timedelta(microseconds=1), 5),
        (at(6), 6),
        (datetime.fromisoformat("2026-03-10T17:35:30+05:30"), 5),
    ],
)
def test_a_minute_holds_its_first_instant_and_not_the_next_ones(database, run, moment, minute):
    post = Document(id="1", source="s", kind="news", published_at=moment, text="x")

    commit(database, run, post)

    assert documents_by_key(database, run, "all") == {("", minute, "news"): 1}


@pytest.mark.parametrize("seed", range(4))
def test_the_buckets_are_a_recount_of_the_documents(database, run, seed):
    for posts, said in random_batches(seed):
        commit(database, run, *posts, predictions=said)

    for width in ("minute", "hour"):
        assert stored_buckets(database, run, width) == recount(database, run, width)
    with database.transaction() as connection:
        assert counted_documents(connection, run.id) == counters(database, run).documents


@pytest.mark.parametrize("seed", range(2))
def test_the_hours_are_the_sums_of_their_minutes(database, run, seed):
    for posts, said in random_batches(seed):
        commit(database, run, *posts, predictions=said)

    for scope in SCOPES:
        summed = {}
        for (key, minute, kind), sums in sums_by_key(database, run, scope).items():
            place = (key, minute // 60 * 60, kind)
            summed[place] = summed.get(place, Sums()) + sums
        assert summed == sums_by_key(database, run, scope, "hour")


def random_batches(seed):
    chance = random.Random(seed)
    for _ in range(chance.randint(2, 6)):
        posts = [
            document(
                chance.randint(0, 60),
                chance.randint(-90, 200),
                *chance.sample("ABCD", chance.randint(0, 3)),
                kind=chance.choice(["news", "comment"]),
                source=chance.choice(["s", "t"]),
            )
            for _ in range(chance.randint(1, 40))
        ]
        said = [
            predicted(chance.choice(SENTIMENTS), chance.choice(["Macro", "Oil"])) for _ in posts
        ]
        yield posts, said


def step(previous, offset, newest=None, late=0, partition=PART):
    return Advance(partition, previous, Checkpoint(offset, newest), late)


def test_a_checkpoint_moves_from_where_the_batch_began(database, run):
    commit(database, run, advances=[step(None, 5, at(3), late=1)])
    commit(database, run, advances=[step(5, 9, at(1), late=2)])

    assert positions(database, run) == {PART: Checkpoint(9, at(3))}
    with database.transaction() as connection:
        assert connection.scalar(select(checkpoints.c.late)) == 3


def test_a_checkpoint_without_documents_keeps_the_newest_event(database, run):
    commit(database, run, advances=[step(None, 5, at(3))])
    commit(database, run, advances=[step(5, 6)])

    assert positions(database, run) == {PART: Checkpoint(6, at(3))}


@pytest.mark.parametrize("previous", [None, 0, 4, 6])
def test_a_checkpoint_elsewhere_rolls_everything_back(database, run, previous):
    other = Partition("topic", 9)
    commit(database, run, document(1, 0, "A"), advances=[step(None, 5)])
    before = stored_buckets(database, run)

    with pytest.raises(CheckpointConflictError, match=r"topic\[3\] is no longer at"):
        commit(
            database,
            run,
            document(2, 0, "B"),
            document(1, 0, "C"),
            letters=[letter(1)],
            advances=[step(None, 1, partition=other), step(previous, 8)],
        )

    assert stored_buckets(database, run) == before
    assert symbols_of(database, run, 1) == {"A"}
    assert positions(database, run) == {PART: Checkpoint(5)}
    assert counters(database, run) == Committed(1)
    with database.transaction() as connection:
        assert list_dead_letters(connection, run.id) == []


def test_the_same_batch_twice_is_a_conflict(database, run):
    parts = {"letters": [letter(1)], "advances": [step(None, 2)]}
    commit(database, run, document(1), **parts)

    with pytest.raises(CheckpointConflictError):
        commit(database, run, document(1), **parts)
    assert counters(database, run) == Committed(1, 0, 1)


def test_a_partition_that_was_registered_moves_on_from_its_beginning(database, run):
    with database.transaction() as connection:
        runs.register_partitions(connection, run.id, [PART])
    assert positions(database, run) == {PART: Checkpoint(0)}

    commit(database, run, advances=[step(0, 2, at(1))])

    assert positions(database, run) == {PART: Checkpoint(2, at(1))}


def test_runs_do_not_see_each_other(database, run):
    with database.transaction() as connection:
        other = runs.open_run(connection, "replay", "f.jsonl")
    commit(database, run, document(1, 0, "A"), advances=[step(None, 5)])
    commit(database, other, document(1, 0, "B"), advances=[step(None, 7)])

    assert symbols_of(database, run, 1) == {"A"}
    assert positions(database, run) == {PART: Checkpoint(5)}
    assert documents_by_key(database, run, "symbol") == {("A", 0, "news"): 1}
    with database.transaction() as connection:
        runs.delete_run(connection, "replay")
    assert documents_by_key(database, run, "all") == {("", 0, "news"): 1}


def letter(offset, payload=b"{", reason=Reason.NOT_JSON, detail="broken"):
    return DeadLetter(Record(PART, offset, payload), reason, detail)


def dead_letters(database, run):
    with database.transaction() as connection:
        rows = list_dead_letters(connection, run.id)
    return sorted((r.offset, r.reason, r.detail, r.payload, r.size) for r in rows)


def test_a_dead_letter_is_kept_with_its_position_and_reason(database, run):
    letters = [
        letter(7, b"\x00\xff", Reason.NOT_UTF8, "byte 1"),
        letter(9, None, Reason.TOMBSTONE, "no value"),
    ]

    assert commit(database, run, letters=letters) == Committed(0, 0, 2)

    assert dead_letters(database, run) == [
        (7, "not_utf8", "byte 1", b"\x00\xff", 2),
        (9, "tombstone", "no value", None, 0),
    ]
    with database.transaction() as connection:
        (first, *_) = list_dead_letters(connection, run.id, limit=1)
        assert count_by_reason(connection, run.id) == {"not_utf8": 1, "tombstone": 1}
    assert (first.source, first.partition) == ("topic", 3)


@pytest.mark.parametrize("excess", [0, 1])
def test_the_beginning_of_a_large_dead_letter_is_kept(database, run, excess):
    commit(database, run, letters=[letter(1, b"x" * (KEPT_PAYLOAD + excess))])

    ((_, _, _, payload, size),) = dead_letters(database, run)
    assert (len(payload), size) == (KEPT_PAYLOAD, KEPT_PAYLOAD + excess)


def test_an_empty_batch_is_no_error(database, run):
    assert commit(database, run) == Committed()
    assert counters(database, run) == Committed()
    with database.transaction() as connection:
        assert span(connection, run.id) is None


def test_the_span_is_from_the_first_to_the_last_minute(database, run):
    commit(database, run, document(1, 7), document(2, -3), document(3, 2))

    with database.transaction() as connection:
        assert span(connection, run.id) == (at(-3), at(7))


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(2, 5, [2, 4]), (2, 4, [2]), (3, 4, []), (3, 6, [4, 5])]
)
def test_buckets_are_read_from_their_start_up_to_their_end(database, run, start, end, expected):
    commit(database, run, *(document(minute, minute) for minute in (1, 2, 4, 5, 6)))

    with database.transaction() as connection:
        found = list(read_buckets(connection, run.id, "all", at(start), at(end)))

    assert [(b.start - NOON) // MINUTE for b in found] == expected


def test_buckets_are_read_in_order_of_key_and_time_and_by_key(database, run):
    commit(database, run, document(1, 5, "B", "A"), document(2, 3, "B"), document(3, 9, "C"))

    with database.transaction() as connection:
        every = [(b.key, b.start) for b in read_buckets(connection, run.id, "symbol", EARLY, LATE)]
        named = list(read_buckets(connection, run.id, "symbol", EARLY, LATE, ["C", "A", "X"]))

    assert every == [("A", at(5)), ("B", at(3)), ("B", at(5)), ("C", at(9))]
    assert [b.key for b in named] == ["A", "C"]


def test_the_names_behind_a_model_are_registered_once(database):
    with database.transaction() as connection:
        register_model(connection, "m2", Labels(("One", "Two"), ("down", "up")))
        register_model(connection, "m2", Labels(("Other",)))
        row = connection.execute(select(models).where(models.c.version == "m2")).one()

    assert (row.topics, row.sentiments) == (["One", "Two"], ["down", "up"])


def test_two_workers_with_overlapping_documents_do_not_deadlock(database, run):
    """Each worker has a partition of its own; both see the same ids, in opposite orders."""
    begin = Barrier(2)
    rounds, ids = 6, list(range(30))

    def work(number):
        partition = Partition("topic", number)
        done, offset = Committed(), None
        for turn in range(rounds):
            order = ids if (number + turn) % 2 else ids[::-1]
            posts = [
                document(f"{turn}/{i}", i % 7, *("AB" if i % 2 else "BC"), "D" * (number + 1))
                for i in order
            ]
            following = (offset or 0) + len(posts)
            begin.wait()
            done += commit(
                database,
                run,
                *posts,
                predictions=[predicted(SENTIMENTS[int(p.id.split("/")[1]) % 3]) for p in posts],
                advances=[step(offset, following, at(6), partition=partition)],
            )
            offset = following
        return done

    with ThreadPoolExecutor(2) as pool:
        results = [future.result() for future in [pool.submit(work, n) for n in range(2)]]

    distinct = rounds * len(ids)
    assert results[0] + results[1] == Committed(distinct, distinct)
    assert counters(database, run) == Committed(distinct, distinct)
    assert stored_buckets(database, run) == recount(database, run)
    by_symbol = Counter()
    for (symbol, _, _), count in documents_by_key(database, run, "symbol").items():
        by_symbol[symbol] += count
    assert by_symbol == {
        "A": distinct // 2, "B": distinct, "C": distinct // 2, "D": distinct, "DD": distinct,
    }  # fmt: skip


def test_a_commit_does_not_wait_for_an_alerter_at_work(database, run):
    with database.transaction() as alerter, database.transaction() as worker:
        lock_cursor(alerter, run.id)
        worker.execute(text("set local lock_timeout = '500ms'"))

        assert commit_batch(worker, run.id, prepare_batch(batch(document(1)))) == Committed(1)
