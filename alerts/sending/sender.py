"""The sender: takes due messages from the outbox and delivers them, or gives them up in the end.

At least once: a crash after a delivery and before its record sends the message again, under the
same id. Each receiver has a thread of its own while it has messages, so that one which is slow
holds back no other; within it, messages go out in the order in which they were posted.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from threading import Event

from alerts.receivers.channels import open_channel
from alerts.receivers.receiver import CONSOLE, Receiver
from alerts.rules.ruleset import RuleSet
from alerts.sending.turn import Turn
from store import outbox
from store.database import Database
from store.errors import DatabaseUnavailableError


class Sender:
    """Delivers what the outbox holds to the receivers of one set of rules.

    ``random`` spreads the pauses; ``monotonic`` measures, in seconds, how far the wall clock has
    moved on since a call began.
    """

    def __init__(
        self,
        database: Database,
        rules: RuleSet,
        random: Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._random = random or Random()  # noqa: S311 - it spreads pauses
        self._monotonic = monotonic
        named = {receiver.name: receiver for receiver in rules.receivers}
        self._receivers = {CONSOLE: Receiver(name=CONSOLE, type="console"), **named}
        folder = Path(rules.templates)
        self._channels = {name: open_channel(r, folder) for name, r in self._receivers.items()}
        # One more: for receivers that the rules do not name any more.
        self._executor = ThreadPoolExecutor(len(self._receivers) + 1, "sender")
        self._under_way: dict[str, Future[int]] = {}
        self._closing = Event()

    def send_due(self, now: datetime, patience: float | None = None) -> int:
        """Attempt every message that is due at ``now`` once; how many were dealt with.

        Waits for slow receivers for ``patience`` seconds, by default to their end; after that they
        go on by themselves, and a later call counts what they did. Raises DatabaseUnavailableError.
        """
        deadline = None if patience is None else time.monotonic() + patience
        total = 0
        while True:
            self._start(now)
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            wait(list(self._under_way.values()), left)
            dealt_with = self._collect()
            total += dealt_with
            # Again: what has died is told to receivers that may have had nothing due before.
            if not dealt_with or left == 0.0:
                return total

    def close(self) -> None:
        """End after the attempts under way, and close the receivers' connections."""
        self._closing.set()
        self._executor.shutdown(wait=True)
        for channel in self._channels.values():
            channel.close()

    def _start(self, now: datetime) -> None:
        with self._database.transaction() as connection:
            due = outbox.due_receivers(connection, now)
        for name in due:
            if name not in self._under_way:
                self._under_way[name] = self._executor.submit(self._drain, name, now)

    def _collect(self) -> int:
        """Take the receivers that are done off the list. Raises what one of them raised."""
        done = {name: future for name, future in self._under_way.items() if future.done()}
        for name in done:
            del self._under_way[name]
        errors = [error for future in done.values() if (error := future.exception())]
        if errors:
            away = [error for error in errors if isinstance(error, DatabaseUnavailableError)]
            raise (away or errors)[0]
        return sum(future.result() for future in done.values())

    def _drain(self, name: str, due: datetime) -> int:
        """Take turns until nothing is due, each in a transaction; how much was dealt with."""
        begun, total = self._monotonic(), 0
        receiver = self._receivers.get(name) or Receiver(name=name, type="console")

        def clock() -> datetime:
            return due + timedelta(seconds=self._monotonic() - begun)

        while not self._closing.is_set():
            with self._database.transaction() as connection:
                channel = self._channels.get(name)
                turn = Turn(connection, receiver, channel, due, clock, self._random)
                dealt_with = turn.take()
            total += dealt_with
            if not dealt_with:
                break
        return total
