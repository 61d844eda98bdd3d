"""Trains a challenger in a process of its own, when drift asks for one; never promotes it.

One at a time: the training holds a file lock that it inherits and that ends with it, so neither a
second scheduler nor a restart begins another. Its weights are taken into the registry once its
card, the last file that a training writes, is there; that too survives a restart. Knows no drift,
only its verdict, and not how training works.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO

import structlog

from classifier.continual.registry import CARD_FILE, Note, Registry, RegistryError
from classifier.continual.stability import Verdict

log = structlog.get_logger(__name__)

REST = timedelta(hours=24)
"""From the beginning of one training to that of the next, at least."""

AUTHOR = "tapewatch drift"

_NICENESS = 10
_STOP_SECONDS = 30
_FOLDER = ".training"


class Training(StrEnum):
    """What becomes of a verdict."""

    NEEDED = "the documents have drifted"
    NOT_DRIFTED = "the documents have not drifted"
    UNDER_WAY = "a training is under way"
    RESTING = "the last training began not long ago"


def decide(
    verdict: Verdict | None,
    last_began: datetime | None,
    now: datetime,
    *,
    under_way: bool,
    rest: timedelta = REST,
) -> Training:
    """Whether a challenger is to be trained, and why or why not."""
    if verdict is not Verdict.DRIFTED:
        return Training.NOT_DRIFTED
    if under_way:
        return Training.UNDER_WAY
    if last_began is not None and now - last_began < rest:
        return Training.RESTING
    return Training.NEEDED


def train_command(config: Path) -> Callable[[Path], list[str]]:
    """The training as a command, given the folder for its weights."""
    program = [sys.executable, "-m", "tapewatch.cli", "train", "--config", str(config.resolve())]
    return lambda output: [*program, "--from", "champion", "--feedback", "--output", str(output)]


@dataclass(slots=True)
class Trainer:
    """Begins trainings and collects what came of them. ``command`` is given the output folder."""

    registry: Registry
    command: Callable[[Path], Sequence[str]]
    rest: timedelta = REST
    _child: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def follow_up(self, verdict: Verdict | None, now: datetime) -> Training:
        """Collect a finished training; begin another if the verdict asks for it."""
        under_way = self.under_way()
        if not under_way:
            self.collect(now)
        decision = decide(verdict, self._last_began(), now, under_way=under_way, rest=self.rest)
        if decision is Training.NEEDED:
            self.begin(now)
        elif verdict is Verdict.DRIFTED:
            log.info("no_training", reason=str(decision))
        return decision

    def under_way(self) -> bool:
        """Whether a training runs, of this process or of another."""
        with self._lock() as lock:
            return not _taken(lock)

    def begin(self, now: datetime) -> None:
        """Start the training as a low-priority process; its output goes to a log file."""
        output = self._output
        with self._lock() as lock, self._log.open("ab") as lines:
            if not _taken(lock):
                return
            for old in output.parent.glob(output.name + "*"):  # a training that was cut off
                shutil.rmtree(old, ignore_errors=True)
            lock.truncate(0)
            lock.write(now.isoformat())
            lock.flush()
            command = list(self.command(output))
            self._child = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=subprocess.STDOUT,
                pass_fds=(lock.fileno(),),
                start_new_session=True,
            )
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, self._child.pid, _NICENESS)
        log.info("training_began", pid=self._child.pid, log=str(self._log))

    def collect(self, now: datetime) -> str | None:
        """Make what a finished training left the challenger; its version, None without any."""
        status = self._child.poll() if self._child else None
        if status is not None:
            self._child = None
            if status:
                log.error("training_failed", status=status, log=str(self._log))
        output = self._output
        if not (output / CARD_FILE).is_file():
            return None
        try:
            version = self.registry.add(output)
            self.registry.challenge(version, Note(now, AUTHOR, "trained because of drift"))
        except RegistryError as error:
            log.error("challenger_not_added", weights=str(output), error=str(error))  # noqa: TRY400
            output.rename(output.with_name(f"not-added-{now:%Y%m%dT%H%M%S}"))
            return None
        shutil.rmtree(output)
        log.info("challenger_added", model=version)
        return version

    def wait(self, seconds: float | None = None) -> None:
        """Until the training of this process has ended. Raises subprocess.TimeoutExpired."""
        if self._child:
            self._child.wait(seconds)

    def stop(self) -> None:
        """End the training of this process: nobody would be left to collect it."""
        if self._child is None or self._child.poll() is not None:
            return
        log.info("training_stopped", pid=self._child.pid)
        self._child.terminate()
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    @property
    def _output(self) -> Path:
        return self.registry.root / _FOLDER / "weights"

    @property
    def _log(self) -> Path:
        return self.registry.root / _FOLDER / "training.log"

    def _lock(self) -> IO[str]:
        """The lock's file, which also says when the last training began."""
        folder = self.registry.root / _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / "training.lock").open("a+")

    def _last_began(self) -> datetime | None:
        with self._lock() as lock:
            lock.seek(0)
            try:
                return datetime.fromisoformat(lock.read().strip())
            except ValueError:
                return None


def _taken(lock: IO[str]) -> bool:
    """Take the lock if it is free; closing the file gives it back, unless a child has it too."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
