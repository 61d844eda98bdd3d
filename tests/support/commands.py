"""Runs `tapewatch` as its users do: as a process of its own, always ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEMO_FEED = ROOT / "tapewatch" / "demo" / "feed.jsonl.gz"

_SETTINGS = ("TAPEWATCH_", "STREAMLIT_")


def environment(**settings: object) -> dict[str, str]:
    """This process' environment with these TAPEWATCH_ settings and no others."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
    given = {f"TAPEWATCH_{name.upper()}": str(value) for name, value in settings.items()}
    return {**inherited, **given, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


def tapewatch(
    *arguments: object,
    seconds: float = 180,
    fails: bool = False,
    folder: Path | None = None,
    **settings: object,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in `folder`; it must succeed, or with `fails` must not."""
    done = subprocess.run(
        _command(arguments),
        env=environment(**settings),
        cwd=folder or tempfile.gettempdir(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert bool(done.returncode) == fails, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The object on the last line of a command's standard output."""
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


class Running:
    """A command that goes on in the background, its output in a file."""

    def __init__(self, arguments: tuple[object, ...], settings: dict[str, object]) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="tapewatch-")  # noqa: SIM115 - see close
        self._process = subprocess.Popen(
            _command(arguments),
            env=environment(**settings),
            cwd=tempfile.gettempdir(),
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        """Everything written so far."""
        return Path(self._log.name).read_text(errors="replace")

    @property
    def number(self) -> int:
        """The process' number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def wait_for(self, text: str, seconds: float = 90) -> None:
        """Until the output holds `text`."""
        wait_until(lambda: text in self.output or not self.alive, seconds, self._describe)
        assert text in self.output, self._describe()

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self._process.kill()
        self._process.wait(10)

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM, and the exit status."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def close(self) -> None:
        """End it whatever it does."""
        if self.alive:
            self.kill()
        self._log.close()

    def _describe(self) -> str:
        return f"output so far:\n{self.output[-4000:]}"


@contextmanager
def running(*arguments: object, **settings: object) -> Iterator[Running]:
    """A command in the background, ended with the block."""
    started = Running(arguments, settings)
    try:
        yield started
    finally:
        started.close()


def wait_until(
    holds: Callable[[], bool], seconds: float, describe: Callable[[], str] = lambda: ""
) -> None:
    """Poll until `holds`; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s. {describe()}"
        time.sleep(0.1)


def _command(arguments: tuple[object, ...]) -> list[str]:
    return [sys.executable, "-m", "tapewatch.cli", *map(str, arguments)]
