"""The database of the settings, or the embedded one, migrated and ready."""

from collections.abc import Iterator
from contextlib import contextmanager

from store.database import Database
from store.embedded import EmbeddedPostgres
from store.reader import make_reader
from tapewatch.settings import Settings


@contextmanager
def open_database(settings: Settings, application: str = "tapewatch") -> Iterator[Database]:
    """Yield the database; an embedded server stops at the end if nobody else uses it."""
    if settings.database_url is not None:
        server = None
        url = settings.database_url.get_secret_value()
        reader = settings.database_reader_url
        reader_url = reader.get_secret_value() if reader is not None else None
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
