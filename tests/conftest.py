"""Fixtures shared by all tests; each imports its tool on first use: unit tests start nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from support.kafka import Broker
    from support.postgres import Postgres

    from store.database import Database


def pytest_configure(config: pytest.Config) -> None:
    """Let kafka-python and Apprise be imported: before Python 3.13 that alone is a warning."""
    for warning in ("(read|open)_text is deprecated", "'imghdr' is deprecated"):
        config.addinivalue_line("filterwarnings", f"ignore:{warning}:DeprecationWarning")


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One Kafka for the session: keep tests apart by `unique_topic`."""
    from support.kafka import start_broker  # noqa: PLC0415

    with start_broker() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for the session."""
    from support.postgres import start_postgres  # noqa: PLC0415

    server = start_postgres()
    yield server
    server.close()


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """The address of an empty database of the test's own."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Iterator[Database]:
    """A migrated database that the tests of one module share; each cleans up its runs."""
    from store.database import Database  # noqa: PLC0415

    with postgres.database() as url:
        opened = Database(url)
        opened.migrate()
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium; not for the session, since asyncio.run fails in this thread while it lives."""
    from support.browser import chromium  # noqa: PLC0415

    with chromium() as running:
        yield running
