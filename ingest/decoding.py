"""Records read: each becomes a document or a dead letter, and neither harms the others.

Knows no source, no model and no database.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from ingest.batch import DeadLetter, Partition, Record
from ingest.document import Document, RejectedRecordError, decode

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a record holds, and when it was polled (seconds of a monotonic clock)."""

    record: Record
    content: Document | DeadLetter
    polled: float

    @property
    def partition(self) -> Partition:
        """The partition that the record is from."""
        return self.record.partition

    @property
    def document(self) -> Document | None:
        """The document, if it is one."""
        return self.content if isinstance(self.content, Document) else None


def read(records: Iterable[Record], now: datetime, polled: float) -> list[Entry]:
    """An entry for each record, in order. ``now`` tells what is dated in the future."""
    return [Entry(record, _content(record, now), polled) for record in records]


def _content(record: Record, now: datetime) -> Document | DeadLetter:
    try:
        return decode(record.payload, now)
    except RejectedRecordError as rejection:
        log.info("dead_letter", at=record.position, reason=str(rejection.reason))
        return DeadLetter(record, rejection.reason, rejection.detail)
