"""Bad records of every kind among good ones: each ends as a dead letter, nothing stops."""

import pytest
from sqlalchemy import text
from support.checks import buckets_equal_recount, count
from support.commands import last_json, tapewatch
from support.feeds import documents, poison, with_poison, write

from store.database import Database

pytestmark = pytest.mark.acceptance


def test_good_records_are_scored_and_bad_ones_kept_with_reason_and_position(database_url, tmp_path):
    good = documents(900)
    mixed, placed = with_poison(good, every=99)
    assert set(placed.values()) == set(poison())
    feed = write(tmp_path / "poisoned.jsonl", mixed)
    report = last_json(
        tapewatch("replay", feed, "--json", database_url=database_url, batch_documents=64)
    )
    assert report["documents"] + report["repeats"] == len(good)
    assert report["dead_letters"] == len(placed)
    database = Database(database_url)
    with database.transaction() as connection:
        rows = connection.execute(text('select "offset", reason, payload from dead_letters')).all()
    assert {row[0]: row[1] for row in rows} == placed
    assert all(mixed[row[0]] == bytes(row[2]) for row in rows)
    assert count(database, "documents", "poisoned") == report["documents"]
    buckets_equal_recount(database, "poisoned")
    database.close()
    listed = tapewatch("dead-letters", "--run", "poisoned", "--json", database_url=database_url)
    assert len(listed.stdout.splitlines()) == len(placed)
