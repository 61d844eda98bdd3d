"""The line: tokenizing, predicting, preparing and committing, each on a thread of its own.

A line works from the checkpoints it begins at to the end of what it is fed. It is ended sooner
when the checkpoints turn out to be elsewhere, or when partitions have moved: then whatever is in
it is dropped, unwritten, and a new line begins at the checkpoints. So nothing in a line is ever
out of date, and nothing that was dropped can be committed later.

Between two stages lies one batch at most: while one is on the device, the next is tokenized and
the ones before it are made ready and written. A full batch goes on as soon as there is room. One
that has only waited long enough goes on when the device has nothing to do: until then it grows,
and loses no time by that. Knows no source.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeGuard, TypeVar

import structlog

from ingest.batch import Advance, Checkpoint, Committed, P, Partition, ScoredBatch
from ingest.decoding import Entry
from ingest.gathering import Flush, Gathered, Gatherer, Limits, T
from ingest.handover import AbortedError, Flow, HandOver
from ingest.observing import Finished, Observer
from ingest.positions import Positions

log = structlog.get_logger(__name__)

P_co = TypeVar("P_co", covariant=True)
R = TypeVar("R")

TURN_SECONDS = 0.0005
"""How long a thread may keep Python's lock while another waits for it, in this whole process.

The usual 5 ms are longer than most statements take: a stage whose answer has come would wait as
long again to read it.
"""

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds between attempts while the sink is away."""


class SinkUnavailableError(RuntimeError):
    """The sink is away for now; the same call may be made again."""


class SinkConflictError(RuntimeError):
    """The checkpoints are not where the batch began; nothing of it was written."""


class Scorer(Protocol[T, P_co]):
    """What makes a prediction of a text, in two halves that run on two threads."""

    def tokenize(self, texts: Sequence[str]) -> Sequence[T]:
        """One tokenized text for each, in order; ``len`` counts its tokens."""

    def predict(self, tokenized: Sequence[T]) -> Sequence[P_co]:
        """One prediction for each, in order."""


class Sink(Protocol[P]):
    """What commits batches, in two halves that run on two threads."""

    def prepare(self, batch: ScoredBatch[P]) -> Callable[[], Committed]:
        """Do what needs no database. The call that is given back writes all of it or nothing.

        It raises SinkUnavailableError, and may then be made again, or SinkConflictError.
        """

    def checkpoints(self) -> Mapping[Partition, Checkpoint]:
        """How far everything is committed. Raises SinkUnavailableError."""


@dataclass(frozen=True, slots=True)
class Parts(Generic[T, P]):
    """What every line of a pipeline is made of."""

    scorer: Scorer[T, P]
    sink: Sink[P]
    limits: Limits
    allowed_lateness: timedelta
    on_commit: Callable[[Committed], None]
    observer: Observer


@dataclass(frozen=True, slots=True)
class _Scored(Generic[T, P]):
    batch: Gathered[T]
    predictions: Sequence[P]
    predicting: float
    scored: float


@dataclass(frozen=True, slots=True)
class _Prepared(Generic[T, P]):
    of: _Scored[T, P]
    advances: tuple[Advance, ...]
    commit: Callable[[], Committed]


class Line(Generic[T, P]):
    """One line; ``start`` it, ``feed`` it, and then ``finish`` or ``abort`` and ``join`` it."""

    def __init__(
        self, parts: Parts[T, P], checkpoints: Mapping[Partition, Checkpoint | None]
    ) -> None:
        self._parts = parts
        self._positions = Positions(checkpoints, parts.allowed_lateness)
        self._gatherer: Gatherer[T] = Gatherer(parts.limits)
        self._flow = Flow()
        self._polled: HandOver[Sequence[Entry]] = HandOver(self._flow)
        self._gathered: HandOver[Gathered[T]] = HandOver(self._flow)
        self._scored: HandOver[_Scored[T, P]] = HandOver(self._flow)
        self._prepared: HandOver[_Prepared[T, P]] = HandOver(self._flow)
        self._untold: list[Advance] = []
        self._impatient = False
        self.conflict = False
        self.total = Committed()
        self._threads = [
            threading.Thread(target=self._guard, args=(stage,), name=stage.__name__, daemon=True)
            for stage in (self._tokenize, self._predict, self._prepare, self._commit)
        ]

    def start(self) -> None:
        """Begin."""
        sys.setswitchinterval(TURN_SECONDS)
        for thread in self._threads:
            thread.start()

    @property
    def depths(self) -> dict[str, int]:
        """How many batches lie in each hand-over, by the stage that will take them."""
        return {
            "tokenize": len(self._polled),
            "predict": len(self._gathered),
            "prepare": len(self._scored),
            "commit": len(self._prepared),
        }

    def has_room(self, seconds: float) -> bool:
        """Whether more may be fed, waiting so long for it. Raises AbortedError."""
        return self._flow.wait(lambda: self._polled.free, seconds)

    def feed(self, entries: Sequence[Entry]) -> None:
        """Take in entries, in order within each partition. Raises AbortedError."""
        self._polled.put(entries)

    def finish(self) -> None:
        """Nothing more will be fed: work off what is there."""
        self._polled.close()

    def abort(self) -> None:
        """Drop what is there; only a commit under way is brought to its end."""
        self._flow.abort()

    def lose_patience(self) -> None:
        """Do not wait any longer for a sink that is away: drop what it has not taken."""
        self._impatient = True
        self._flow.notify()

    def join(self, seconds: float) -> bool:
        """Whether every stage has ended, waiting so long for it."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def raise_error(self) -> None:
        """Raise what a stage has failed of, if one has."""
        if self._flow.error is not None:
            raise self._flow.error

    def newly_committed(self) -> tuple[Advance, ...]:
        """The steps that were committed since this was last asked, in order."""
        with self._flow.changed:
            advances, self._untold = tuple(self._untold), []
            return advances

    def _guard(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except AbortedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by raise_error
            self._flow.abort(error)

    def _tokenize(self) -> None:
        while True:
            self._flow.wait(self._moves, self._seconds_left())
            reason = self._due()
            if self._can_go(reason):
                self._gathered.put(self._gatherer.take(reason, time.monotonic()))
            elif reason is not Flush.BUDGET and (entries := self._polled.take()):
                self._add(entries)
            elif self._polled.ended and not self._gatherer:
                self._gathered.close()
                return

    def _moves(self) -> bool:
        """Whether there is a batch to hand on, or something to add to it, or an end."""
        reason = self._due()
        if self._can_go(reason):
            return True
        if self._polled.ended:
            return reason is None
        return reason is not Flush.BUDGET and not self._polled.free

    def _can_go(self, reason: Flush | None) -> TypeGuard[Flush]:
        if reason is Flush.WAIT:
            return self._gathered.wanted
        return reason is not None and self._gathered.free

    def _due(self) -> Flush | None:
        return self._gatherer.due(time.monotonic(), drain=self._polled.ended)

    def _seconds_left(self) -> float | None:
        return None if self._due() else self._gatherer.seconds_left(time.monotonic())

    def _add(self, entries: Sequence[Entry]) -> None:
        texts = [entry.document.content for entry in entries if entry.document is not None]
        tokenized = iter(self._parts.scorer.tokenize(texts) if texts else ())
        for entry in entries:
            self._gatherer.add(entry, None if entry.document is None else next(tokenized))

    def _predict(self) -> None:
        for batch in self._gathered:
            begun = time.monotonic()
            tokenized = batch.tokenized
            predictions = self._parts.scorer.predict(tokenized) if tokenized else []
            self._scored.put(_Scored(batch, predictions, begun, time.monotonic()))
        self._scored.close()

    def _prepare(self) -> None:
        for scored in self._scored:
            batch = scored.batch
            advances = self._positions.advance(batch.entries)
            whole = ScoredBatch(batch.documents, scored.predictions, batch.dead_letters, advances)
            commit = self._parts.sink.prepare(whole)
            self._prepared.put(_Prepared(scored, advances, commit))
        self._prepared.close()

    def _commit(self) -> None:
        for prepared in self._prepared:
            if not self._committed(prepared):
                self._flow.abort()

    def _committed(self, prepared: _Prepared[T, P]) -> bool:
        """Commit; False if it was not to be."""
        scored, begun = prepared.of, time.monotonic()
        try:
            added = patiently(prepared.commit, self._pause)
        except SinkConflictError as conflict:
            records = len(scored.batch.entries)
            log.warning("batch_given_back", reason=str(conflict), records=records)
            self.conflict = True
            return False
        if added is None:
            return False
        self._parts.observer.finished(
            Finished(
                scored.batch,
                scored.predicting,
                scored.scored,
                begun,
                time.monotonic(),
                datetime.now(UTC),
                added,
            )
        )
        self._parts.on_commit(added)
        with self._flow.changed:
            self._untold += prepared.advances
            self.total += added
        return True

    def _pause(self, seconds: float) -> bool:
        return not self._flow.wait(lambda: self._impatient, seconds)


def patiently(call: Callable[[], R], pause: Callable[[float], bool]) -> R | None:
    """Try until the sink is back, with growing pauses; None if ``pause`` says to give up."""
    seconds = FIRST_WAIT
    while True:
        try:
            return call()
        except SinkUnavailableError as error:
            log.warning("waiting_for_database", seconds=seconds, error=str(error))
            if not pause(seconds):
                return None
            seconds = min(2 * seconds, LONGEST_WAIT)
