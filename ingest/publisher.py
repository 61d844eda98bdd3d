"""Sends a feed file into Kafka, keyed by id, at a chosen rate.

Records travel as they are, bad ones too: judging them is the worker's task. News and comments go
to the topics of those kinds; what says nothing of its kind goes to the first topic.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress

import msgspec
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError

from ingest.batch import Record
from ingest.kafka import KafkaSettings, reaching


class _Routing(msgspec.Struct):
    id: str | int | None = None
    kind: str | None = None


_decoder = msgspec.json.Decoder(_Routing)


def create_topics(settings: KafkaSettings, partitions: int) -> None:
    """Make the topics that are missing, each with so many partitions."""
    with reaching(settings), closing(KafkaAdminClient(**settings.connection())) as admin:
        for topic in settings.topics:
            wanted = NewTopic(topic, num_partitions=partitions, replication_factor=-1)
            with suppress(TopicAlreadyExistsError):
                admin.create_topics([wanted])


def publish(
    records: Iterable[Record],
    settings: KafkaSettings,
    rate: float | None = None,
    on_sent: Callable[[int], None] = lambda _: None,
) -> int:
    """Send ``records`` at ``rate`` a second (None: as fast as possible); how many were sent.

    Returns once the brokers have acknowledged every one of them, and raises KafkaError if one of
    them could not be delivered.
    """
    producer = KafkaProducer(**settings.connection(), linger_ms=20)
    sent = 0
    pending = []
    begun = time.monotonic()
    try:
        for record in records:
            key, topic = _route(record.payload or b"", settings.topics)
            pending.append(producer.send(topic, value=record.payload, key=key))
            sent += 1
            if rate:
                time.sleep(max(0.0, begun + sent / rate - time.monotonic()))
            if len(pending) >= 1000:
                _settle(pending)
                on_sent(sent)
        producer.flush()
        _settle(pending)
        on_sent(sent)
    finally:
        producer.close()
    return sent


def _settle(pending: list[object]) -> None:
    for future in pending:
        future.get(timeout=60)  # type: ignore[attr-defined]
    pending.clear()


def _route(payload: bytes, topics: tuple[str, ...]) -> tuple[bytes | None, str]:
    """The key and the topic of a record: ``comments`` takes comments, the first topic the rest."""
    try:
        routing = _decoder.decode(payload)
    except msgspec.MsgspecError:
        return None, topics[0]
    key = None if routing.id is None else str(routing.id).encode()
    return key, topics[-1] if routing.kind == "comment" else topics[0]
