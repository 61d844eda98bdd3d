"""What a pipeline tells of its work, for whoever measures it. Knows no metrics library."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ingest.batch import Committed, Partition
from ingest.gathering import Gathered


@dataclass(frozen=True, slots=True)
class Finished:
    """One committed batch and its stamps, in seconds of the monotonic clock that polled it.

    ``committed_at`` is the moment of the commit by the wall clock.
    """

    batch: Gathered[Any]
    predicting: float
    scored: float
    committing: float
    committed: float
    committed_at: datetime
    added: Committed


class Observer(Protocol):
    """Is told of each batch on the committing thread, and of the lag on the source's."""

    def finished(self, batch: Finished) -> None:
        """A batch was committed."""

    def lagging(self, records: Mapping[Partition, int]) -> None:
        """So many records of each partition that is ours are published and not yet committed."""


class Unobserved:
    """An observer that does not care."""

    def finished(self, batch: Finished) -> None:
        """Nothing."""

    def lagging(self, records: Mapping[Partition, int]) -> None:
        """Nothing."""
