"""The tools under the other tests: each really starts, works and ends."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from playwright.sync_api import Browser
from sqlalchemy import create_engine, text
from support import browser as browser_support
from support import kafka_jars, kafka_nodes
from support.kafka import Broker, start_broker, unique_topic
from support.kafka_jars import ChecksumError, Jar, KafkaJarsError
from support.postgres import Postgres, PostgresServer, start_postgres


def test_a_produced_record_comes_back(broker: Broker) -> None:
    topic = unique_topic("support")
    broker.create_topic(topic, partitions=2)
    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        producer.send(topic, b"hello", key=b"k", partition=1).get(timeout=20)

    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    with consumer:
        consumer.assign([TopicPartition(topic, 1)])
        found = poll_one(consumer)
    assert (found.topic, found.partition, found.offset) == (topic, 1, 0)
    assert (found.key, found.value) == (b"k", b"hello")


def poll_one(consumer):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=500).values():
            return records[0]
    return pytest.fail("no record came back in 20 s")


def test_a_deleted_topic_is_gone(broker: Broker) -> None:
    topic = unique_topic("support")
    broker.create_topic(topic)
    broker.delete_topic(topic)
    with broker.admin() as admin:
        assert topic not in admin.list_topics()


def test_a_broker_that_ends_while_it_starts_shows_its_log() -> None:
    class Ended:
        bootstrap = f"127.0.0.1:{kafka_nodes.free_ports(1)[0]}"

        def running(self) -> bool:
            return False

        def log(self) -> str:
            return "java.lang.OutOfMemoryError"

        def stop(self) -> None: ...

    with pytest.raises(kafka_nodes.BrokerError, match=r"ended[^\n]*\n.*OutOfMemory"):
        Broker(Ended.bootstrap, Ended()).wait_ready()


def test_named_servers_are_used_and_not_stopped(broker: Broker, monkeypatch) -> None:
    monkeypatch.setenv("TAPEWATCH_TEST_KAFKA", broker.bootstrap)
    with start_broker() as named:
        assert named.bootstrap == broker.bootstrap
    broker.wait_ready()


def test_a_container_is_told_where_it_is_reached() -> None:
    command = kafka_nodes.container_command(9092, 9093)
    assert "127.0.0.1:9092:9092" in command
    assert "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:9092" in command
    assert "KAFKA_LISTENERS=PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093" in command
    assert command[-1] == kafka_nodes.IMAGE


def test_a_container_is_started_watched_and_removed(tmp_path: Path, monkeypatch) -> None:
    engine, calls = tmp_path / "docker", tmp_path / "calls"
    engine.write_text(
        f'#!/bin/sh\necho "$*" >> {calls}\n'
        'case "$1" in run) echo "WARNING: old kernel"; echo c0ffee;; logs) echo started;; esac\n'
    )
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert kafka_nodes.container_engine() == "docker"
    node = kafka_nodes.ContainerNode("docker")
    assert node.running()
    assert node.log() == "started\n"
    node.stop()
    told = calls.read_text().splitlines()
    assert told[:2] == ["info", f"image inspect {kafka_nodes.IMAGE}"]
    assert told[3:] == ["inspect c0ffee", "logs c0ffee", "rm -f c0ffee"]


@pytest.mark.parametrize(
    ("said", "major"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_401"', 1), ("No Java", 0)],
)
def test_the_major_version_of_a_java(tmp_path: Path, said: str, major: int) -> None:
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    java.chmod(0o755)
    assert kafka_nodes.java_major(str(java)) == major


def test_an_old_java_gives_way_to_the_wheel(tmp_path: Path, monkeypatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    found = kafka_nodes.find_java()
    assert found != str(java)
    assert kafka_nodes.java_major(found) >= 17


def test_pom_sums_and_code_name_one_kafka() -> None:
    pom = kafka_jars.POM.read_text()
    assert re.findall(r"<version>(.*)</version>", pom)[1] == kafka_jars.KAFKA_VERSION
    names = [jar.name for jar in kafka_jars.pinned_jars()]
    assert f"kafka_2.13-{kafka_jars.KAFKA_VERSION}.jar" in names
    assert len(set(names)) == len(names)


def test_a_wrong_checksum_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "some.jar"
    file.write_bytes(b"altered")
    with pytest.raises(ChecksumError, match=r"some\.jar has SHA-256 .* pinned is 00"):
        kafka_jars.verify(file, "00")
    assert not file.exists()


class Repository(SimpleHTTPRequestHandler):
    """A Maven repository of a folder, counting what is asked of it."""

    asked: list[str]

    def __init__(self, *arguments, asked: list[str], **options) -> None:
        self.asked = asked
        super().__init__(*arguments, **options)

    def log_request(self, *_) -> None:
        self.asked.append(self.path)

    def log_message(self, *_) -> None: ...


@pytest.fixture
def repository(tmp_path: Path, monkeypatch) -> Iterator[list[str]]:
    """Two small pinned jars behind HTTP and an empty cache; the paths asked for so far."""
    jars, asked = [], []
    for name in ("one", "two"):
        file = tmp_path / "repository" / "org" / f"{name}.jar"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode() * 1000)
        jars.append(Jar(hashlib.sha256(file.read_bytes()).hexdigest(), f"org/{name}.jar"))
    monkeypatch.setattr(kafka_jars, "pinned_jars", lambda: jars)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    handler = partial(Repository, directory=tmp_path / "repository", asked=asked)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setenv("TAPEWATCH_MAVEN_URL", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield asked
        server.shutdown()
        thread.join()


def ignore(_: str) -> None: ...


def test_two_sessions_at_once_fetch_the_jars_once(repository: list[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(kafka_jars.ensure_jars, [ignore, ignore])
    assert first == second
    assert [file.read_bytes()[:3] for file in first] == [b"one", b"two"]
    assert sorted(repository) == ["/org/one.jar", "/org/two.jar"]


def test_an_altered_cache_is_fetched_anew(repository: list[str]) -> None:
    one, _ = kafka_jars.ensure_jars(ignore)
    one.write_bytes(b"altered")
    assert kafka_jars.ensure_jars(ignore)[0].read_bytes()[:3] == b"one"
    left = sorted(each.name for each in one.parent.parent.iterdir())
    assert left == [one.parent.name, f"{one.parent.name}.lock"]


def test_a_jar_altered_on_the_way_never_reaches_the_cache(
    repository: list[str], tmp_path: Path
) -> None:
    (tmp_path / "repository" / "org" / "two.jar").write_bytes(b"altered")
    with pytest.raises(ChecksumError, match=r"two\.jar"):
        kafka_jars.ensure_jars(ignore)
    assert not kafka_jars.cache_dir().exists()


def test_a_jar_that_is_not_there_is_named(
    repository: list[str], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(kafka_jars, "_ATTEMPTS", 1)
    (tmp_path / "repository" / "org" / "two.jar").unlink()
    with pytest.raises(KafkaJarsError, match=r"could not download org/two\.jar.*404"):
        kafka_jars.ensure_jars(ignore)


def test_a_fresh_database_is_empty_and_its_own(postgres: Postgres, database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("create table mine (id int)"))
    engine.dispose()
    with (
        postgres.database() as other,
        psycopg.connect(other) as connection,
    ):
        assert connection.execute("select to_regclass('mine')").fetchone() == (None,)


def test_a_dropped_database_is_gone_though_it_was_in_use(postgres: Postgres) -> None:
    url = postgres.new_database()
    with ExitStack() as stack:
        stack.enter_context(psycopg.connect(url, autocommit=True))
        postgres.drop_database(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_a_named_server_gets_the_databases(postgres: Postgres, database_url: str, monkeypatch):
    monkeypatch.setenv(
        "TAPEWATCH_TEST_DATABASE_URL", database_url.replace("postgresql", "postgresql+psycopg", 1)
    )
    named = start_postgres()
    with named.database() as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    named.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgres_comes_back_at_the_same_address(mode) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tapewatch-")))
        server = PostgresServer(folder / "postgres")
        stack.callback(server.close)
        url = server.new_database()
        with psycopg.connect(url) as connection:
            connection.execute("create table kept as select 42 as n")

        server.stop(mode)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=5)
        server.start()

        with psycopg.connect(url) as connection:
            assert connection.execute("select n from kept").fetchone() == (42,)


def test_the_browser_opens_a_page(browser: Browser) -> None:
    page = browser.new_page()
    page.goto("data:text/html,<title>Tape</title><h1>hello</h1>")
    assert page.title() == "Tape"
    assert page.inner_text("h1") == "hello"
    page.close()


def test_a_browser_that_only_pretends_is_passed_over(tmp_path: Path, monkeypatch) -> None:
    stub = tmp_path / "chromium"
    stub.write_text("#!/bin/sh\nexit 1\n")
    stub.chmod(0o755)
    monkeypatch.delenv("TAPEWATCH_TEST_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert browser_support.find_chromium() is None
    monkeypatch.setenv("TAPEWATCH_TEST_CHROMIUM", "/opt/chromium")
    assert browser_support.find_chromium() == "/opt/chromium"
