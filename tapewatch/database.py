"""The database of the settings, or the embedded one, migrated and ready."""

from collections.abc import Iterator
from contextlib import contextmanager

from store.database import Database
from store.embedded import EmbeddedPostgres
from tapewatch.settings import Settings


@contextmanager
def open_database(settings: Settings, application: str = "tapewatch") -> Iterator[Database]:
    """Yield the database; an embedded server stops at the end if nobody else uses it."""
    if settings.database_url is not None:
        server = None
        url = settings.database_url.get_secret_value()
    else:
        server = EmbeddedPostgres(settings.data_dir)
        url = server.url
    database = Database(url, application)
    try:
        database.migrate()
        yield database
    finally:
        database.close()
        if server is not None:
            server.close()
