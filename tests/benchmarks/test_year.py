"""The year that the dashboard is measured on is a real one, however small it is made."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from support.checks import buckets_equal_recount, count
from year import Year, fill

from store import alertlog, buckets, cards, corrections, health, outbox
from store.database import Database
from store.runs import read_counters

END = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
YEAR = Year(END, documents=40_000, days=40, firings=24)


@pytest.fixture(scope="module")
def database(postgres):
    with postgres.database() as url:
        opened = Database(url)
        opened.migrate()
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def run(database):
    return fill(database, YEAR)


def test_every_document_is_there_and_counted_in_its_buckets(database, run):
    with database.transaction() as connection:
        first, last = buckets.span(connection, run.id)
        counted = read_counters(connection, run.id)
        keys = [
            key for scope in buckets.SCOPES for key in buckets.list_keys(connection, run.id, scope)
        ]

    assert count(database, "documents", "live") == counted.documents == YEAR.documents
    assert YEAR.start <= first < last < END
    assert len(keys) == 1 + 120
    buckets_equal_recount(database, "live")


def test_nights_and_weekends_are_quiet(database, run):
    statement = text("""
        select extract(hour from start), extract(isodow from start), sum(documents)
        from time_buckets where run_id = :run and width = 'hour' and scope = 'all' group by 1, 2
    """)
    with database.transaction() as connection:
        hours = {(h, d): n for h, d, n in connection.execute(statement, {"run": run.id})}

    assert hours[14, 3] > 5 * hours[2, 3]
    assert hours[14, 3] > 2 * hours[14, 7]


def test_alerts_are_told_and_explained(database, run):
    with database.transaction() as connection:
        alerts = alertlog.read_alerts(connection, "live")
        firing = [each for each in alerts if each.resolved_at is None]
        why = cards.read_cards_of_firings(
            connection, run.id, [(each.rule, each.key, each.fired_at) for each in firing]
        )
        told = outbox.count_by_status(connection)
        outcomes = {found.outcome for found in health.count_by_outcome(connection, YEAR.start)}

    assert len(alerts) == YEAR.firings
    assert len(firing) == len(why) == 8
    assert all(END - timedelta(days=1) < each.fired_at < END for each in firing)
    assert sum(bool(row.card["drivers"]) for row in why.values()) > 4
    assert told["delivered"] > told["dead"] > 0
    assert outcomes == {"delivered", "dead", "failed"}


def test_some_records_were_turned_away_and_some_documents_corrected(database, run):
    with database.transaction() as connection:
        reasons = health.read_reasons(connection, run.id)
        said = corrections.read_corrections(connection)

    assert sum(found.count for found in reasons) == 3000
    assert len(reasons) > 3
    assert len(said) == 300
