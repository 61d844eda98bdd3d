"""The demo as a newcomer runs it: one command, a planted scare, an alert that ends."""

import shutil
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from support.checks import buckets_equal_recount
from support.commands import last_json, tapewatch

from store.database import Database
from tapewatch.demo.write_feed import RELIEF_ENDS, SCARE_BEGINS, SCARE_ENDS, SCARE_TICKER

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def data_dir():
    folder = Path(tempfile.mkdtemp(prefix="tapewatch-demo-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def report(data_dir):
    """What `tapewatch demo --exit --json` says, with the embedded PostgreSQL."""
    return last_json(tapewatch("demo", "--exit", "--json", data_dir=data_dir))


def test_every_document_of_the_feed_is_taken_in(report):
    assert report["documents"] == 2996
    assert report["repeats"] == 3
    assert report["dead_letters"] == 0
    assert report["documents_per_second"] > 0


def test_the_scare_fires_within_its_window_and_resolves(report):
    of_bank = [a for a in report["alerts"] if a["key"] == SCARE_TICKER]
    assert len(of_bank) == 1
    fired, resolved = (datetime.fromisoformat(of_bank[0][k]) for k in ("fired_at", "resolved_at"))
    assert SCARE_BEGINS < fired < SCARE_ENDS
    assert fired < resolved <= RELIEF_ENDS


def test_the_card_of_the_scare_says_which_words_made_it(report, data_dir):
    (alert,) = (a for a in report["alerts"] if a["key"] == SCARE_TICKER)
    shown = last_json(
        tapewatch("alerts", "show", alert["rule"], SCARE_TICKER, "--run", "demo", "--json",
                  data_dir=data_dir)
    )  # fmt: skip
    card = shown["cards"][-1]["card"]
    words = card["words"]
    assert {words["model"]} == set(card["models"])
    assert words["documents"] == len(card["drivers"])
    weights = [word["weight"] for word in words["heaviest"]]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > 0.1
    texts = " ".join(f"{d['title']} {d['text']}" for d in card["drivers"]).casefold()
    assert all(word["text"] in texts for word in words["heaviest"])


def test_nothing_fires_outside_the_scare(report):
    for alert in report["alerts"]:
        assert SCARE_BEGINS < datetime.fromisoformat(alert["fired_at"]) < SCARE_ENDS, alert


def test_the_demo_can_be_run_again_and_gives_the_same_digest(report, data_dir):
    first = last_json(tapewatch("digest", "--run", "demo", "--json", data_dir=data_dir))
    again = last_json(
        tapewatch("demo", "--exit", "--json", data_dir=data_dir, batch_documents=77, threads=1)
    )
    assert again["alerts"] == report["alerts"]
    second = last_json(tapewatch("digest", "--run", "demo", "--json", data_dir=data_dir))
    assert second == first
    assert second["counted_documents"] == report["documents"]


def test_alerts_are_listed_and_told_apart_by_run(report, data_dir):
    listed = tapewatch("alerts", "--run", "demo", "--json", data_dir=data_dir).stdout.splitlines()
    assert len(listed) == len(report["alerts"])
    missing = tapewatch("alerts", "--run", "nothing", data_dir=data_dir, fails=True)
    assert "there is no run called 'nothing'; runs: demo" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_replaying_a_finished_feed_again_adds_nothing(database_url, tmp_path):
    from support.feeds import documents, write  # noqa: PLC0415

    feed = write(tmp_path / "small.jsonl", documents(200))
    first = last_json(tapewatch("replay", feed, "--json", database_url=database_url))
    again = last_json(tapewatch("replay", feed, "--json", database_url=database_url))
    assert first["documents"] == again["documents"] == 200
    database = Database(database_url)
    buckets_equal_recount(database, "small")
    database.close()
