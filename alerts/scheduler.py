"""The alerter's clockwork: APScheduler jobs that evaluate and send, one process at a time.

An advisory lock in the database makes sure of the one: a second alerter stands by and takes over
when the first is gone. Late jobs are run late, never dropped, and never twice at once. What takes a
model has a thread and a lock of its own, so that no evaluation and no message waits for it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler

from alerts.alerter import Alerter
from alerts.sending.sender import Sender
from store.database import Database
from store.errors import DatabaseUnavailableError

log = structlog.get_logger(__name__)

_ALERTER_LOCK = 0x616C_6572
_ASIDE_LOCK = 0x616C_6573
_PATIENCE_SECONDS = 2.0
"""How long a tick waits for receivers; who is slower goes on beside the next evaluation."""


class AlertSchedule:
    """Evaluates and sends every ``seconds``, until stopped; does ``aside`` beside that."""

    def __init__(
        self,
        database: Database,
        alerter: Alerter,
        sender: Sender,
        seconds: int,
        aside: Callable[[], None] | None = None,
    ) -> None:
        self._database = database
        self._alerter = alerter
        self._sender = sender
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._stopped = False
        self._executors = {"default": ThreadPoolExecutor(1), "aside": ThreadPoolExecutor(1)}
        self._scheduler = BlockingScheduler(
            executors=self._executors, job_defaults=defaults, timezone=UTC
        )
        self._scheduler.add_job(
            self.tick, "interval", seconds=seconds, next_run_time=datetime.now(UTC), id="alerter"
        )
        if aside is not None:
            beside = partial(guarded_tick, database, aside, _ASIDE_LOCK)
            self._scheduler.add_job(
                beside, "interval", seconds=seconds, executor="aside", id="aside"
            )

    def run(self) -> None:
        """Work until ``stop``, and until the jobs then under way have ended."""
        if not self._stopped:
            self._scheduler.start()
        for executor in self._executors.values():
            executor.shutdown(wait=True)

    def stop(self) -> None:
        """Have ``run`` end after the job under way. Returns at once; fit for a signal handler."""
        self._stopped = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def tick(self) -> bool:
        """Evaluate and send once; False where another alerter is at work or the database away."""
        return guarded_tick(self._database, self._work)

    def _work(self) -> None:
        self._alerter.advance(datetime.now(UTC))
        self._sender.send_due(datetime.now(UTC), _PATIENCE_SECONDS)


def guarded_tick(database: Database, work: Callable[[], None], lock: int = _ALERTER_LOCK) -> bool:
    """Do ``work`` while holding the lock; False if it is held or the database is away."""
    try:
        with database.try_lock(lock) as held:
            if held:
                work()
            return held
    except DatabaseUnavailableError as error:
        log.warning("waiting_for_database", error=str(error))
        return False
