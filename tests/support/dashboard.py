"""The dashboard as people get it: a process of its own, which Streamlit serves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import tapewatch
from dashboard.launch import streamlit_arguments

SCRIPT = Path(tapewatch.__file__).parent / "dashboard_app.py"
START_SECONDS = 90


@contextmanager
def launched(
    scene: Any, folder: Path, login: Path | None = None, port: int | None = None, **settings: str
) -> Iterator[str]:
    """A dashboard process on a scene's database, started in a folder that is not the project's.

    ``settings`` are variables, such as ``TAPEWATCH_DASHBOARD_ROLE``.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(SCRIPT)]
    folders = (str(SCRIPT.parent.parent), os.environ.get("PYTHONPATH"))
    environment = {
        **os.environ,
        "TAPEWATCH_DATABASE_URL": scene.database.url,
        "PYTHONPATH": os.pathsep.join(filter(None, folders)),
        **({"TAPEWATCH_DASHBOARD_LOGIN": str(login)} if login else {}),
        **settings,
    }
    with (folder / "log").open("w+b") as log:
        process = subprocess.Popen(
            [*command, *streamlit_arguments("127.0.0.1", port, login)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_for(process, f"http://127.0.0.1:{port}/_stcore/health", folder / "log")
            yield f"http://127.0.0.1:{port}/"
        finally:
            _end(process)


def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the dashboard did not start:\n{log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
