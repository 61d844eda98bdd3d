"""PostgreSQL goes away in the middle of a feed and comes back: nothing is lost."""

import os
import tempfile
import time
from pathlib import Path

import pytest
from support.checks import buckets_equal_recount, count, taken_in
from support.commands import last_json, running, tapewatch, wait_until
from support.feeds import documents, write
from support.postgres import PostgresServer

from store.database import Database

pytestmark = pytest.mark.acceptance

AWAY_SECONDS = float(os.environ.get("TAPEWATCH_TEST_OUTAGE_SECONDS", "4"))


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_replay_outlives_an_outage_of_the_database(mode, tmp_path):
    feed = write(tmp_path / "feed.jsonl", documents(1000))
    with tempfile.TemporaryDirectory(prefix="tapewatch-") as folder:
        server = PostgresServer(Path(folder) / "pg")
        url = server.new_database()
        database = Database(url)
        database.migrate()
        settings = {"database_url": url, "batch_documents": 32}
        with running("replay", feed, "--json", **settings) as replay:
            wait_until(lambda: taken_in(database, "feed") > 100, 90)
            server.stop(mode)
            time.sleep(AWAY_SECONDS)
            assert replay.alive
            assert "waiting_for_database" in replay.output
            server.start()
            wait_until(lambda: not replay.alive, 120, lambda: replay.output[-3000:])
            assert replay.stop() == 0
        database.close()
        database = Database(url)
        assert taken_in(database, "feed") == 1000
        buckets_equal_recount(database, "feed")
        undisturbed = last_json(
            tapewatch("replay", feed, "--run", "calm", "--json", database_url=url)
        )
        assert count(database, "documents", "feed") == undisturbed["documents"]
        digests = [
            last_json(tapewatch("digest", "--run", run, "--json", database_url=url))["run"]
            for run in ("feed", "calm")
        ]
        assert digests[0] == digests[1]
        database.close()
        server.close()
