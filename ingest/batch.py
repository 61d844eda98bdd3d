"""The batch contract: records with their positions, and what became of them.

Shared by the pipeline, which fills batches, and the store, which commits them; ``P`` is whatever
the scorer makes of a document. Knows no source and no database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from ingest.document import Document, Reason

P = TypeVar("P")


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One ordered log of records: a Kafka partition, or a file (partition 0)."""

    source: str
    number: int

    def __str__(self) -> str:
        return f"{self.source}[{self.number}]"


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes of one record, and where they stood. ``payload`` is None for a Kafka tombstone.

    ``timestamp`` is when it was published, in seconds of UNIX time; None where nobody says.
    """

    partition: Partition
    offset: int
    payload: bytes | None
    timestamp: float | None = None

    @property
    def position(self) -> str:
        """Where people find it: ``topic[partition]@offset``."""
        return f"{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that is no document, kept with the reason."""

    record: Record
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a partition is committed.

    ``next_offset`` is the first offset not yet committed; ``newest`` the latest event time seen.
    """

    next_offset: int
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """One partition's step: from ``previous`` (None: never committed) to ``checkpoint``."""

    partition: Partition
    previous: int | None
    checkpoint: Checkpoint
    late: int = 0


@dataclass(frozen=True, slots=True)
class ScoredBatch(Generic[P]):
    """What one transaction commits. ``documents`` and ``predictions`` go in step."""

    documents: Sequence[Document]
    predictions: Sequence[P]
    dead_letters: Sequence[DeadLetter]
    advances: Sequence[Advance]


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit really added: new documents, repeats of known ones, dead letters."""

    documents: int = 0
    repeats: int = 0
    dead_letters: int = 0

    def __add__(self, other: "Committed") -> "Committed":
        return Committed(
            self.documents + other.documents,
            self.repeats + other.repeats,
            self.dead_letters + other.dead_letters,
        )
