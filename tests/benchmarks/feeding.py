"""What the benchmarks on Kafka read: real records, made anew with ids and dates of their own.

The texts come from the feed that TAPEWATCH_BENCH_FEED names, in any format that a replay takes,
else from the demo's feed. Topics are made with six partitions each, twelve in all.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from kafka import KafkaProducer
from support.commands import DEMO_FEED
from support.kafka import unique_topic

from ingest.decoding import read
from ingest.document import Document, encode
from ingest.files import FeedFile
from ingest.kafka import KafkaSettings
from ingest.publisher import create_topics

PARTITIONS = 6
DIFFERENT = 50_000
"""Records that are read at most; no text comes twice before all have come."""


class Feed:
    """An endless feed. ``name`` is what the results call it."""

    def __init__(self) -> None:
        path = Path(os.environ.get("TAPEWATCH_BENCH_FEED", DEMO_FEED))
        self.name = path.name if path != DEMO_FEED else "the demo's feed"
        with closing(FeedFile(path)) as records:
            entries = read(itertools.islice(records, DIFFERENT), datetime.now(UTC), 0.0)
        documents = (entry.document for entry in entries if entry.document is not None)
        self.documents = list({document.content: document for document in documents}.values())

    def payloads(self, prefix: str, count: int) -> Iterator[tuple[str, bytes]]:
        """So many pairs of topic kind and record; the ids are ``prefix`` and a number from 0."""
        now = datetime.now(UTC)
        for number in range(count):
            document = self.documents[number % len(self.documents)]
            yield document.kind, encode(_renamed(document, f"{prefix}{number}", now))


def _renamed(document: Document, identity: str, published_at: datetime) -> Document:
    return msgspec.structs.replace(document, id=identity, published_at=published_at)


def new_topics(bootstrap: str) -> KafkaSettings:
    """Topics for news and comments that nobody has used, and a group that nobody is in."""
    topics = (unique_topic("news"), unique_topic("comments"))
    settings = KafkaSettings((bootstrap,), topics, unique_topic("group"))
    create_topics(settings, PARTITIONS)
    return settings


@contextmanager
def producer(settings: KafkaSettings, linger_ms: int = 20) -> Iterator[KafkaProducer]:
    """A producer that is closed at the end, when everything is acknowledged."""
    made = KafkaProducer(**settings.connection(), linger_ms=linger_ms)
    try:
        yield made
        made.flush()
    finally:
        made.close()


def fill(settings: KafkaSettings, feed: Feed, prefix: str, count: int) -> None:
    """Publish so many documents, evenly over the twelve partitions."""
    with producer(settings) as sending:
        for number, (_, payload) in enumerate(feed.payloads(prefix, count)):
            topic, partition = place(settings, number)
            sending.send(topic, payload, partition=partition)


def place(settings: KafkaSettings, number: int) -> tuple[str, int]:
    """Where document ``number`` goes: to each partition of each topic in turn."""
    return settings.topics[number % 2], number // 2 % PARTITIONS
