"""How far each partition has been handed on: from there the next batch takes its step.

Several batches are under way at once, so a batch begins where the one before it ends, committed
or not; the sink's compare-and-set finds out if that one never was. Knows no source and no sink.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ingest.batch import Advance, Checkpoint, Partition
from ingest.decoding import Entry


class Positions:
    """The checkpoints that will hold once all that was handed on is committed."""

    def __init__(
        self, checkpoints: Mapping[Partition, Checkpoint | None], allowed_lateness: timedelta
    ) -> None:
        self._reached = dict(checkpoints)
        self._allowed_lateness = allowed_lateness

    def advance(self, entries: Sequence[Entry]) -> tuple[Advance, ...]:
        """Each partition's step over ``entries``: its newest event time, and how many came late."""
        by_partition: dict[Partition, list[Entry]] = {}
        for entry in entries:
            by_partition.setdefault(entry.partition, []).append(entry)
        return tuple(self._step(partition, some) for partition, some in by_partition.items())

    def _step(self, partition: Partition, entries: Sequence[Entry]) -> Advance:
        previous = self._reached[partition]
        newest: datetime | None = previous.newest if previous else None
        late = 0
        for document in (entry.document for entry in entries):
            if document is None:
                continue
            if newest is None or document.published_at > newest:
                newest = document.published_at
            elif document.published_at < newest - self._allowed_lateness:
                late += 1
        reached = Checkpoint(entries[-1].record.offset + 1, newest)
        self._reached[partition] = reached
        return Advance(partition, previous.next_offset if previous else None, reached, late)
