"""The gatherer: tokenized documents wait here until there are enough of them for a batch.

A batch is what one transaction commits. It is due when its budget of tokens is full, when its
oldest document has waited long enough, or when nothing more will come. Pure: the time is handed
in, and nothing happens by itself. Dead letters go along, so that the records of a partition keep
their order. Knows no thread; how texts are put together for the device is the classifier's.
"""

from collections import deque
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Generic, TypeVar

from ingest.batch import DeadLetter
from ingest.decoding import Entry
from ingest.document import Document

T = TypeVar("T", bound=Sized)


class Flush(StrEnum):
    """Why a batch was closed."""

    BUDGET = "budget"
    WAIT = "wait"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a batch may grow, and how long a document may wait for others.

    ``records`` counts dead letters too. A document of more than ``tokens`` goes alone.
    """

    records: int = 512
    tokens: int = 16_384
    seconds: float = 0.1


@dataclass(frozen=True, slots=True)
class Gathered(Generic[T]):
    """A batch: its entries in order, and one tokenized text for each of its documents.

    ``closed`` is when it was put together, by the clock of the entries.
    """

    entries: Sequence[Entry]
    tokenized: Sequence[T]
    reason: Flush
    closed: float

    @property
    def documents(self) -> list[Document]:
        """Its documents, in step with ``tokenized``."""
        return [entry.content for entry in self.entries if isinstance(entry.content, Document)]

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """Its records that are no documents."""
        return [entry.content for entry in self.entries if isinstance(entry.content, DeadLetter)]

    @property
    def tokens(self) -> int:
        """Tokens of all its documents, without padding."""
        return sum(map(len, self.tokenized))


class Gatherer(Generic[T]):
    """A queue that gives out batches. First in, first out: no partition is ever reordered."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: deque[tuple[Entry, T | None]] = deque()
        self._tokens = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry, tokenized: T | None = None) -> None:
        """Let an entry wait; with the tokenized text if it is a document."""
        self._waiting.append((entry, tokenized))
        self._tokens += _size(tokenized)

    def due(self, now: float, *, drain: bool = False) -> Flush | None:
        """Why the next batch should go now; None if it should wait. ``drain``: no more will come.

        ``now`` is of the clock that stamped the entries.
        """
        if len(self) >= self._limits.records or self._tokens >= self._limits.tokens:
            return Flush.BUDGET
        if not self._waiting:
            return None
        if drain:
            return Flush.DRAIN
        return Flush.WAIT if self.seconds_left(now) == 0.0 else None

    def seconds_left(self, now: float) -> float | None:
        """How long the oldest entry may still wait; None if there is none."""
        if not self._waiting:
            return None
        oldest = self._waiting[0][0].polled
        return max(0.0, oldest + self._limits.seconds - now)

    def take(self, reason: Flush, now: float) -> Gathered[T]:
        """The oldest entries, as many as one batch holds."""
        count = self._fitting()
        taken = [self._waiting.popleft() for _ in range(count)]
        tokenized = [text for _, text in taken if text is not None]
        self._tokens -= sum(map(len, tokenized))
        return Gathered([entry for entry, _ in taken], tokenized, reason, now)

    def _fitting(self) -> int:
        tokens = 0
        for count, (_, text) in enumerate(islice(self._waiting, self._limits.records)):
            tokens += _size(text)
            if count and tokens > self._limits.tokens:
                return count
        return min(len(self._waiting), self._limits.records)


def _size(tokenized: Sized | None) -> int:
    return 0 if tokenized is None else len(tokenized)
