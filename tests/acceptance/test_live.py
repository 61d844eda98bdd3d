"""The live side end to end: into Kafka, scored, judged, and told to a webhook."""

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from support.checks import taken_in
from support.commands import last_json, running, tapewatch, wait_until
from support.feeds import write
from support.kafka import unique_topic

from store.database import Database

pytestmark = pytest.mark.acceptance

RULES = """
[[receivers]]
name = "risk-desk"
type = "webhook"
url = "http://127.0.0.1:{port}/alerts"

[[rules]]
name = "flood"
metric = "documents"
scope = "symbol"
keys = ["MHBK"]
window = "15m"
every = "1m"
threshold = 30
receivers = ["risk-desk"]
"""


@pytest.fixture
def risk_desk():
    """A webhook that keeps what it is told."""
    told = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, told
        server.shutdown()
        thread.join()


def rumours(count):
    """Comments of the last ten minutes about one bank."""
    now = datetime.now(UTC)
    return [
        json.dumps(
            {
                "id": f"rumour-{number}",
                "source": "plaza-forum",
                "kind": "comment",
                "published_at": (now - timedelta(seconds=600 - 12 * number)).isoformat(),
                "text": f"People queue at branch {number} of the bank, withdrawals pile up",
                "symbol": "$mhbk",
            }
        ).encode()
        for number in range(count)
    ]


def test_a_flood_in_kafka_reaches_the_risk_desk_once(broker, database_url, risk_desk, tmp_path):
    port, told = risk_desk
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES.format(port=port))
    settings = {
        "kafka": broker.bootstrap,
        "kafka_topics": f"{unique_topic('news')},{unique_topic('comments')}",
        "kafka_group": unique_topic("group"),
        "database_url": database_url,
        "rules": rules,
        "idle_seconds": 1,
        "allowed_lateness_seconds": 1,
        "evaluate_every_seconds": 1,
        "log_format": "json",
    }
    feed = write(tmp_path / "rumours.jsonl", rumours(50))
    tapewatch("publish", feed, "--partitions", 2, **settings)
    database = Database(database_url)
    database.migrate()
    with (
        running("worker", **settings) as worker,
        running("alerter", **settings) as alerter,
        running("alerter", **settings) as second,
    ):
        wait_until(lambda: taken_in(database, "live") == 50, 90, lambda: worker.output[-3000:])
        wait_until(lambda: told, 60, lambda: alerter.output[-3000:] + second.output[-3000:])
        wait_until(
            lambda: "words_weighed" in alerter.output + second.output, 90,
            lambda: alerter.output[-3000:] + second.output[-3000:],
        )  # fmt: skip
        assert [worker.stop(), alerter.stop(), second.stop()] == [0, 0, 0]
    database.close()
    assert [(t["type"], t["rule"], t["key"]) for t in told] == [("alert.firing", "flood", "MHBK")]
    assert told[0]["documents"] >= 30
    listed = tapewatch("alerts", "--run", "live", "--json", **settings).stdout.splitlines()
    assert [json.loads(line)["fired_at"] for line in listed] == [told[0]["fired_at"]]
    shown = last_json(tapewatch("alerts", "show", "flood", "MHBK", "--json", **settings))
    words = shown["cards"][0]["card"]["words"]
    assert words["model"]
    assert {"queue", "withdrawals", "pile"} & {word["text"] for word in words["heaviest"]}
