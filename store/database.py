"""The door to PostgreSQL: pooled engines, transactions, and the migrations.

Errors that pass (a server that restarts, a deadlock, a dropped connection) come out as
``DatabaseUnavailableError``, so that callers know what may be tried again. Knows no table.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from store.errors import DatabaseUnavailableError, StatementCutError, StoreError
from store.reader import SECONDS

__all__ = ["Connection", "Database", "copy_rows"]

_MIGRATION_LOCK = 0x7461_7065
_PASSING = ("40001", "40P01", "57P01", "57P02", "57P03", "53300")
"""Serialization failure, deadlock, the three ways of a server going down, too many clients."""


_CANCELLED = "57014"


class Database:
    """One PostgreSQL database; ``reader_url`` is its address for a role that may only read."""

    def __init__(
        self, url: str, application: str = "tapewatch", reader_url: str | None = None
    ) -> None:
        self.url = url
        self.engine = _engine(url, application)
        # Without a role of its own, what reads has connections of its own all the same: it never
        # waits for those that write.
        self.reader = _engine(reader_url or url, f"{application}-reader")
        self.reading_seconds = SECONDS

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction, committed at the end; passing errors as DatabaseUnavailableError."""
        with _translated(), self.engine.begin() as connection:
            connection.execute(text("set local time zone 'UTC'"))
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that cannot write; a statement is ended after ``reading_seconds``.

        Raises DatabaseUnavailableError, and StatementCutError where one was ended.
        """
        limit = f"set local statement_timeout = {max(1, round(self.reading_seconds * 1000))}"
        with _translated(), self.reader.begin() as connection:
            # In one go, and not as options of the connection, which a pooler might not pass on.
            connection.exec_driver_sql(
                f"set transaction read only; set local time zone 'UTC'; {limit}"
            )
            yield connection

    def migrate(self) -> None:
        """Bring the schema up to date; safe when several processes start at once."""
        with self.transaction() as connection:
            lock = text("select pg_advisory_xact_lock(:key)")
            connection.execute(lock, {"key": _MIGRATION_LOCK})
            configuration = Config()
            scripts = Path(__file__).parent / "migrations"
            configuration.set_main_option("script_location", str(scripts))
            configuration.attributes["connection"] = connection
            heads = ScriptDirectory.from_config(configuration).get_heads()
            current = MigrationContext.configure(connection).get_current_heads()
            if set(heads) != set(current):
                command.upgrade(configuration, "head")

    @contextmanager
    def try_lock(self, key: int) -> Iterator[bool]:
        """Hold a session-wide advisory lock; yields False at once where another holds it."""
        with _translated(), self.engine.connect() as connection:
            names = {"key": key}
            held = bool(connection.scalar(text("select pg_try_advisory_lock(:key)"), names))
            connection.commit()
            try:
                yield held
            finally:
                if held:
                    connection.execute(text("select pg_advisory_unlock(:key)"), names)
                    connection.commit()

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
        self.reader.dispose()


def as_user(url: str, name: str | None, password: str | None = None) -> str:
    """The address of the same database for another user, or with another password."""
    target = make_url(url)
    changed = target.set(username=name or target.username, password=password)
    return changed.render_as_string(hide_password=False)


def _engine(url: str, application: str) -> Engine:
    target = make_url(url)
    if target.get_backend_name() != "postgresql":
        raise StoreError(f"only PostgreSQL is supported, not {target.get_backend_name()!r}")
    return create_engine(
        target.set(drivername="postgresql+psycopg"),
        connect_args={"application_name": application, "connect_timeout": 5},
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=28,  # a sender has one for each receiver that keeps it waiting
    )


def copy_rows(
    connection: Connection, statement: LiteralString, rows: Iterable[Sequence[object]]
) -> None:
    """Write ``rows`` by a ``copy ... from stdin`` statement, in the connection's transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the engine is made for psycopg
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what will pass into DatabaseUnavailableError and leave the rest alone."""
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _CANCELLED:
            raise StatementCutError(f"PostgreSQL ended the statement: {error.orig}") from error
        if _passing(error):
            raise DatabaseUnavailableError(f"PostgreSQL is away: {error.orig}") from error
        raise
    except psycopg.OperationalError as error:  # COPY runs on the driver itself
        raise DatabaseUnavailableError(f"PostgreSQL is away: {error}") from error


def _passing(error: DBAPIError) -> bool:
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state in _PASSING or state.startswith("08")
    return isinstance(error, OperationalError)
