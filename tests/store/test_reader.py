"""Reading by a role that may do nothing else, and by transactions that are ended in time."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, InternalError, ProgrammingError

import store
from store.database import Database
from store.errors import StatementCutError
from store.reader import READER, make_reader
from store.runs import find_run, open_run
from store.views import summarize_runs

OPERATING = Path(store.__file__).resolve().parents[1] / "docs" / "operating.md"
WRITES = [
    "insert into runs (name) values ('mine')",
    "update runs set name = 'mine'",
    "delete from silences",
    "truncate alert_actions",
    "drop table outbox",
    "create table mine (n int)",
    "alter table runs disable trigger all",
]


@pytest.fixture(scope="module")
def migrated(postgres):
    with postgres.database() as url:
        database = Database(url)
        database.migrate()
        with database.transaction() as connection:
            make_reader(connection)
            connection.exec_driver_sql(f"alter role {READER} password 'reads'")
            open_run(connection, "live")
        yield database
        database.close()


def as_role(url, name, password="reads"):
    return make_url(url).set(username=name, password=password).render_as_string(hide_password=False)


@pytest.fixture
def database(migrated):
    opened = Database(migrated.url, reader_url=as_role(migrated.url, READER))
    yield opened
    opened.close()


@pytest.fixture
def plainly(migrated):
    """As the role, without any of our care: what the server itself forbids."""
    opened = Database(as_role(migrated.url, READER))
    yield opened
    opened.close()


def write_all_the_same(database, statement):
    with database.engine.begin() as connection:
        connection.exec_driver_sql("set transaction read write")
        connection.exec_driver_sql(statement)


def read(database, statement):
    with database.reading() as connection:
        connection.execute(text(statement))


def asked(database, statement):
    with database.reading() as connection:
        return connection.scalar(text(statement))


def test_it_reads_as_the_role_and_writes_as_the_owner(database, migrated):
    assert asked(database, "select current_user") == READER
    with database.reading() as connection:
        assert [run.name for run in summarize_runs(connection)] == ["live"]
    with database.transaction() as connection:
        assert connection.scalar(text("select current_user")) != READER


@pytest.mark.parametrize("statement", WRITES)
def test_a_write_over_the_reading_connection_fails(database, statement):
    with pytest.raises(DBAPIError):
        read(database, statement)
    with database.transaction() as connection:
        assert find_run(connection, "live")


@pytest.mark.parametrize("statement", WRITES)
def test_the_role_has_no_right_to_write_even_where_it_undoes_its_settings(plainly, statement):
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        write_all_the_same(plainly, statement)


def test_the_settings_of_the_role_forbid_to_write_and_end_what_is_slow(plainly):
    with plainly.engine.begin() as connection:
        for name, value in (("default_transaction_read_only", "on"), ("statement_timeout", "10s")):
            assert connection.scalar(text(f"show {name}")) == value


@pytest.mark.parametrize("statement", WRITES[:2])
def test_without_a_role_of_its_own_reading_cannot_write_either(migrated, statement):
    with pytest.raises(InternalError, match="read-only transaction"):
        read(migrated, statement)


def test_a_table_of_a_later_version_can_be_read_too(database, migrated):
    with migrated.transaction() as connection:
        connection.exec_driver_sql("create table later (n int)")
        connection.exec_driver_sql("insert into later values (7)")
    assert asked(database, "select n from later") == 7


def test_a_slow_statement_is_ended_and_the_next_goes_on(database):
    database.reading_seconds = 0.2
    with pytest.raises(StatementCutError):
        asked(database, "select pg_sleep(5)")
    assert asked(database, "select 1") == 1


def test_times_are_utc(database):
    assert asked(database, "show time zone") == "UTC"


def test_it_is_made_once_by_several_at_once(postgres):
    def make(opened):
        with opened.transaction() as connection:
            make_reader(connection)

    with postgres.database() as url:
        opened = [Database(url) for _ in range(4)]
        opened[0].migrate()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(make, opened))
        with opened[0].transaction() as connection:
            can = "select has_table_privilege(:name, 'documents', 'select')"
            assert connection.scalar(text(can), {"name": READER})
        for each in opened:
            each.close()


def test_what_the_page_says_makes_such_a_role(migrated):
    (block,) = re.findall(r"```sql\n(create role.*?)```", OPERATING.read_text(), re.DOTALL)
    with migrated.transaction() as connection:
        owner = connection.scalar(text("select current_user"))
        said = block.replace("tapewatch_reader", "by_the_book").replace("PASSWORD", "reads")
        connection.exec_driver_sql(said.replace("for role tapewatch ", f"for role {owner} "))
    try:
        reader = Database(as_role(migrated.url, "by_the_book"))
        with reader.engine.begin() as connection:
            assert connection.scalar(text("show default_transaction_read_only")) == "on"
            assert connection.scalar(text("show statement_timeout")) == "10s"
            assert find_run(connection, "live")
        with pytest.raises(ProgrammingError, match="permission denied"):
            write_all_the_same(reader, WRITES[0])
        reader.close()
    finally:
        with migrated.transaction() as connection:
            connection.exec_driver_sql("drop owned by by_the_book; drop role by_the_book")
