"""The database of the settings, or the embedded one, migrated and ready."""

from collections.abc import Iterator
from contextlib import contextmanager

from store.database import Database, as_user
from store.embedded import EmbeddedPostgres
from store.reader import READER, make_reader
from tapewatch.settings import Settings


@contextmanager
def open_database(settings: Settings, application: str = "tapewatch") -> Iterator[Database]:
    """Yield the database; an embedded server stops at the end if nobody else uses it."""
    if settings.database_url is not None:
        server = None
        url = settings.database_url.get_secret_value()
        reader_url = _reader_url(settings, url)
    else:
        server = EmbeddedPostgres(settings.data_dir)
        url, reader_url = server.url, server.reader_url
    database = Database(url, application, reader_url)
    try:
        database.migrate()
        if server is not None:
            with database.transaction() as connection:
                make_reader(connection)
        yield database
    finally:
        database.close()
        if server is not None:
            server.close()


def make_reader_of(database: Database, settings: Settings) -> bool:
    """Make the role that may only read, where the settings have a password for it."""
    password = settings.database_reader_password
    if settings.database_url is None or password is None:
        return False
    with database.transaction() as connection:
        make_reader(connection, password.get_secret_value())
    return True


def _reader_url(settings: Settings, url: str) -> str | None:
    """The address to read by; that of the database as the reader, where only a password is set."""
    password = settings.database_reader_password
    named = settings.database_reader_url
    known = named.get_secret_value() if named is not None else None
    if password is None:
        return known
    return as_user(known or as_user(url, READER), None, password.get_secret_value())
