import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

import store.database
from store import outbox, runs
from store.database import Database
from store.errors import DatabaseUnavailableError
from store.outbox import Message
from store.schema import metadata
from store.tellings import read_tellings

EPOCH = datetime.fromtimestamp(0, UTC)
SCRIPTS = Path(store.database.__file__).parent / "migrations"


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.close()


def configuration(connection=None):
    made = Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.attributes["connection"] = connection
    return made


def tables(database):
    return set(inspect(database.engine).get_table_names())


def revision(database):
    with database.transaction() as connection:
        return MigrationContext.configure(connection).get_current_heads()


def test_the_migrated_database_is_what_the_code_takes_it_for(database):
    database.migrate()

    with database.transaction() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing_and_keeps_the_rows(database):
    database.migrate()
    with database.transaction() as connection:
        run = runs.open_run(connection, "live")

    database.migrate()

    with database.transaction() as connection:
        assert runs.find_run(connection, "live") == run


def test_it_goes_down_to_nothing_and_up_again(database):
    database.migrate()
    assert tables(database) == {*metadata.tables, "alembic_version"}

    with database.transaction() as connection:
        command.downgrade(configuration(connection), "base")
    assert tables(database) == {"alembic_version"}
    assert revision(database) == ()

    database.migrate()
    assert tables(database) == {*metadata.tables, "alembic_version"}


def test_documents_that_are_there_already_are_given_their_symbols(database):
    with database.transaction() as connection:
        command.upgrade(configuration(connection), "0003")
        connection.execute(text("insert into runs (name) values ('live')"))
        connection.execute(
            text("""
insert into documents (run_id, id, source, kind, published_at, text, topic, sentiment, score,
    topic_probabilities, sentiment_probabilities, truncated, model)
select r.id, n, 's', 'news', now(), 't', 'Macro', 'neutral', 0, '{}', '{}', false, 'm'
from runs r, unnest(array['1', '2']) n""")
        )
        connection.execute(
            text("""
insert into document_symbols (run_id, document_id, symbol, published_at)
select run_id, id, symbol, published_at from documents, unnest(array['b', 'B', 'A']) symbol
where id = '1'""")
        )

    database.migrate()

    with database.transaction() as connection:
        rows = connection.execute(text("select id, symbols from documents order by id")).all()
    assert [tuple(row) for row in rows] == [("1", ["A", "B", "b"]), ("2", [])]


def test_two_processes_may_migrate_at_once(database_url):
    begin = Barrier(3)

    def work():
        database = Database(database_url)
        begin.wait()
        database.migrate()
        found = tables(database)
        database.close()
        return found

    with ThreadPoolExecutor(3) as pool:
        results = [future.result() for future in [pool.submit(work) for _ in range(3)]]

    assert results == [{*metadata.tables, "alembic_version"}] * 3


def test_the_versions_are_one_line():
    scripts = ScriptDirectory.from_config(configuration())

    assert len(scripts.get_heads()) == len(scripts.get_bases()) == 1


def test_a_database_that_is_away_is_told_as_such():
    with pytest.raises(DatabaseUnavailableError, match="PostgreSQL is away"):
        Database("postgresql://127.0.0.1:1/nothing").migrate()


def test_messages_from_before_are_numbered_by_age_and_get_the_key_of_their_alert(database):
    payload = {"run": "live", "rule": "r", "scope": "symbol", "key": "MHBK"}
    old = [(2, "12:00"), (3, "11:00"), (1, "13:00")]
    with database.transaction() as connection:
        command.upgrade(configuration(connection), "0003")
        for number, at in old:
            connection.execute(
                text(
                    "insert into outbox (id, receiver, payload, created_at) "
                    "values (:id, 'desk', cast(:payload as jsonb), :at)"
                ),
                {"id": UUID(int=number), "payload": json.dumps(payload), "at": f"2026-03-10 {at}Z"},
            )
            connection.execute(
                text(
                    "insert into deliveries (outbox_id, attempt, outcome, detail) "
                    "values (:id, 1, :outcome, '')"
                ),
                {"id": UUID(int=number), "outcome": "delivered" if number == 1 else "failed"},
            )

    database.migrate()

    with database.transaction() as connection:
        outbox.post(connection, [Message(UUID(int=9), None, "desk", {}, dedup_key="new")])
        found = [m.id.int for m in outbox.claim(connection, datetime.now(UTC), 9)]
        keys = set(connection.scalars(select(metadata.tables["outbox"].c.dedup_key)))
        reasons = Counter(connection.scalars(select(metadata.tables["deliveries"].c.reason)))
    assert found == [3, 2, 1, 9]
    assert keys == {hashlib.sha256(b"live\x1fr\x1fsymbol\x1fMHBK").hexdigest(), "new"}
    assert reasons == {"accepted": 1, "unknown": 2}


def test_days_are_made_of_the_hours_that_are_there(database):
    with database.transaction() as connection:
        command.upgrade(configuration(connection), "0009")
        connection.exec_driver_sql(
            "insert into runs (name) values ('live');"
            "insert into time_buckets (run_id, width, scope, key, start, kind, documents, negative,"
            " neutral, positive, score_sum) values"
            " (1, 'hour', 'all', '', '2026-03-10 00:00Z', 'news', 2, 1, 0, 1, -5),"
            " (1, 'hour', 'all', '', '2026-03-10 23:00Z', 'news', 3, 0, 3, 0, 7),"
            " (1, 'minute', 'all', '', '2026-03-10 23:00Z', 'news', 3, 0, 3, 0, 7),"
            " (1, 'hour', 'all', '', '2026-03-11 00:00Z', 'news', 1, 0, 0, 1, 1),"
            " (1, 'hour', 'topic', 'Macro', '2026-03-10 05:00Z', 'comment', 1, 1, 0, 0, -9)"
        )

    database.migrate()

    days = text("""
        select scope, key, to_char(start at time zone 'UTC', 'DD HH24'), kind, documents, negative,
            neutral, positive, score_sum
        from time_buckets where width = 'day' order by scope, start
    """)
    with database.transaction() as connection:
        assert [tuple(row) for row in connection.execute(days)] == [
            ("all", "", "10 00", "news", 5, 1, 3, 1, 2),
            ("all", "", "11 00", "news", 1, 0, 0, 1, 1),
            ("topic", "Macro", "10 00", "comment", 1, 1, 0, 0, -9),
        ]
        command.downgrade(configuration(connection), "0009")
        assert connection.execute(days).all() == []


@pytest.mark.parametrize("told", [True, False])
def test_what_fires_while_the_lifecycle_comes_is_still_told_to_end(database, told):
    with database.transaction() as connection:
        command.upgrade(configuration(connection), "0003")
        connection.exec_driver_sql(
            "insert into runs (name) values ('live');"
            "insert into alert_states values (1, 'r', 'k', 'firing', 'epoch', 'epoch');"
            "insert into alert_events (run_id, rule, key, scope, at, previous, state, reason,"
            " severity, fired_at, window_start, window_end) values"
            " (1, 'r', 'k', 'topic', 'epoch', 'inactive', 'firing', 'x', 7, 'epoch', 'epoch',"
            " 'epoch')"
        )
        if told:
            connection.exec_driver_sql(
                "insert into outbox (id, event_id, receiver, payload)"
                " values (gen_random_uuid(), 1, 'console', '{}')"
            )

    database.migrate()

    with database.transaction() as connection:
        (telling,) = read_tellings(connection, 1)
    assert (telling.rule, telling.key, telling.scope, telling.severity) == ("r", "k", "topic", 7)
    assert (telling.state, telling.told_state, telling.event_id) == ("firing", "firing", 1)
    assert (telling.began_at, telling.told_began_at) == (EPOCH, EPOCH)
    assert telling.quiet is not told
