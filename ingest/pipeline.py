"""The pipeline loop: poll, decode, score, commit; again and again until the feed ends.

Nothing is lost and nothing counted twice: a batch is committed with the step of its checkpoints
in one transaction, and whatever goes wrong before that is read again. Knows neither Kafka nor
torch nor SQL: the source, the scorer and the sink are handed in.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

import structlog

from ingest.batch import (
    Advance,
    Checkpoint,
    Committed,
    DeadLetter,
    P,
    Partition,
    Record,
    ScoredBatch,
)
from ingest.document import Document, RejectedRecordError, decode

log = structlog.get_logger(__name__)

P_co = TypeVar("P_co", covariant=True)
R = TypeVar("R")

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds between attempts while the sink is away."""


class SinkUnavailableError(RuntimeError):
    """The sink is away for now; the same call may be made again."""


class SinkConflictError(RuntimeError):
    """The checkpoints are not where the batch began; nothing of it was written."""


class Source(Protocol):
    """Where positioned records come from."""

    checkpoints: dict[Partition, Checkpoint | None]

    def poll(self, limit: int) -> list[Record] | None:
        """Some records; empty when none came in time, None when there will never be more."""

    def committed(self, advances: tuple[Advance, ...]) -> None:
        """These steps are in the database."""

    def rewind(self, checkpoints: Mapping[Partition, Checkpoint]) -> None:
        """Read again from these checkpoints."""

    def close(self) -> None:
        """Let go of files and connections."""


class Scorer(Protocol[P_co]):
    """What makes a prediction of a text."""

    def score(self, texts: Sequence[str]) -> Sequence[P_co]:
        """One prediction a text, in order."""


class Sink(Protocol[P]):
    """What commits batches."""

    def commit(self, batch: ScoredBatch[P]) -> Committed:
        """Write all of it or nothing. Raises SinkUnavailableError or SinkConflictError."""

    def checkpoints(self) -> Mapping[Partition, Checkpoint]:
        """How far everything is committed. Raises SinkUnavailableError."""


@dataclass(slots=True)
class Pipeline(Generic[P]):
    """One worker: a source, a scorer and a sink. ``run`` returns at the end of the feed."""

    source: Source
    scorer: Scorer[P]
    sink: Sink[P]
    batch_documents: int = 256
    allowed_lateness: timedelta = timedelta(minutes=1)
    on_commit: Callable[[Committed], None] = lambda _: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Committed:
        """Work until the feed ends or ``stop`` is called; what was committed in all."""
        total = Committed()
        try:
            while not self._stop.is_set():
                records = self._patiently(lambda: self.source.poll(self.batch_documents))
                if records is None:
                    break
                if records:
                    total += self._process(records)
        finally:
            self.source.close()
        return total

    def stop(self) -> None:
        """End after the batch under way. Safe from a signal handler or another thread."""
        self._stop.set()

    def _process(self, records: Sequence[Record]) -> Committed:
        documents, origins, letters = self._decode(records)
        predictions = self.scorer.score([document.content for document in documents])
        advances = self._advances(records, documents, origins)
        batch = ScoredBatch(documents, predictions, letters, advances)
        try:
            committed = self._patiently(lambda: self.sink.commit(batch))
        except SinkConflictError as conflict:
            log.warning("batch_given_back", reason=str(conflict), records=len(records))
            self.source.rewind(self._patiently(self.sink.checkpoints) or {})
            return Committed()
        if committed is None:  # told to stop while the sink was away
            return Committed()
        self.source.committed(advances)
        self.on_commit(committed)
        return committed

    def _decode(
        self, records: Sequence[Record]
    ) -> tuple[list[Document], list[Partition], list[DeadLetter]]:
        now = self.clock()
        documents, origins, letters = [], [], []
        for record in records:
            try:
                documents.append(decode(record.payload, now))
                origins.append(record.partition)
            except RejectedRecordError as rejection:
                letters.append(DeadLetter(record, rejection.reason, rejection.detail))
                log.info("dead_letter", at=record.position, reason=str(rejection.reason))
        return documents, origins, letters

    def _advances(
        self,
        records: Sequence[Record],
        documents: Sequence[Document],
        origins: Sequence[Partition],
    ) -> tuple[Advance, ...]:
        """Each partition's step, with its newest event time and how many documents came late."""
        newest: dict[Partition, datetime | None] = {}
        late: dict[Partition, int] = {}
        next_offset = {record.partition: record.offset + 1 for record in records}
        for partition in next_offset:
            checkpoint = self.source.checkpoints[partition]
            newest[partition] = checkpoint.newest if checkpoint else None
        for document, partition in zip(documents, origins, strict=True):
            latest = newest[partition]
            if latest is None or document.published_at > latest:
                newest[partition] = document.published_at
            elif document.published_at < latest - self.allowed_lateness:
                late[partition] = late.get(partition, 0) + 1
        return tuple(
            Advance(
                partition,
                previous.next_offset if (previous := self.source.checkpoints[partition]) else None,
                Checkpoint(offset, newest[partition]),
                late.get(partition, 0),
            )
            for partition, offset in next_offset.items()
        )

    def _patiently(self, call: Callable[[], R]) -> R | None:
        """Try until the sink is back, with growing pauses; None if stopped meanwhile."""
        wait = FIRST_WAIT
        while True:
            try:
                return call()
            except SinkUnavailableError as error:
                log.warning("waiting_for_database", seconds=wait, error=str(error))
                if self._stop.wait(wait):
                    return None
                wait = min(2 * wait, LONGEST_WAIT)
