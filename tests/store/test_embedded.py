import pytest
from sqlalchemy import text

from store.database import Database
from store.embedded import EmbeddedPostgres


@pytest.fixture
def shown(tmp_path):
    """Settings of the embedded server of a folder, from one start of it."""

    def shown(*names):
        server = EmbeddedPostgres(tmp_path)
        database = Database(server.url)
        try:
            with database.transaction() as connection:
                return [connection.scalar(text(f"show {name}")) for name in names]
        finally:
            database.close()
            server.close()

    return shown


def test_the_second_start_has_our_settings_and_what_is_committed_is_safe(shown):
    assert shown("max_wal_size", "checkpoint_timeout") == ["4GB", "30min"]
    assert shown("shared_buffers", "max_wal_size", "checkpoint_timeout") == [
        "512MB", "4GB", "30min",
    ]  # fmt: skip
    assert shown("fsync", "full_page_writes", "synchronous_commit") == ["on", "on", "on"]
