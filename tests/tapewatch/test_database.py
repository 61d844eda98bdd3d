"""The database that the settings name, and as whom it is read."""

import base64
import hashlib
import hmac
import re

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text
from typer.testing import CliRunner

from store.database import Database
from store.reader import READER, make_reader
from store.runs import list_runs, open_run
from tapewatch.cli import app
from tapewatch.database import open_database
from tapewatch.settings import Settings

ODD = "p@ss:/%'\"\\ \u5bc6 $1"


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


@pytest.fixture
def by_password(database_url, monkeypatch):
    """The variables that docker-compose.yml gives to ``migrate`` and to the dashboard."""
    monkeypatch.setenv("TAPEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("TAPEWATCH_DATABASE_READER_PASSWORD", ODD)
    return database_url


def test_migrate_makes_the_role_and_the_dashboard_reads_as_it(by_password):
    for _ in range(2):
        done = CliRunner().invoke(app, ["migrate"])
        assert (done.exit_code, done.exception) == (0, None)
        assert READER in done.stdout
        assert ODD not in done.stdout
    with open_database(Settings(_env_file=None)) as database:
        assert who_reads(database) == READER
        with database.transaction() as connection:
            open_run(connection, "live")
            known = "select rolpassword from pg_authid where rolname = :name"
            assert is_password(connection.scalar(text(known), {"name": READER}), ODD)
            rights = (
                "select rolsuper, rolcreaterole, rolcreatedb from pg_roles where rolname = :name"
            )
            assert tuple(connection.execute(text(rights), {"name": READER}).one()) == (False,) * 3


def is_password(kept, password):
    """Whether PostgreSQL keeps that password: SCRAM-SHA-256 by RFC 5803."""
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)", kept)
    rounds, salt, stored = int(found[1]), base64.b64decode(found[2]), base64.b64decode(found[3])
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    key = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(key).digest() == stored


def test_an_address_for_reading_is_given_the_password(by_password, monkeypatch):
    other = make_url(by_password).set(username="somebody")
    monkeypatch.setenv("TAPEWATCH_DATABASE_READER_URL", other.render_as_string(hide_password=False))
    with open_database(Settings(_env_file=None)) as database:
        read_by = database.reader.url
        assert (read_by.username, read_by.password) == ("somebody", ODD)
        assert database.engine.url.username == make_url(by_password).username


def test_a_user_who_may_make_no_role_is_told_what_to_do(by_password, monkeypatch):
    owner = Database(by_password)
    with owner.transaction() as connection:
        connection.exec_driver_sql("drop role if exists plain_owner; create role plain_owner login")
        connection.exec_driver_sql("grant all on schema public to plain_owner")
    plain = make_url(by_password).set(username="plain_owner").render_as_string(hide_password=False)
    monkeypatch.setenv("TAPEWATCH_DATABASE_URL", plain)
    try:
        done = CliRunner().invoke(app, ["migrate"])
        assert "may not make roles" in str(done.exception)
        assert "TAPEWATCH_DATABASE_READER_PASSWORD" in str(done.exception)
    finally:
        with owner.transaction() as connection:
            connection.exec_driver_sql("drop owned by plain_owner cascade; drop role plain_owner")
        owner.close()
