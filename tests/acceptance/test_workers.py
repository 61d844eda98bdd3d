"""Two workers share twelve partitions: each its part, none twice, and there is no deadlock."""

import time

import pytest
from sqlalchemy import text
from support.checks import buckets_equal_recount, taken_in
from support.commands import running, tapewatch, wait_until
from support.feeds import documents, with_poison, write
from support.kafka import unique_topic
from support.metrics import free_port, scraped

from store.database import Database

pytestmark = pytest.mark.acceptance


def lags(port):
    """The lag of each partition that is the worker's."""
    return {key[1:]: lag for key, lag in scraped(port).items() if key[0] == "tapewatch_lag_records"}


def test_two_workers_share_twelve_partitions_and_their_metrics_add_up(
    broker, database_url, tmp_path
):
    settings = {
        "kafka": broker.bootstrap,
        "kafka_topics": f"{unique_topic('news')},{unique_topic('comments')}",
        "kafka_group": unique_topic("group"),
        "kafka_session_timeout_ms": 6000,
        "database_url": database_url,
        "threads": 1,
        "batch_tokens": 600,
        "batch_wait_milliseconds": 20,
        "log_format": "json",
    }
    ports = [free_port(), free_port()]
    records, poisoned = with_poison(documents(1200), every=100)
    half = len(records) // 2
    first, second = (
        write(tmp_path / name, part)
        for name, part in (("first.jsonl", records[:half]), ("second.jsonl", records[half:]))
    )
    tapewatch("publish", first, "--partitions", 6, **settings)
    database = Database(database_url)
    database.migrate()
    with (
        running("worker", **settings, metrics_port=ports[0]) as one,
        running("worker", **settings, metrics_port=ports[1]) as other,
    ):
        for worker in (one, other):
            worker.wait_for("partitions_placed")

        def shared():
            owned = [set(lags(port)) for port in ports]
            return [len(part) for part in owned] == [6, 6] and not owned[0] & owned[1]

        wait_until(shared, 90, lambda: one.output[-2000:] + other.output[-2000:])
        tapewatch("publish", second, **settings)
        wait_until(lambda: taken_in(database, "live") == len(records), 180)
        wait_until(lambda: not any(sum(lags(port).values()) for port in ports), 30)
        time.sleep(0.5)
        seen = [scraped(port) for port in ports]
        assert [one.stop(), other.stop()] == [0, 0]

    def both(name):
        return sum(value for page in seen for key, value in page.items() if key[0] == name)

    assert all(page["tapewatch_documents_total",] > 0 for page in seen)
    good = both("tapewatch_documents_total") + both("tapewatch_repeats_total")
    assert good == len(records) - len(poisoned)
    assert both("tapewatch_dead_letters_total") == len(poisoned)
    assert both("tapewatch_publish_to_commit_seconds_count") == good
    assert both("tapewatch_batch_records_sum") == len(records)
    assert both("tapewatch_flushes_total") == both("tapewatch_batch_fill_count")
    buckets_equal_recount(database, "live")
    with database.transaction() as connection:
        deadlocks = connection.scalar(
            text("select deadlocks from pg_stat_database where datname = current_database()")
        )
    assert deadlocks == 0
    database.close()
