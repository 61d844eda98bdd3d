"""A real Apache Kafka for the tests.

Three ways to one, tried in this order: the servers that TAPEWATCH_TEST_KAFKA names, a container,
the jars run on Java. A test sees only `Broker` and does not know which it got.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from support.kafka_jars import ensure_jars
from support.kafka_nodes import BrokerError, ContainerNode, JavaNode, Node, container_engine

_READY_SECONDS = 90.0
_LOG_TAIL = 4000


class Broker:
    """A running Kafka."""

    def __init__(self, bootstrap: str, node: Node | None = None) -> None:
        """Take the servers to connect to, and the node that serves them if it is ours to stop."""
        self.bootstrap = bootstrap
        self._node = node

    def admin(self) -> KafkaAdminClient:
        """A new admin client; the caller closes it."""
        return KafkaAdminClient(bootstrap_servers=self.bootstrap)

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic and wait until each of its partitions has a leader."""
        options = {"num_partitions": partitions, "replication_factor": 1}
        with self.admin() as admin:
            admin.create_topics({name: options}, wait_for_metadata=True)

    def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        with self.admin() as admin:
            admin.delete_topics([name])

    def wait_ready(self) -> None:
        """Wait until the broker answers, or raise `BrokerError` with the end of its log."""
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            ended = self._node is not None and not self._node.running()
            if ended or time.monotonic() > deadline:
                how = "ended while it started" if ended else f"is silent after {_READY_SECONDS:g} s"
                log = self._node.log()[-_LOG_TAIL:] if self._node else "(not started by the tests)"
                raise BrokerError(f"the Kafka at {self.bootstrap} {how}; its log:\n{log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the broker if it was started here."""
        if self._node:
            self._node.stop()

    def __enter__(self) -> Self:
        """Return the broker itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the broker."""
        self.stop()

    def _answers(self) -> bool:
        # An admin client that fails to bootstrap leaves its thread behind: ask the port first.
        host, _, port = self.bootstrap.split(",")[0].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
            with KafkaAdminClient(
                bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=20_000
            ) as admin:
                return bool(admin.describe_cluster()["brokers"])
        except (OSError, KafkaError):
            return False


def start_broker() -> Broker:
    """The Kafka that this machine can offer, ready to be used."""
    with ExitStack() as on_failure:
        broker = on_failure.enter_context(_start())
        broker.wait_ready()
        on_failure.pop_all()
    return broker


def _start() -> Broker:
    if servers := os.environ.get("TAPEWATCH_TEST_KAFKA"):
        return Broker(servers)
    engine = container_engine()
    node = ContainerNode(engine) if engine else JavaNode(ensure_jars())
    return Broker(node.bootstrap, node)


def unique_topic(prefix: str) -> str:
    """A topic name that no other test uses: all of them share one broker."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"
