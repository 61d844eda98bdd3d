"""The pipeline: poll and decode here, then a line of stages; again and again until the feed ends.

Nothing is lost and nothing counted twice: a batch is committed with the step of its checkpoints
in one transaction, and whatever goes wrong before that is read again. Knows neither Kafka nor
torch nor SQL: the source, the scorer and the sink are handed in.

The source belongs to the thread that calls ``run``, and is never touched by another.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol

import structlog

from ingest.batch import Advance, Checkpoint, Committed, P, Partition, Record
from ingest.decoding import read
from ingest.gathering import Limits, T
from ingest.handover import AbortedError
from ingest.line import Line, Parts, Scorer, Sink, patiently
from ingest.observing import Observer, Unobserved

log = structlog.get_logger(__name__)

GLANCE_SECONDS = 0.05
"""How long the source's thread waits for the line before it sees to its source again."""

LAG_SECONDS = 1.0
"""How often the lag is told."""


class PartitionsMovedError(RuntimeError):
    """Other partitions are ours now: read what is under way again, from the checkpoints."""


class Source(Protocol):
    """Where positioned records come from. Called on one thread."""

    checkpoints: dict[Partition, Checkpoint | None]

    def poll(self, limit: int) -> Sequence[Record] | None:
        """Some records; empty when none came in time, None when there will never be more.

        Raises PartitionsMovedError until ``rewind`` is called.
        """

    def hold(self) -> None:
        """There is no room for records now: stay ready, and take none. Returns soon."""

    def committed(self, advances: tuple[Advance, ...]) -> None:
        """These steps are in the database."""

    def rewind(self, checkpoints: Mapping[Partition, Checkpoint]) -> None:
        """Read every partition that is ours from these checkpoints."""

    def lags(self) -> Mapping[Partition, int]:
        """Records published and not yet committed, as far as is known."""

    def close(self) -> None:
        """Let go of files and connections."""


@dataclass(slots=True)
class Pipeline(Generic[T, P]):
    """One worker: a source, a scorer and a sink. ``run`` returns at the end of the feed.

    ``on_commit`` is called after each commit, in order, on the committing thread: the next batch
    is written once it returns. ``clock`` is the wall clock that tells what is in the future.
    """

    source: Source
    scorer: Scorer[T, P]
    sink: Sink[P]
    limits: Limits = field(default_factory=Limits)
    allowed_lateness: timedelta = timedelta(minutes=1)
    on_commit: Callable[[Committed], None] = lambda _: None
    observer: Observer = field(default_factory=Unobserved)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _stopping: bool = False
    _line: Line[T, P] | None = None
    _lag_due: float = 0.0

    def run(self) -> Committed:
        """Work until the feed ends or ``stop`` is called; what was committed in all.

        Raises what the source or a stage raised, once no thread of ours is left.
        """
        total = Committed()
        try:
            while True:
                line = Line(self._parts(), self.source.checkpoints)
                self._line = line
                again = self._work(line)
                total += line.total
                if not again or not self._rewind():
                    return total
        finally:
            self.source.close()

    def stop(self) -> None:
        """End once what is under way is committed. Safe from a signal handler or any thread."""
        self._stopping = True

    @property
    def depths(self) -> dict[str, int]:
        """How many batches lie in each hand-over just now. Safe from any thread."""
        return self._line.depths if self._line else {}

    def _parts(self) -> Parts[T, P]:
        return Parts(
            self.scorer,
            self.sink,
            self.limits,
            self.allowed_lateness,
            self.on_commit,
            self.observer,
        )

    def _work(self, line: Line[T, P]) -> bool:
        """See a line through from its start to its end; whether there is more to read."""
        moved = False
        line.start()
        try:
            self._feed(line)
        except PartitionsMovedError as error:
            log.info("partitions_moved", reason=str(error))
            moved = True
            line.abort()
        finally:
            line.finish()
            self._see_out(line)
        line.raise_error()
        return moved or line.conflict

    def _feed(self, line: Line[T, P]) -> None:
        """Poll into the line until there is no more, or it ends by itself."""
        while not self._stopping:
            self._tell(line)
            try:
                if not line.has_room(GLANCE_SECONDS):
                    self.source.hold()
                    continue
                records = self.source.poll(self.limits.records)
                if records is None:
                    return
                if records:
                    line.feed(read(records, self.clock(), time.monotonic()))
            except AbortedError:
                return

    def _see_out(self, line: Line[T, P]) -> None:
        """Wait for the stages to end; the source is held meanwhile."""
        while not line.join(GLANCE_SECONDS):
            if self._stopping:
                line.lose_patience()
            self._tell(line)
            self.source.hold()
        self._tell(line)

    def _tell(self, line: Line[T, P]) -> None:
        """Pass on to the source what is committed, and to the observer how far behind we are."""
        advances = line.newly_committed()
        if advances:
            self.source.committed(advances)
        now = time.monotonic()
        if now >= self._lag_due:
            self._lag_due = now + LAG_SECONDS
            self.observer.lagging(self.source.lags())

    def _rewind(self) -> bool:
        """Go back to the checkpoints; False if stopped before they could be read."""
        checkpoints = patiently(self.sink.checkpoints, self._pause)
        if checkpoints is None or self._stopping:
            return False
        self.source.rewind(checkpoints)
        return True

    def _pause(self, seconds: float) -> bool:
        """Hold the source for so long; False once told to stop."""
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, GLANCE_SECONDS))
            self.source.hold()
        return not self._stopping
