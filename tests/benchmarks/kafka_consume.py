"""kafka-python alone: messages a second, raw, decoded by us, and as the pipeline's source.

One consumer on one thread reads twelve partitions of a broker on this machine from the beginning.
"""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from feeding import PARTITIONS, Feed, fill, new_topics
from kafka import KafkaConsumer, TopicPartition
from measuring import in_turn, ratio, summary
from support.kafka import start_broker, unique_topic

from ingest.batch import Partition, Record
from ingest.decoding import read
from ingest.kafka import KafkaSettings, KafkaSource
from ingest.pipeline import PartitionsMovedError

POLLED = 512


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001 - what bench.py calls
    """Messages/s of each way of consuming, in turn."""
    feed, count, rounds = Feed(), 600 if quick else 60_000, 1 if quick else 5
    with start_broker() as broker:
        settings = new_topics(broker.bootstrap)
        fill(settings, feed, "m", count)
        rates = in_turn(
            {
                "consume": lambda: _consume(settings, count, decoding=False),
                "consume_and_decode": lambda: _consume(settings, count, decoding=True),
                "kafka_source": lambda: _from_source(settings, count),
            },
            rounds,
        )
    bytes_each = sum(len(payload) for _, payload in feed.payloads("m", 1000)) / 1000
    return {
        "feed": feed.name,
        "messages": count,
        "bytes_per_message": round(bytes_each),
        "partitions": 2 * PARTITIONS,
        "messages_per_second": {name: summary(of_one) for name, of_one in rates.items()},
        "decoded_over_raw": ratio(rates["consume_and_decode"], rates["consume"]),
        "source_over_raw": ratio(rates["kafka_source"], rates["consume"]),
    }


def _consume(settings: KafkaSettings, count: int, *, decoding: bool) -> int:
    """With no group, from the beginning; the connecting counts too."""
    with closing(KafkaConsumer(**settings.connection())) as consumer:
        consumer.assign(
            [TopicPartition(t, p) for t in settings.topics for p in range(PARTITIONS)]
        )  # fmt: skip
        consumer.seek_to_beginning()
        seen = 0
        while seen < count:
            for messages in consumer.poll(timeout_ms=100, max_records=POLLED).values():
                seen += len(messages)
                if decoding:
                    _decode(messages)
    return seen


def _decode(messages: list[Any]) -> None:
    where = Partition(messages[0].topic, messages[0].partition)
    records = [Record(where, m.offset, m.value, m.timestamp / 1000) for m in messages]
    entries = read(records, datetime.now(UTC), 0.0)
    assert all(entry.document for entry in entries)


def _from_source(settings: KafkaSettings, count: int) -> int:
    """As a worker does, decoded, in a group of its own; joining the group counts too."""
    fresh = KafkaSettings(settings.servers, settings.topics, unique_topic("group"))
    seen: set[str] = set()
    with closing(KafkaSource(fresh)) as source:
        while len(seen) < count:
            try:
                records = source.poll(POLLED)
            except PartitionsMovedError:
                source.rewind({})
                continue
            for entry in read(records, datetime.now(UTC), 0.0):
                assert entry.document is not None
                seen.add(entry.document.id)
    return len(seen)
