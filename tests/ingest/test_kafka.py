"""The Kafka source on a real Kafka: what it gives out, how it is held, and when it is moved."""

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from kafka import KafkaProducer
from support.kafka import unique_topic

from ingest.batch import Advance, Checkpoint, Partition
from ingest.kafka import KafkaSettings, KafkaSource
from ingest.pipeline import PartitionsMovedError

pytestmark = pytest.mark.acceptance

PATIENCE = 60


@pytest.fixture
def topic(broker):
    name = unique_topic("source")
    broker.create_topic(name, 2)
    return name


@pytest.fixture
def settings(broker, topic):
    return KafkaSettings(
        (broker.bootstrap,), (topic,), unique_topic("group"), session_timeout_ms=6000
    )  # fmt: skip


@pytest.fixture
def publish(broker, topic):
    """Sends numbers as records, to the partition of their parity."""
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)

    def send(numbers):
        for number in numbers:
            producer.send(topic, str(number).encode(), partition=number % 2)
        producer.flush()

    yield send
    producer.close()


@contextmanager
def opened(settings):
    source = KafkaSource(settings)
    try:
        yield source
    finally:
        source.close()


def moved(source, seconds=PATIENCE):
    """Whether partitions moved within so long; what is polled meanwhile is dropped."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            source.poll(10)
    except PartitionsMovedError:
        return True
    return False


def placed(source, checkpoints=None):
    """Poll until the group has settled on who has what, and begin at the checkpoints."""
    assert moved(source)
    source.rewind({})
    while moved(source, 0.5):
        source.rewind({})
    source.rewind(checkpoints or {})
    return source


def taken(source, count, limit=10):
    """So many records' numbers by partition, in the order that they came."""
    found, deadline = {0: [], 1: []}, time.monotonic() + PATIENCE
    while sum(map(len, found.values())) < count:
        assert time.monotonic() < deadline, found
        for record in source.poll(limit):
            found[record.partition.number].append(int(record.payload))
    return found


def test_records_come_in_order_with_the_time_they_were_published(settings, publish):
    begun = time.time()
    publish(range(6))

    with opened(settings) as source:
        placed(source)
        records = []
        while len(records) < 6:
            records += source.poll(10)

    evens = [int(r.payload) for r in records if r.partition.number == 0]
    assert evens == [0, 2, 4]
    assert all(begun - 1 < record.timestamp < time.time() + 1 for record in records)


def test_it_is_moved_until_it_is_rewound_and_gives_out_nothing_before(settings, publish):
    publish(range(4))
    with opened(settings) as source:
        records = []
        with pytest.raises(PartitionsMovedError):  # noqa: PT012 - some time or other
            while True:
                records += source.poll(10)
        assert records == []
        for _ in range(3):
            with pytest.raises(PartitionsMovedError):
                source.poll(10)

        assert taken(placed(source), 4) == {0: [0, 2], 1: [1, 3]}


def test_each_partition_goes_on_from_its_checkpoint(settings, topic, publish):
    publish(range(8))
    checkpoints = {Partition(topic, 0): Checkpoint(3), Partition("another", 1): Checkpoint(2)}
    with opened(settings) as source:
        placed(source, checkpoints)

        assert taken(source, 5) == {0: [6], 1: [1, 3, 5, 7]}
        assert source.checkpoints == {
            Partition(topic, 0): Checkpoint(3),
            Partition(topic, 1): None,
        }


def test_a_rewind_reads_again(settings, topic, publish):
    publish(range(4))
    with opened(settings) as source:
        taken(placed(source), 4)

        source.rewind({Partition(topic, 1): Checkpoint(1)})

        assert taken(source, 3) == {0: [0, 2], 1: [3]}


def test_held_it_loses_nothing_and_goes_on_in_order(settings, publish):
    publish(range(40))
    with opened(settings) as source:
        first = taken(placed(source), 10, limit=10)
        for _ in range(30):
            source.hold()
        publish(range(40, 60))
        for _ in range(30):
            source.hold()
        rest = taken(source, 50)

    assert [first[number] + rest[number] for number in (0, 1)] == [
        list(range(0, 60, 2)),
        list(range(1, 60, 2)),
    ]


def test_held_for_longer_than_a_poll_may_take_it_stays_in_the_group(settings, publish):
    strict = KafkaSettings(
        settings.servers,
        settings.topics,
        settings.group,
        {"max_poll_interval_ms": 6000},
        settings.session_timeout_ms,
    )
    publish(range(4))
    with opened(strict) as source:
        placed(source)
        taken(source, 4)
        end = time.monotonic() + 9
        while time.monotonic() < end:
            source.hold()
            time.sleep(0.05)
        publish([4])

        assert taken(source, 1) == {0: [4], 1: []}  # and it was not moved


def test_a_second_consumer_takes_its_share_even_while_the_first_is_held(settings, publish):
    publish(range(10))
    go_on = threading.Event()

    def work(source):
        while not go_on.is_set():
            if moved(source, 0.1):
                source.rewind({})

    with opened(settings) as first, opened(settings) as second, ThreadPoolExecutor(1) as pool:
        taken(placed(first), 10)
        working = pool.submit(work, second)
        deadline = time.monotonic() + PATIENCE
        while len(second.checkpoints) != 1 and time.monotonic() < deadline:
            first.hold()
            time.sleep(0.05)
        while len(first.checkpoints) != 1 and time.monotonic() < deadline:
            if moved(first, 0.1):
                first.rewind({})
        go_on.set()
        working.result(PATIENCE)
        shares = [set(source.checkpoints) for source in (first, second)]

    assert [len(share) for share in shares] == [1, 1]
    assert not shares[0] & shares[1]


def test_partitions_that_are_added_to_a_topic_are_taken_up(broker, settings, topic):
    """The group's answer may come after the end of the short poll that saw them and asked."""
    watchful = dataclasses.replace(settings, security={"metadata_max_age_ms": 100})
    with opened(watchful) as source, broker.admin() as admin:
        placed(source)
        for count in range(3, 15):
            admin.create_partitions({topic: count})
            deadline = time.monotonic() + PATIENCE
            while len(source.checkpoints) != count:
                assert time.monotonic() < deadline, f"{count}: {source.checkpoints}"
                source.hold()
                time.sleep(0.02)
                if moved(source, 0.001):
                    source.rewind({})


def test_a_lone_consumer_is_given_its_partitions_once(settings, publish):
    publish(range(4))
    for _ in range(5):
        with opened(settings) as source:
            assert moved(source)
            source.rewind({})

            assert not moved(source, 1)


def test_lag_is_what_is_published_and_not_committed(settings, topic, publish):
    left, right = Partition(topic, 0), Partition(topic, 1)
    publish(range(10))
    with opened(settings) as source:
        placed(source)
        taken(source, 10)
        assert source.lags() == {left: 5, right: 5}

        source.committed((Advance(left, None, Checkpoint(4)), Advance(right, None, Checkpoint(5))))

        assert source.lags() == {left: 1, right: 0}
