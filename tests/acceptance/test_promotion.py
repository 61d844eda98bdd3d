"""A worker on a real Kafka takes a promotion and a rollback up between batches, and keeps on."""

import json

import pytest
from sqlalchemy import text
from support.checks import buckets_equal_recount, taken_in
from support.commands import last_json, running, tapewatch, wait_until
from support.feeds import documents, write
from support.kafka import unique_topic
from support.tiny_weights import write_weights

from classifier.engine import Engine
from store.database import Database

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

PART = 150


@pytest.fixture
def settings(broker, database_url, tmp_path):
    return {
        "kafka": broker.bootstrap,
        "kafka_topics": unique_topic("news"),
        "kafka_group": unique_topic("group"),
        "kafka_session_timeout_ms": 20_000,
        "database_url": database_url,
        "models_dir": tmp_path / "models",
        "batch_documents": 32,
        "threads": 1,
        "log_format": "json",
    }


@pytest.fixture
def challenger(tmp_path):
    """Weights with a card, and other topics than those that ship."""
    folder = write_weights(tmp_path / "tiny", {"Oil": "oil", "Rest": "week"}, {"negative": "falls"})
    version = Engine(folder, "cpu", 1).version
    labels = {"topics": ["Oil", "Rest"], "sentiments": ["negative", "neutral", "positive"]}
    (folder / "card.json").write_text(json.dumps({"version": version, "labels": labels}))
    return folder, version


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    opened.migrate()
    yield opened
    opened.close()


def by_model(database):
    with database.transaction() as connection:
        rows = connection.execute(text("select model, count(*) from documents group by model"))
        return {row[0]: row[1] for row in rows}


def test_a_worker_follows_a_promotion_and_a_rollback(settings, database, challenger, tmp_path):
    folder, version = challenger
    records = list({json.loads(record)["id"]: record for record in documents(4 * PART)}.values())
    parts = [records[first * PART :][:PART] for first in range(3)]
    feeds = [write(tmp_path / f"{i}.jsonl", part) for i, part in enumerate(parts)]
    shipped = last_json(tapewatch("models", "--add", folder, "--json", **settings))["serving"]

    def take_in(number):
        tapewatch("publish", feeds[number], "--partitions", 2, **settings)
        wanted = sum(map(len, parts[: number + 1]))
        wait_until(lambda: taken_in(database, "live") >= wanted, 300, lambda: worker.output[-3000:])

    tapewatch("publish", feeds[0], "--partitions", 2, **settings)
    with running("worker", **settings) as worker:
        wait_until(lambda: taken_in(database, "live") >= PART, 300, lambda: worker.output[-3000:])
        refused = tapewatch("promote", fails=True, **settings)
        assert "is not promoted" in refused.stderr
        tapewatch("promote", "--force", "a test", **settings)
        take_in(1)
        tapewatch("rollback", **settings)
        take_in(2)
        assert worker.stop() == 0
        # The session outlived both switches: the partitions were never given anew.
        assert worker.output.count("weights_switched") == 2
        assert worker.output.count("partitions_placed") == 1, worker.output

    assert by_model(database) == {shipped: 2 * PART, version: PART}
    buckets_equal_recount(database, "live")
