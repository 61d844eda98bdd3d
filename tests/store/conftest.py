"""A database that is migrated and empty, and a transaction in it."""

from collections.abc import Iterator

import pytest

from store.database import Connection, Database


@pytest.fixture
def connection(database_url) -> Iterator[Connection]:
    database = Database(database_url)
    database.migrate()
    with database.transaction() as connection:
        yield connection
    database.close()
