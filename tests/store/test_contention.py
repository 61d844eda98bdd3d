"""Everybody at once on one run: two workers, a rescoring, a prune and corrections.

An error of any of them fails the test, a deadlock too: they lock in one order.
"""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import text
from support.checks import buckets_equal_recount

from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Committed, Partition, ScoredBatch
from ingest.document import Document
from store import runs
from store.commits import commit_batch, register_model
from store.corrections import Correction, add_correction
from store.digest import digest
from store.errors import UnknownDocumentError
from store.preparing import prepare_batch
from store.pruning import BEGINNING, delete_buckets, delete_documents
from store.rescoring import StoredText, documents_to_rescore, replace_scores
from store.retention import move_horizon

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SCOPES = ("all", "topic", "symbol", "source")
TOPICS = ("Macro", "Oil")
SENTIMENTS = ("negative", "neutral", "positive")
HOURS, IDS, ROUNDS = 6, 240, 40


@pytest.fixture
def make_run(database):
    names = []

    def make(name):
        names.append(name)
        with database.transaction() as connection:
            for model in ("m", "m0", "m1"):
                register_model(connection, model, Labels(TOPICS))
            return runs.open_run(connection, name)

    yield make
    with database.transaction() as connection:
        for name in names:
            runs.delete_run(connection, name)


def post(number, *symbols):
    """The document of that number, always with the same time, here with these symbols."""
    chance = random.Random(number)
    return Document(
        id=f"{number * 7919 % 997}-é{number}",
        source=chance.choice("st"),
        kind=chance.choice(["news", "comment"]),
        published_at=NOON + HOURS * HOUR * number / IDS,
        text=f"text {number}",
        symbols=symbols,
    )


def said(identity, model):
    """What a model says of a document: always the same."""
    chance = random.Random(f"{identity}/{model}")
    topic, sentiment = chance.choice(TOPICS), chance.choice(SENTIMENTS)
    return Prediction(
        {name: 10_000 if name == topic else 0 for name in TOPICS},
        {name: 10_000 if name == sentiment else 0 for name in SENTIMENTS},
        model,
        1,
    )


def batches(seed):
    """Overlapping batches in any order; a document comes again and again with other symbols."""
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        numbers = chance.choices(range(IDS), k=60)
        yield [post(n, *chance.sample("ABCDEé", chance.randint(0, 3))) for n in numbers]


def work(database, run, worker, begin):
    """Commit all batches of a worker into its own partition; what was added."""
    begin.wait(60)
    partition, offset, done = Partition("topic", worker), None, Committed()
    for posts in batches(worker):
        following = (offset or 0) + len(posts)
        step = Advance(partition, offset, Checkpoint(following, NOON))
        batch = ScoredBatch(posts, [said(p.id, "m") for p in posts], [], [step])
        with database.transaction() as connection:
            done += commit_batch(connection, run.id, prepare_batch(batch))
        offset = following
    return done


def rescore(database, run, model):
    """Once over the run, with what was scored by other models."""
    last = ""
    while True:
        with database.transaction() as connection:
            found = documents_to_rescore(connection, run.id, model, last, 25)
        if not found:
            return
        last = found[-1].id
        batch = [StoredText(row.id, row.text) for row in found]
        random.Random(last).shuffle(batch)
        with database.transaction() as connection:
            replace_scores(connection, run.id, batch, [said(row.id, model) for row in batch])


def prune(database, run, before):
    """Everything before; how many documents went."""
    with database.transaction() as connection:
        move_horizon(connection, run.id, before, None)
    gone, position = 0, BEGINNING
    while position is not None:
        with database.transaction() as connection:
            deleted = delete_documents(connection, run.id, before, position, 7)
        gone, position = gone + deleted.documents, deleted.last
    for scope in SCOPES:
        deleted, span = 7, (BEGINNING[0], before)
        while deleted == 7:
            with database.transaction() as connection:
                deleted, last = delete_buckets(connection, run.id, "minute", scope, span, 7)
            span = (last, before)
    return gone


def correct(database, run, chance):
    """Correct some document; another may just have been pruned."""
    identity = post(chance.randrange(IDS)).id
    with suppress(UnknownDocumentError), database.transaction() as connection:
        add_correction(connection, Correction(run.id, identity, "Oil", None, "ann"))


def meanwhile(jobs, act):
    """Act again and again until the jobs are done; what each time came to."""
    results = []
    while not all(job.done() for job in jobs):
        results.append(act(len(results)))
    return results


def test_two_workers_a_rescoring_a_prune_and_corrections_agree_in_the_end(database, make_run):
    run, begin = make_run("run"), Barrier(2)
    with ThreadPoolExecutor(5) as pool:
        working = [pool.submit(work, database, run, n, begin) for n in range(2)]
        steps = [NOON + hour * HOUR for hour in range(1, HOURS - 1)]
        others = [
            pool.submit(meanwhile, working, lambda n: rescore(database, run, f"m{n % 2}")),
            pool.submit(meanwhile, working, lambda n: prune(database, run, steps[min(n // 3, 3)])),
            pool.submit(meanwhile, working, lambda n: correct(database, run, random.Random(n))),
        ]
        done = [job.result(200) for job in working]
        _, pruned, _ = [job.result(200) for job in others]
    pruned.append(prune(database, run, steps[-1]))

    buckets_equal_recount(database, run.name)
    total = done[0] + done[1]
    assert total.documents + total.repeats == 2 * ROUNDS * 60
    with database.transaction() as connection:
        assert runs.read_counters(connection, run.id) == total
        rows = connection.execute(
            text("""
select (select count(*) from documents where run_id = :run) kept,
    (select count(*) from time_buckets
        where run_id = :run and width = 'minute' and start < :before) minutes,
    (select count(*) from time_buckets where run_id = :run and documents <= 0) empty,
    (select count(*) from document_symbols s where run_id = :run and not exists (
        select from documents d where d.run_id = s.run_id and d.id = s.document_id)) orphans,
    (select count(*) from documents d where run_id = :run and symbols is distinct from array(
        select symbol from document_symbols s
        where s.run_id = d.run_id and s.document_id = d.id and s.published_at = d.published_at
        order by symbol collate "C")) misnamed,
    (select count(*) from documents d where run_id = :run and published_at < :before
        and not exists (select from corrections c
            where c.run_id = d.run_id and c.document_id = d.id)) old
"""),
            {"run": run.id, "before": steps[-1]},
        ).one()
    assert rows.kept == total.documents - sum(pruned)
    assert (rows.minutes, rows.empty, rows.orphans, rows.misnamed, rows.old) == (0, 0, 0, 0, 0)
    assert sum(pruned) > 0


def test_whatever_the_order_the_digest_is_that_of_one_worker_alone(database, make_run):
    run, alone = make_run("run"), make_run("alone")
    with ThreadPoolExecutor(3) as pool:
        begin = Barrier(2)
        working = [pool.submit(work, database, run, n, begin) for n in range(2)]
        rescoring = pool.submit(meanwhile, working, lambda n: rescore(database, run, f"m{n % 2}"))
        for job in (*working, rescoring):
            job.result(200)
    rescore(database, run, "m0")
    for worker in range(2):
        work(database, alone, worker, Barrier(1))
    rescore(database, alone, "m0")

    buckets_equal_recount(database, run.name)
    with database.transaction() as connection:
        assert digest(connection, run.id) == digest(connection, alone.id)
