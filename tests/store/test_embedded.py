import os
import re

import pytest
from sqlalchemy import text

from store.database import Database
from store.embedded import EmbeddedPostgres, buffers

MIB, GIB = 1024**2, 1024**3


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


def in_bytes(size):
    number, unit = re.fullmatch(r"(\d+)([MG])B", size).groups()
    return int(number) * {"M": MIB, "G": GIB}[unit]


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (512 * MIB, 128 * MIB), (1 * GIB, 128 * MIB), (1 * GIB + 8, 128 * MIB + 1),
        (8 * GIB, 1 * GIB), (16 * GIB, 2 * GIB), (16 * GIB + 8, 2 * GIB), (512 * GIB, 2 * GIB),
    ],
)  # fmt: skip
def test_buffers_are_an_eighth_of_the_memory_within_limits(memory, expected):
    assert buffers(memory) == expected


def test_the_second_start_has_our_settings_and_what_is_committed_is_safe(shown):
    assert shown("max_wal_size", "checkpoint_timeout") == ["4GB", "30min"]
    [size, *others] = shown("shared_buffers", "max_wal_size", "checkpoint_timeout")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert in_bytes(size) == buffers(memory) // MIB * MIB
    assert others == ["4GB", "30min"]
    assert shown("fsync", "full_page_writes", "synchronous_commit") == ["on", "on", "on"]
