"""Sources that read at a test's pace."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ingest.files import FileSource

if TYPE_CHECKING:
    from ingest.batch import Advance, Record


class BatchByBatch(FileSource):
    """Reads on only when what it has read is committed: no batch overtakes what a test does."""

    _pending = False

    def poll(self, limit: int) -> list[Record] | None:
        """As of a file; nothing while anything is under way."""
        if self._pending:
            time.sleep(0.001)
            return []
        records = super().poll(limit)
        self._pending = bool(records)
        return records

    def committed(self, advances: tuple[Advance, ...]) -> None:
        """It may go on."""
        super().committed(advances)
        self._pending = False
