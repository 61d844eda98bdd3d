"""Scaling out, with the shipped weights: a shared scorer, and an archive on Ray Data."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.checks import taken_in
from support.commands import last_json, running, tapewatch, wait_until
from support.feeds import documents, write
from support.kafka import unique_topic

from store.database import Database

pytestmark = pytest.mark.acceptance

ONE_THREAD = {"threads": 1}
"""The same sums in the same order wherever a text is scored."""


@contextmanager
def shared_scorer(**settings):
    """`tapewatch serve` on a free port; the process and its address."""
    with running("serve", serve_port=0, **ONE_THREAD, **settings) as server:
        server.wait_for("scorer_ready", 120)
        yield server, re.search(r"http://127\.0\.0\.1:\d+", server.output)[0]


def test_a_replay_through_a_shared_scorer_has_the_digest_of_a_local_one(database_url, tmp_path):
    feed = write(tmp_path / "feed.jsonl", documents(600))
    here = {"database_url": database_url, "data_dir": tmp_path, **ONE_THREAD}
    tapewatch("replay", feed, "--run", "local", **here)
    with shared_scorer(scorer_token="hush", batch_documents=100) as (server, url):
        there = {**here, "scorer_url": url, "scorer_token": "hush"}
        refused = tapewatch("replay", feed, "--run", "refused", fails=True,
                            **{**there, "scorer_token": "wrong"})  # fmt: skip
        assert "set TAPEWATCH_SCORER_TOKEN" in refused.stderr
        assert "Traceback" not in refused.stderr
        report = last_json(tapewatch("replay", feed, "--run", "shared", "--json", **there))
        assert server.stop() == 0, server.output
    assert report["documents"] > 500
    digests = {tapewatch("digest", "--run", name, **here).stdout for name in ("local", "shared")}
    assert len(digests) == 1


def test_workers_share_a_scorer_and_outlive_its_restart(broker, database_url, tmp_path):
    feed = write(tmp_path / "feed.jsonl", documents(400))
    kafka = {
        "kafka": broker.bootstrap,
        "kafka_topics": f"{unique_topic('news')},{unique_topic('comments')}",
        "kafka_group": unique_topic("group"),
    }
    settings = {**kafka, "database_url": database_url, "batch_documents": 20}
    tapewatch("publish", feed, "--partitions", 2, **settings)
    database = Database(database_url)
    database.migrate()

    def taken():
        return taken_in(database, "live")

    with shared_scorer() as (server, url):
        port = url.rpartition(":")[2]
        shared = {**settings, "scorer_url": url}
        with running("worker", **shared) as one, running("worker", **shared) as two:
            wait_until(lambda: taken() > 0, 90, lambda: one.output[-3000:] + two.output[-3000:])
            server.kill()
            with running("serve", serve_port=port, **ONE_THREAD):
                wait_until(lambda: taken() == 400, 120, lambda: one.output + two.output)
            assert [one.stop(), two.stop()] == [0, 0]
    database.close()


def test_a_worker_that_scores_elsewhere_needs_no_torch():
    modules = "tapewatch.commands.live, tapewatch.wiring, sys"
    code = f"import {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_archive_scored_on_ray_is_the_one_scored_here_bit_for_bit(tmp_path):
    found = [json.loads(row) for row in documents(300)]
    columns = {
        name: pa.array([row.get(name) for row in found] + [extra], pa.string())
        for name, extra in (("id", "long"), ("title", None), ("text", "shares plunge " * 400))
    }
    parquet.write_table(pa.table(columns), tmp_path / "archive.parquet")
    for engine, options in (("local", ()), ("ray", ("--workers", 2))):
        done = tapewatch(
            "rescore", "--input", "archive.parquet", "--output", engine, "--engine", engine,
            *options, "--batch", 40, "--json", folder=tmp_path, **ONE_THREAD,
        )  # fmt: skip
        report = last_json(done)
        assert (report["documents"], report["truncated"]) == (301, 1)
        assert "Traceback" not in done.stderr
        assert "Warning" not in done.stderr
    local, ray = (parquet.read_table(tmp_path / engine) for engine in ("local", "ray"))
    assert local.equals(ray)
    assert local["id"].to_pylist() == columns["id"].to_pylist()
