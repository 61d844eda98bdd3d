"""Kafka as a source: a consumer group whose positions are our checkpoints, not Kafka's.

Kafka decides which partitions are ours; where to read them from is asked of the checkpoints in
the database each time partitions are assigned. Offsets are committed to Kafka after the database
has them, as a hint for lag tools and nothing else. Knows no document and no SQL.

kafka-python calls the rebalance listener on its own thread and forbids blocking there, so the
listener only notes the partitions; they are placed on the next poll, and whatever was fetched for
them before that is thrown away and read again.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import KafkaError

from ingest.batch import Advance, Checkpoint, Partition, Record

log = structlog.get_logger(__name__)

ReadCheckpoints = Callable[[], Mapping[Partition, Checkpoint]]

POLL_MILLISECONDS = 500


class KafkaUnavailableError(RuntimeError):
    """No broker answers; the message names the servers that were tried."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where Kafka is and how to talk to it. ``security`` goes to kafka-python as it is."""

    servers: tuple[str, ...]
    topics: tuple[str, ...] = ("news", "comments")
    group: str = "tapewatch"
    security: Mapping[str, Any] = field(default_factory=dict)
    session_timeout_ms: int = 10_000

    def connection(self) -> dict[str, Any]:
        """The arguments that every kafka-python client takes."""
        return {"bootstrap_servers": list(self.servers), **self.security}


class KafkaSource:
    """The partitions that the group has given us, read from our own checkpoints."""

    def __init__(self, settings: KafkaSettings, read_checkpoints: ReadCheckpoints) -> None:
        self._read_checkpoints = read_checkpoints
        self._listener = _Assignments()
        self.checkpoints: dict[Partition, Checkpoint | None] = {}
        with reaching(settings):
            self._consumer = KafkaConsumer(
                **settings.connection(),
                client_id="tapewatch-worker",
                group_id=settings.group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                session_timeout_ms=settings.session_timeout_ms,
                heartbeat_interval_ms=settings.session_timeout_ms // 3,
                isolation_level="read_committed",
            )
        self._consumer.subscribe(topics=list(settings.topics), listener=self._listener)

    def poll(self, limit: int) -> list[Record] | None:
        """Records of our partitions, in order within each; empty when nothing came in time."""
        fetched = self._consumer.poll(timeout_ms=POLL_MILLISECONDS, max_records=limit)
        unplaced = self._listener.take()
        if unplaced:
            try:
                self._place(unplaced)
            except BaseException:
                self._listener.on_partitions_assigned(unplaced)
                raise
        records = []
        for topic_partition, messages in fetched.items():
            partition = Partition(topic_partition.topic, topic_partition.partition)
            if topic_partition in unplaced or partition not in self.checkpoints:
                continue
            records += [Record(partition, m.offset, m.value) for m in messages]
        return records

    def committed(self, advances: tuple[Advance, ...]) -> None:
        """Take note of what is safe, and tell Kafka's lag tools."""
        offsets = {}
        for advance in advances:
            partition = advance.partition
            self.checkpoints[partition] = advance.checkpoint
            hint = OffsetAndMetadata(advance.checkpoint.next_offset, "", -1)
            offsets[TopicPartition(partition.source, partition.number)] = hint
        try:
            self._consumer.commit_async(offsets)
        except KafkaError as error:  # the checkpoint counts, the hint may be lost
            log.debug("kafka_hint_lost", error=str(error))

    def rewind(self, checkpoints: Mapping[Partition, Checkpoint]) -> None:
        """Read every partition that is ours again from its checkpoint."""
        del checkpoints  # they are read afresh when the partitions are placed
        self._listener.on_partitions_assigned(self._consumer.assignment())

    @property
    def progress(self) -> float:
        """A topic has no end."""
        return 0.0

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._consumer.close()

    def _place(self, unplaced: Collection[TopicPartition]) -> None:
        """Move each partition to its checkpoint, or to its beginning when it has none."""
        known = self._read_checkpoints()
        owned = self._consumer.assignment()
        self.checkpoints = {
            partition: checkpoint
            for partition, checkpoint in self.checkpoints.items()
            if TopicPartition(partition.source, partition.number) in owned
        }
        for topic_partition in sorted(set(unplaced) & set(owned)):
            partition = Partition(topic_partition.topic, topic_partition.partition)
            checkpoint = known.get(partition)
            self.checkpoints[partition] = checkpoint
            if checkpoint is not None and checkpoint.next_offset > 0:
                self._consumer.seek(topic_partition, checkpoint.next_offset)
            else:
                self._consumer.seek_to_beginning(topic_partition)
        log.info(
            "partitions_placed",
            partitions=[f"{p}@{c.next_offset if c else 0}" for p, c in self.checkpoints.items()],
        )


class _Assignments(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes, on kafka-python's thread, which partitions are to be placed before they are read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unplaced: set[TopicPartition] = set()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Partitions came to us; their position is not to be trusted yet."""
        with self._lock:
            self._unplaced |= set(assigned)

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Partitions went; a batch still under way fails at its checkpoint if it must."""
        with self._lock:
            self._unplaced -= set(revoked)

    def take(self) -> set[TopicPartition]:
        """The partitions to place, once."""
        with self._lock:
            unplaced, self._unplaced = self._unplaced, set()
            return unplaced


def list_partitions(settings: KafkaSettings) -> list[Partition]:
    """Every partition of the topics, those that are still empty too."""
    with reaching(settings), closing(KafkaConsumer(**settings.connection())) as consumer:
        return [
            Partition(topic, number)
            for topic in settings.topics
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]


@contextmanager
def reaching(settings: KafkaSettings) -> Iterator[None]:
    """Say which servers were tried, and what to do, when a client cannot be made."""
    try:
        yield
    except KafkaError as error:
        servers = ", ".join(settings.servers)
        raise KafkaUnavailableError(
            f"no Kafka answers at {servers}: {error}; set TAPEWATCH_KAFKA or start the broker"
        ) from error
