"""Exactly once in effect: workers on a real Kafka, killed and rebalanced, lose and double nothing.

The size of the feed and the number of kills can be raised by TAPEWATCH_TEST_FEED (a JSONL.gz
file), TAPEWATCH_TEST_DOCUMENTS and TAPEWATCH_TEST_KILLS.
"""

import os
import random
import time
from pathlib import Path

import pytest
from kafka import KafkaProducer
from support.checks import buckets_equal_recount, taken_in
from support.commands import DEMO_FEED, Running, last_json, running, tapewatch, wait_until
from support.feeds import documents, poison, with_poison, write
from support.kafka import unique_topic

from store.database import Database

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

FEED = Path(os.environ.get("TAPEWATCH_TEST_FEED", DEMO_FEED))
DOCUMENTS = int(os.environ.get("TAPEWATCH_TEST_DOCUMENTS", "1500"))
KILLS = int(os.environ.get("TAPEWATCH_TEST_KILLS", "3"))


@pytest.fixture
def settings(broker, database_url):
    """One run's settings: topics and a group of its own."""
    topics = [unique_topic("news"), unique_topic("comments")]
    return {
        "kafka": broker.bootstrap,
        "kafka_topics": ",".join(topics),
        "kafka_group": unique_topic("group"),
        "kafka_session_timeout_ms": 6000,
        "database_url": database_url,
        "batch_documents": 64,
        "threads": 1,
        "log_format": "json",
    }


def test_killed_and_rebalanced_workers_equal_an_undisturbed_replay(settings, tmp_path):
    records = documents(DOCUMENTS, FEED)
    feed = write(tmp_path / "feed.jsonl", records)
    sent = last_json(tapewatch("publish", feed, "--partitions", 6, "--json", **settings))
    assert sent["published"] == len(records)
    database = Database(settings["database_url"])
    database.migrate()
    command = ("worker", "--run", "kafka")
    workers = [Running(command, settings), Running(command, settings)]
    chance = random.Random(7)
    try:
        for kill in range(KILLS):
            aim = len(records) * (kill + 1) // (KILLS + 2)
            wait_until(lambda aim=aim: taken_in(database, "kafka") >= aim, 300)
            time.sleep(chance.random() / 2)
            victim = chance.randrange(2)
            workers[victim].kill()
            workers[victim].close()
            workers[victim] = Running(command, settings)
        with running(*command, **settings) as third:  # joins and leaves: two more rebalances
            third.wait_for("partitions_placed")
            assert third.stop() == 0
        wait_until(lambda: taken_in(database, "kafka") >= len(records), 600)
        time.sleep(2)  # whoever still counts twice would do it now
        assert [worker.stop() for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.close()
    assert taken_in(database, "kafka") == len(records)
    buckets_equal_recount(database, "kafka")
    database.close()
    tapewatch("alerter", "--run", "kafka", "--finish", **settings)
    calm = last_json(tapewatch("replay", feed, "--run", "calm", "--json", **settings))
    digests = {
        run: last_json(tapewatch("digest", "--run", run, "--json", **settings))
        for run in ("kafka", "calm")
    }
    for part in ("counted_documents", "documents", "buckets", "alerts", "run"):
        assert digests["kafka"][part] == digests["calm"][part], part
    assert calm["documents"] == digests["kafka"]["counted_documents"]


def test_poison_in_kafka_becomes_dead_letters_and_the_rest_is_scored(settings, tmp_path):
    good = documents(180)
    mixed, placed = with_poison(good, every=20)
    feed = write(tmp_path / "feed.jsonl", mixed)
    tapewatch("publish", feed, "--partitions", 3, **settings)
    topic = settings["kafka_topics"].split(",")[0]
    producer = KafkaProducer(bootstrap_servers=settings["kafka"])
    producer.send(topic, key=b"gone", value=None).get(30)  # a tombstone, as compacted topics have
    producer.close()
    database = Database(settings["database_url"])
    database.migrate()
    with running("worker", **settings) as worker:
        wait_until(
            lambda: taken_in(database, "live") >= len(mixed) + 1, 120, lambda: worker.output[-3000:]
        )
        assert worker.stop() == 0
    database.close()
    listed = tapewatch("dead-letters", "--json", "--limit", 1000, **settings).stdout
    assert listed.count('"reason"') == len(placed) + 1
    for reason in poison():
        assert f'"reason": "{reason}"' in listed
    assert '"reason": "tombstone"' in listed


def test_a_worker_without_kafka_says_what_to_do(database_url):
    done = tapewatch(
        "worker", kafka="127.0.0.1:1", database_url=database_url, fails=True, seconds=120
    )
    assert "TAPEWATCH_KAFKA" in done.stderr
    assert "Traceback" not in done.stderr
