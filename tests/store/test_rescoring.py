"""Other scores for stored documents, on a real PostgreSQL, with workers at work meanwhile."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text
from support.buckets import read_buckets
from support.checks import buckets_equal_recount
from support.commands import wait_until

from classifier.labels import SENTIMENTS, Labels
from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store.buckets import Sums
from store.commits import commit_batch, register_model
from store.corrections import Correction, add_correction
from store.digest import digest
from store.preparing import prepare_batch
from store.rescoring import (
    Replaced,
    StoredText,
    count_to_rescore,
    documents_to_rescore,
    replace_scores,
)
from store.runs import delete_run, open_run
from store.schema import documents, earlier_scores

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EARLY, LATE = NOON - timedelta(days=1), NOON + timedelta(days=1)
MODELS = {"old": ("Macro", "Oil"), "new": ("Oil", "Hailstorms", "Tulips")}


@pytest.fixture
def make_run(database):
    """Runs that are gone after the test."""
    made = []

    def opened(name):
        with database.transaction() as connection:
            for model, topics in MODELS.items():
                register_model(connection, model, Labels(topics))
            made.append(open_run(connection, name))
        return made[-1]

    yield opened
    with database.transaction() as connection:
        for run in made:
            delete_run(connection, run.name)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as running:
        yield running


def document(identity, minute=0, *symbols, **fields):
    values = {"source": "s", "kind": "news", "text": f"text {identity}"} | fields
    at = NOON + minute * MINUTE
    return Document(id=str(identity), published_at=at, symbols=symbols, **values)


def predicted(identity, model="old"):
    """What a model says of a document: by chance, but always the same."""
    chance = random.Random(f"{model}:{identity}")
    topics = {name: chance.randint(0, 10_000) for name in MODELS[model]}
    sentiments = {name: chance.randint(0, 5000) for name in SENTIMENTS}
    return Prediction(topics, sentiments, model, 1, truncated=chance.random() < 0.5)


def commit(database, run, *posts, model="old"):
    batch = ScoredBatch(posts, [predicted(post.id, model) for post in posts], [], [])
    with database.transaction() as connection:
        return commit_batch(connection, run.id, prepare_batch(batch))


def replace(connection, run, texts, model="new"):
    said = [predicted(found.id, model) for found in texts]
    return replace_scores(connection, run.id, texts, said)


def rescore(database, run, model="new", size=7):
    """One pass over the run."""
    total, last = Replaced(), ""
    while True:
        with database.transaction() as connection:
            texts = documents_to_rescore(connection, run.id, model, last, size)
            if not texts:
                return total
            total += replace(connection, run, texts, model)
        last = texts[-1].id


def random_batches(seed, count=6):
    chance = random.Random(seed)
    for _ in range(count):
        yield [
            document(
                chance.randint(0, 60),
                chance.randint(-90, 200),
                *chance.sample("ABCD", chance.randint(0, 3)),
                kind=chance.choice(["news", "comment"]),
                source=chance.choice(["s", "t"]),
            )
            for _ in range(chance.randint(1, 30))
        ]


def parts(database, run):
    with database.transaction() as connection:
        found = digest(connection, run.id)
    return found["documents"], found["buckets"]


def kept_scores(database, run):
    table = earlier_scores.c
    columns = (table.document_id, table.model, table.topic, table.sentiment, table.score)
    with database.transaction() as connection:
        rows = connection.execute(select(*columns).where(table.run_id == run.id)).all()
    return {(row.document_id, row.model): row[2:] for row in rows}


def said_by(model, *identities):
    said = {identity: predicted(identity, model) for identity in identities}
    return {(i, model): (p.topic, p.sentiment, p.score) for i, p in said.items()}


def sums(database, run, scope):
    with database.transaction() as connection:
        found = read_buckets(connection, run.id, scope, EARLY, LATE)
        return {bucket.key: bucket.sums for bucket in found}


def somebody_waits(database):
    waiting = text(
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock'"
    )
    with database.transaction() as connection:
        return connection.scalar(waiting) > 0


@pytest.mark.parametrize(("seed", "size"), [(0, 1), (1, 7), (2, 500)])
def test_a_rescored_run_is_that_of_a_fresh_replay_with_the_new_model(
    database, make_run, seed, size
):
    run, fresh = make_run("run"), make_run("fresh")
    for posts in random_batches(seed):
        commit(database, run, *posts)
        commit(database, fresh, *posts, model="new")
    assert parts(database, run) != parts(database, fresh)

    done = rescore(database, run, size=size)

    assert parts(database, run) == parts(database, fresh)
    with database.transaction() as connection:
        assert count_to_rescore(connection, run.id, "new") == 0
        stored = connection.scalars(select(documents.c.id).where(documents.c.run_id == run.id))
        identities = list(stored)
    assert kept_scores(database, run) == said_by("old", *identities)
    pairs = [(predicted(i, "old"), predicted(i, "new")) for i in identities]
    assert done == Replaced(
        len(identities),
        sum(old.topic != new.topic for old, new in pairs),
        sum(old.sentiment != new.sentiment for old, new in pairs),
    )


def test_the_way_back_restores_the_run_and_keeps_what_each_model_said(database, make_run):
    run = make_run("run")
    for posts in random_batches(3):
        commit(database, run, *posts)
    before = parts(database, run)

    rescore(database, run, "new")
    rescore(database, run, "old")

    assert parts(database, run) == before
    models = {model for _, model in kept_scores(database, run)}
    assert models == {"old", "new"}


def test_a_pass_that_was_broken_off_goes_on_where_it_was(database, make_run):
    run, fresh = make_run("run"), make_run("fresh")
    posts = [document(f"d{n:02}", n, "A") for n in range(20)]
    commit(database, run, *posts)
    commit(database, fresh, *posts, model="new")
    with database.transaction() as connection:
        first = documents_to_rescore(connection, run.id, "new", "", 8)
        replace(connection, run, first)

    def broken_off():
        with database.transaction() as connection:
            second = documents_to_rescore(connection, run.id, "new", first[-1].id, 8)
            replace(connection, run, second)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    buckets_equal_recount(database, run.name)

    assert rescore(database, run).documents == 12
    assert parts(database, run) == parts(database, fresh)


def test_the_same_batch_again_changes_nothing(database, make_run):
    run = make_run("run")
    commit(database, run, document("a", 0, "A"), document("b"))
    texts = [StoredText("a", "text a"), StoredText("b", "text b"), StoredText("gone", "x")]
    with database.transaction() as connection:
        assert replace(connection, run, texts).documents == 2
    once, kept = parts(database, run), kept_scores(database, run)

    with database.transaction() as connection:
        assert replace(connection, run, texts) == Replaced()

    assert (parts(database, run), kept_scores(database, run)) == (once, kept)


def test_a_bucket_without_documents_goes(database, make_run):
    run = make_run("run")
    commit(database, run, document("a", 0, "A"))
    assert set(sums(database, run, "topic")) == {predicted("a", "old").topic}

    rescore(database, run)

    new = predicted("a", "new")
    only = Sums(1, *(int(new.sentiment == name) for name in SENTIMENTS), new.score)
    assert sums(database, run, "topic") == {new.topic: only}
    assert sums(database, run, "symbol") == {"A": only}
    assert sums(database, run, "all") == {"": only}


def test_documents_come_in_the_order_of_their_ids_with_the_text_that_the_model_reads(
    database, make_run
):
    run = make_run("run")
    commit(database, run, document("b"), document("c", title="Title"), document("a"))
    commit(database, run, document("d"), model="new")

    with database.transaction() as connection:
        found = documents_to_rescore(connection, run.id, "new", "", 2)
        assert found == [StoredText("a", "text a"), StoredText("b", "text b")]
        rest = documents_to_rescore(connection, run.id, "new", found[-1].id, 2)
        assert rest == [StoredText("c", "Title\ntext c")]
        assert count_to_rescore(connection, run.id, "new") == 3


def test_another_run_stays_as_it_is(database, make_run):
    run, other = make_run("run"), make_run("other")
    for opened in (run, other):
        commit(database, opened, document("a", 0, "A"), document("b"))
    before = parts(database, other)

    rescore(database, run)

    assert parts(database, other) == before
    assert kept_scores(database, other) == {}


def test_earlier_scores_go_with_their_run(database, make_run):
    run = make_run("run")
    commit(database, run, document("a"))
    rescore(database, run)
    with database.transaction() as connection:
        delete_run(connection, run.name)

    assert kept_scores(database, run) == {}


def test_a_symbol_that_a_worker_is_adding_counts_with_the_new_score(database, make_run, pool):
    run = make_run("run")
    commit(database, run, document("a", 0, "A"))
    with database.transaction() as connection:
        batch = ScoredBatch([document("a", 0, "B")], [predicted("a")], [], [])
        commit_batch(connection, run.id, prepare_batch(batch))
        rescoring = pool.submit(rescore, database, run)
        wait_until(lambda: somebody_waits(database), 60)

    assert rescoring.result(60).documents == 1
    assert sums(database, run, "symbol") == dict.fromkeys("AB", sums(database, run, "all")[""])
    buckets_equal_recount(database, run.name)


@pytest.mark.parametrize("replaced_first", [True, False])
def test_a_worker_that_adds_a_symbol_waits_until_the_scores_are_replaced(
    database, make_run, pool, replaced_first
):
    run = make_run("run")
    commit(database, run, document("a", 0, "A"))
    with database.transaction() as connection:
        if replaced_first:
            replace(connection, run, [StoredText("a", "text a")])
        else:
            held = text("select 1 from documents where run_id = :run_id for no key update")
            connection.execute(held, {"run_id": run.id})
        committing = pool.submit(commit, database, run, document("a", 0, "B"), document("b"))
        wait_until(lambda: somebody_waits(database), 60)
        if not replaced_first:
            replace(connection, run, [StoredText("a", "text a")])

    assert committing.result(60).documents == 1
    assert sums(database, run, "symbol")["B"] == sums(database, run, "symbol")["A"]
    buckets_equal_recount(database, run.name)


def test_a_correction_does_not_wait_for_scores_that_are_being_replaced(database, make_run, pool):
    run = make_run("run")
    commit(database, run, document("a"))

    def correct():
        with database.transaction() as connection:
            connection.execute(text("set local lock_timeout = '20s'"))
            return add_correction(connection, Correction(run.id, "a", "Oil", None, "ann"))

    with database.transaction() as connection:
        replace(connection, run, [StoredText("a", "text a")])
        assert pool.submit(correct).result(60) > 0


@pytest.mark.parametrize("seed", range(3))
def test_workers_may_commit_while_two_rescore(database, make_run, pool, seed):
    run, fresh = make_run("run"), make_run("fresh")
    batches = list(random_batches(seed, count=12))
    for posts in batches:
        commit(database, fresh, *posts, model="new")

    def work():
        for posts in batches:
            commit(database, run, *posts)

    working = pool.submit(work)
    others = [pool.submit(repeat_rescoring, database, run, working) for _ in range(2)]
    working.result(120)
    for rescoring in others:
        rescoring.result(120)
    rescore(database, run)

    assert parts(database, run) == parts(database, fresh)


def repeat_rescoring(database, run, until):
    while not until.done():
        rescore(database, run, size=5)


def test_two_workers_and_a_rescorer_leave_buckets_that_a_recount_gives(database, make_run, pool):
    run = make_run("run")

    def work(seed):
        for posts in random_batches(seed, count=10):
            commit(database, run, *posts)

    working = [pool.submit(work, seed) for seed in (10, 11)]
    rescoring = pool.submit(repeat_rescoring, database, run, working[0])
    for job in (*working, rescoring):
        job.result(120)

    buckets_equal_recount(database, run.name)
