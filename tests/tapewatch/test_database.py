"""The database that the settings name, and as whom it is read."""

from pydantic import SecretStr
from sqlalchemy import make_url, text

from store.reader import READER, make_reader
from store.runs import list_runs, open_run
from tapewatch.database import open_database
from tapewatch.settings import Settings


def who_reads(database):
    with database.reading() as connection:
        assert list_runs(connection) is not None
        return connection.scalar(text("select current_user"))


def test_the_embedded_database_is_read_by_a_role_that_may_only_read(tmp_path):
    settings = Settings(data_dir=tmp_path, database_url=None, _env_file=None)
    for _ in range(2):
        with open_database(settings) as database:
            assert who_reads(database) == READER
            with database.transaction() as connection:
                open_run(connection, "live")


def test_a_server_of_ones_own_is_read_by_the_address_for_that(database_url):
    with open_database(Settings(database_url=SecretStr(database_url), _env_file=None)) as database:
        owner = who_reads(database)
        with database.transaction() as connection:
            assert connection.scalar(text("select current_user")) == owner
            make_reader(connection)
            connection.exec_driver_sql(f"alter role {READER} password 'reads'")
    reader = make_url(database_url).set(username=READER, password="reads")
    settings = Settings(
        database_url=SecretStr(database_url),
        database_reader_url=SecretStr(reader.render_as_string(hide_password=False)),
        _env_file=None,
    )
    with open_database(settings) as database:
        assert who_reads(database) == READER
