"""Kafka as a source: a consumer group whose positions are our checkpoints, not Kafka's.

Kafka decides which partitions are ours; where to read them from is said by the checkpoints of the
database, each time partitions are assigned. Offsets are committed to Kafka after the database
has them, as a hint for lag tools and nothing else. Knows no document and no SQL.

kafka-python calls the rebalance listener on its own thread and forbids blocking there, so the
listener only takes a note; the next poll raises it, and whatever was fetched before the pipeline
has rewound is thrown away and read again.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import KafkaError

from ingest.batch import Advance, Checkpoint, Partition, Record
from ingest.pipeline import PartitionsMovedError

log = structlog.get_logger(__name__)

POLL_MILLISECONDS = 100
"""How long a poll waits for the first record; it returns as soon as there is one."""

HOLD_MILLISECONDS = 10
JOIN_SECONDS = 1.0
"""How long one call stays with a rebalance under way, before it lets its caller look around."""

BROKER_WAIT_MILLISECONDS = 100
ANSWER_BYTES = 64 * 1024
"""How long the broker gathers an answer, and of what size it no longer waits.

An answer costs a consumer written in Python about a millisecond of a core, whatever is in it: one
for every record that is published would take the core that scores them.
"""


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

    def __init__(self, settings: KafkaSettings) -> None:
        self._held = False
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
                fetch_max_wait_ms=BROKER_WAIT_MILLISECONDS,
                fetch_min_bytes=ANSWER_BYTES,
            )
            insist = self._consumer._coordinator.request_rejoin  # noqa: SLF001 - no public one
            self._assignment = _Assignment(insist)
            self._consumer.subscribe(topics=list(settings.topics), listener=self._assignment)
            # Waits until it is known which partitions there are: a leader of the group who learns
            # that after it has shared them out has the whole group join once more.
            self._consumer.topics()

    def poll(self, limit: int) -> list[Record]:
        """Records of our partitions, in order within each; empty when nothing came in time.

        Raises PartitionsMovedError until ``rewind`` is called.
        """
        if self._held:
            self._consumer.resume(*self._consumer.paused())
            self._held = False
        fetched = self._consumer.poll(timeout_ms=POLL_MILLISECONDS, max_records=limit)
        self._join()
        if self._assignment.rejoining:
            return []
        if self._assignment.moved:
            ours = ", ".join(map(str, sorted(map(_partition, self._consumer.assignment()))))
            raise PartitionsMovedError(f"the group has given us {ours or 'nothing'}")
        return [
            Record(partition, message.offset, message.value, message.timestamp / 1000)
            for topic_partition, messages in fetched.items()
            for partition in (_partition(topic_partition),)
            for message in messages
        ]

    def hold(self) -> None:
        """Take no records, but stay in the group: a consumer that does not poll is thrown out."""
        if not self._held:
            self._consumer.pause(*self._consumer.assignment())
            self._held = True
        if self._consumer.poll(timeout_ms=HOLD_MILLISECONDS):
            # Only partitions that came to us this moment are not paused; read them again.
            self._assignment.moved = True
        self._join()

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
        """Move every partition that is ours to its checkpoint, or to its beginning without one."""
        self._assignment.moved = False
        ours = sorted(self._consumer.assignment())
        self.checkpoints = {
            partition: checkpoints.get(partition) for partition in map(_partition, ours)
        }
        for topic_partition in ours:
            checkpoint = self.checkpoints[_partition(topic_partition)]
            if checkpoint is not None and checkpoint.next_offset > 0:
                self._consumer.seek(topic_partition, checkpoint.next_offset)
            else:
                self._consumer.seek_to_beginning(topic_partition)
        placed = [f"{p}@{c.next_offset if c else 0}" for p, c in self.checkpoints.items()]
        if placed:  # a group that is still forming may give us nothing at first
            log.info("partitions_placed", partitions=placed)

    def lags(self) -> dict[Partition, int]:
        """Records between each checkpoint and the end that the last fetch told of."""
        ours = self._consumer.assignment()
        ends = {
            _partition(topic_partition): self._consumer.highwater(topic_partition)
            for topic_partition in ours
        }
        return {
            partition: max(0, end - (checkpoint.next_offset if checkpoint else 0))
            for partition, checkpoint in self.checkpoints.items()
            if (end := ends.get(partition)) is not None
        }

    @property
    def progress(self) -> float:
        """A topic has no end."""
        return 0.0

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._consumer.close()

    def _join(self) -> None:
        """See a rebalance through; what is fetched meanwhile is read again.

        kafka-python forgets an answer of the group that comes while nobody polls, and asks anew:
        with pauses between short polls it might never join, and be thrown out of the group.
        """
        end = time.monotonic() + JOIN_SECONDS
        while self._assignment.rejoining and time.monotonic() < end:
            self._assignment.moved = True
            self._consumer.poll(timeout_ms=POLL_MILLISECONDS)


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes, on kafka-python's thread, what becomes of our partitions.

    ``rejoining``: they were taken, and the group has not said yet which are ours now. ``moved``:
    positions are not to be trusted until they are placed, since another may have had a partition
    in between. ``insist`` has kafka-python ask until it has joined. By itself it forgets, once it
    has asked, that a topic's partitions were the cause: should the answer come after the end of
    that poll, it would never be read, and we would be out of the group without knowing.
    """

    def __init__(self, insist: Callable[[], None]) -> None:
        self._insist = insist
        self.rejoining = False
        self.moved = False

    def on_partitions_revoked(self, _: Collection[TopicPartition]) -> None:
        """They went; a batch still under way fails at its checkpoint if it must."""
        self.rejoining = True
        self._insist()

    def on_partitions_assigned(self, _: Collection[TopicPartition]) -> None:
        """These are ours now."""
        self.moved = True
        self.rejoining = False


def _partition(topic_partition: TopicPartition) -> Partition:
    return Partition(topic_partition.topic, topic_partition.partition)


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
