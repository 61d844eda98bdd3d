"""Fetches what the tests need and pip cannot bring: Kafka and a Chromium.

`python tests/support/install.py` ends `make install`; a second run finds everything in place.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

# Beside this script lies kafka.py, which must not hide the library of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from support.browser import HOW_TO_INSTALL, ChromiumError, chromium  # noqa: E402
from support.kafka_jars import KafkaJarsError, cache_dir, ensure_jars  # noqa: E402
from support.kafka_nodes import IMAGE, BrokerError, container_engine, find_java  # noqa: E402

_INSTALL_SECONDS = 900


def install_kafka() -> None:
    """Fetch the image or the jars, whichever the tests would run."""
    if servers := os.environ.get("TAPEWATCH_TEST_KAFKA"):
        say(f"Kafka: the tests use {servers}")
    elif engine := container_engine():
        say(f"Kafka: {IMAGE} by {engine}")
    else:
        java = find_java()
        ensure_jars(say)
        say(f"Kafka: jars in {cache_dir()}, run by {java}")


def install_chromium() -> None:
    """Install a Chromium unless one starts."""
    attempts: list[Callable[[], None]] = [lambda: None, _by_apt, _by_playwright]
    for attempt in attempts:
        attempt()
        if version := _chromium_version():
            say(f"Chromium: {version}")
            return
    raise ChromiumError(HOW_TO_INSTALL)


def _chromium_version() -> str | None:
    try:
        with chromium() as browser:
            return browser.version
    except ChromiumError:
        return None


def _by_apt() -> None:
    if _may_use_apt():
        _attempt("apt-get", "update", "-qq")
        _attempt("apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium")


def _by_playwright() -> None:
    system_libraries = ["--with-deps"] if _may_use_apt() else []
    _attempt(sys.executable, "-m", "playwright", "install", *system_libraries, "chromium")


def _may_use_apt() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _attempt(*command: str) -> None:
    say(f"running {' '.join(command)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        say(f"gave up on {command[0]} after {_INSTALL_SECONDS} s")


def say(message: str) -> None:
    """Show progress at once, in order with the output of what is run."""
    print(message, flush=True)  # noqa: T201 - this is a command


def main() -> None:
    """Install everything, and tell all that is missing in the end."""
    problems = [problem for step in (install_kafka, install_chromium) if (problem := _try(step))]
    if problems:
        sys.exit("\n".join(f"error: the tests cannot run: {problem}" for problem in problems))


def _try(step: Callable[[], None]) -> Exception | None:
    try:
        step()
    except (BrokerError, ChromiumError, KafkaJarsError) as problem:
        return problem
    return None


if __name__ == "__main__":
    main()
