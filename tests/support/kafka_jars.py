"""The jars of Apache Kafka: pinned by checksum, fetched once, kept in the user's cache.

`kafka-jars.sha256` says which files there are and what they must hash to; Maven, where there is
one, only carries them. This module does not start a broker.

Run as a script it rewrites `kafka-jars.sha256` from what Maven resolves for `kafka-pom.xml`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
from jgo.constants import MAVEN_CENTRAL_URL

KAFKA_VERSION = "4.4.0"
POM = Path(__file__).with_name("kafka-pom.xml")
SUMS = Path(__file__).with_name("kafka-jars.sha256")

_FETCH_SECONDS = 240.0
_DOWNLOADS_AT_ONCE = 8
_ATTEMPTS = 3


class KafkaJarsError(RuntimeError):
    """The jars could not be had: see the network, or set TAPEWATCH_TEST_KAFKA to a running one."""


class ChecksumError(KafkaJarsError):
    """A jar is not the pinned one: remove it from the cache, or see who altered it on the way."""


class Jar(NamedTuple):
    """One file of a Maven repository and the checksum it must have."""

    sha256: str
    path: str

    @property
    def name(self) -> str:
        """The file's name, unique among the pinned jars."""
        return self.path.rpartition("/")[2]


def pinned_jars() -> list[Jar]:
    """The jars that `kafka-jars.sha256` lists."""
    return [Jar(*line.split()) for line in SUMS.read_text().splitlines()]


def verify(file: Path, sha256: str) -> None:
    """Remove the file and raise `ChecksumError` unless it hashes to `sha256`."""
    if not file.exists():
        raise KafkaJarsError(f"{file.name} is missing; do {POM.name} and {SUMS.name} agree?")
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        file.unlink()
        raise ChecksumError(f"{file.name} has SHA-256 {found}, pinned is {sha256}; it was removed")


def cache_dir() -> Path:
    """Where the jars of this Kafka version are kept between test sessions."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "tapewatch" / f"kafka-{KAFKA_VERSION}"


def ensure_jars(say: Callable[[str], None] = print) -> list[Path]:
    """The verified jars, fetched first if the cache lacks them."""
    target = cache_dir()
    target.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _FETCH_SECONDS
    with _locked(target.with_name(f"{target.name}.lock"), deadline):
        if not _complete(target):
            _replace(target, lambda folder: _fetch(folder, deadline, say))
    return [target / jar.name for jar in pinned_jars()]


def _complete(folder: Path) -> bool:
    try:
        _verify_all(folder)
    except KafkaJarsError:
        return False
    return True


def _verify_all(folder: Path) -> None:
    for jar in pinned_jars():
        verify(folder / jar.name, jar.sha256)


@contextmanager
def _locked(path: Path, deadline: float) -> Iterator[None]:
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise KafkaJarsError(f"another session holds {path} for too long") from None
                time.sleep(0.1)
        yield


def _replace(target: Path, fill: Callable[[Path], None]) -> None:
    """Fill a fresh folder and move it to its place, so that no one ever sees half of it."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.") as scratch:
        fresh, stale = Path(scratch, "fresh"), Path(scratch, "stale")
        fresh.mkdir()
        fill(fresh)
        if target.exists():
            target.rename(stale)
        fresh.rename(target)


def _fetch(folder: Path, deadline: float, say: Callable[[str], None]) -> None:
    # An address given on purpose outranks whatever Maven is configured to use.
    url = os.environ.get("TAPEWATCH_MAVEN_URL")
    if not url and shutil.which("mvn"):
        say(f"Kafka {KAFKA_VERSION}: resolving its jars with Maven")
        try:
            resolve(folder, deadline)
        except KafkaJarsError as problem:
            say(f"{problem}; downloading instead")
        else:
            _verify_all(folder)
            return
    source = url or MAVEN_CENTRAL_URL
    say(f"Kafka {KAFKA_VERSION}: downloading {len(pinned_jars())} jars from {source}")
    download(pinned_jars(), source, folder, deadline)


def resolve(folder: Path, deadline: float, *options: str) -> None:
    """Let Maven copy what the pom asks for into the folder."""
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    command = ["mvn", "-B", "-q", "-f", str(POM), *goal, *options]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=max(deadline - time.monotonic(), 1.0),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise KafkaJarsError("mvn did not finish in time") from None
    if done.returncode:
        raise KafkaJarsError(f"mvn could not resolve {POM.name}: {done.stdout.strip()[-2000:]}")


def download(jars: list[Jar], base: str, folder: Path, deadline: float) -> None:
    """Download the jars from a Maven repository into the folder, and verify each."""
    with (
        httpx.Client(base_url=base, follow_redirects=True, timeout=30) as client,
        ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool,
    ):
        fetched = [pool.submit(_download, client, jar, folder, deadline) for jar in jars]
        try:
            for each in fetched:
                each.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _download(client: httpx.Client, jar: Jar, folder: Path, deadline: float) -> None:
    file = folder / jar.name
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _stream(client, jar.path, file, deadline)
            break
        except httpx.HTTPError as problem:
            if attempt == _ATTEMPTS:
                raise KafkaJarsError(f"could not download {jar.path}: {problem!r}") from problem
            time.sleep(attempt)
    verify(file, jar.sha256)


def _stream(client: httpx.Client, path: str, file: Path, deadline: float) -> None:
    with client.stream("GET", path) as response, file.open("wb") as out:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            if time.monotonic() > deadline:
                raise KafkaJarsError(f"the download of {path} took too long")
            out.write(chunk)


def _pin() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        resolve(folder, time.monotonic() + _FETCH_SECONDS, "-Dmdep.useRepositoryLayout=true")
        jars = sorted(folder.rglob("*.jar"), key=lambda jar: jar.relative_to(folder).as_posix())
        sums = ((hashlib.sha256(jar.read_bytes()).hexdigest(), jar) for jar in jars)
        lines = [f"{sha256}  {jar.relative_to(folder).as_posix()}\n" for sha256, jar in sums]
    SUMS.write_text("".join(lines))


if __name__ == "__main__":
    _pin()
