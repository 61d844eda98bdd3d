"""The alerter: judges a run up to its watermark and writes what changed, in one transaction.

States, events, cards, notifications, outbox rows and the cursor of the run move together or not
at all; the run's row is locked meanwhile, so two alerters by mistake take turns and the second
finds nothing to do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.conditions.windows import floor
from alerts.evaluation.judging import explain, judge, read_standings, write_standings
from alerts.rules.ruleset import GRID, RuleSet
from alerts.telling import health
from alerts.telling.notifying import tell_of
from alerts.watching import watch
from store import alertlog
from store.alertlog import EventRow
from store.buckets import span
from store.database import Connection, Database
from store.runs import Run

LONGEST_STEP = timedelta(days=14)
"""Event time judged in one transaction: a replay of years moves in steps of this."""


def partition_time(
    newest: datetime | None, moved: datetime, now: datetime, idle: timedelta | None
) -> datetime | None:
    """The event time that a partition has reached; None before its first document.

    While it moves, that is its newest document. Once it has not moved for ``idle``, its time goes
    on from there at the pace of the wall clock: windows close although nothing comes, and a
    backlog that is merely stalled is not skipped.
    """
    if newest is None or idle is None or now - moved < idle:
        return newest
    return newest + (now - moved)


@dataclass(frozen=True, slots=True)
class Alerter:
    """Judges one run by one set of rules.

    ``idle`` is how long a partition may be silent (wall clock) before it stops holding back the
    watermark; None for a replay, whose time comes from the documents alone.
    """

    database: Database
    run: Run
    rules: RuleSet
    allowed_lateness: timedelta = timedelta(minutes=1)
    idle: timedelta | None = None
    notify: bool = False
    on_event: Callable[[EventRow], None] = lambda _: None

    def advance(self, now: datetime, *, finish: bool = False) -> int:
        """Judge every grid point that the watermark has passed; how many events came of it.

        ``now`` is the wall clock. ``finish`` judges to the run's very last document: for a feed
        that has ended.
        """
        count = self._watch(now) if self.idle is not None and not finish else 0
        while True:
            with self.database.transaction() as connection:
                events, more = self._step(connection, now, finish=finish)
            for event in events:
                self.on_event(event)
            count += len(events)
            if not more:
                return count

    def _watch(self, now: datetime) -> int:
        """Examine the pipeline itself; how many events came of it."""
        assert self.idle is not None  # noqa: S101 - only a live run is watched
        with self.database.transaction() as connection:
            alertlog.lock_cursor(connection, self.run.id)
            watermark = self._watermark(connection, now, finish=False)
            notify, idle = self.notify, self.idle
            events = watch(connection, self.run, self.rules, watermark, now, idle, notify=notify)
        for event in events:
            self.on_event(event)
        return len(events)

    def _step(
        self, connection: Connection, now: datetime, *, finish: bool
    ) -> tuple[list[EventRow], bool]:
        cursor = alertlog.lock_cursor(connection, self.run.id)
        watermark = self._watermark(connection, now, finish=finish)
        if cursor is None:
            extent = span(connection, self.run.id)
            cursor = floor(extent[0], GRID) if extent else None
        if cursor is None or watermark is None or watermark <= cursor:
            return [], False
        until = min(watermark, cursor + LONGEST_STEP)
        events = self._judge(connection, cursor, until)
        alertlog.move_cursor(connection, self.run.id, until)
        return events, until < watermark

    def _judge(self, connection: Connection, after: datetime, until: datetime) -> list[EventRow]:
        """Judge the grid points in (after, until], write what came of it and whom to tell."""
        run_id = self.run.id
        before = read_standings(
            row for row in alertlog.read_states(connection, run_id) if row.rule != health.NAME
        )
        outcome = judge(connection, run_id, self.rules, before, after, until)
        write_standings(connection, run_id, outcome.standings, before)
        ids = alertlog.append_events(connection, run_id, outcome.events)
        happened = list(zip(ids, outcome.events, strict=True))
        windows, lateness = outcome.windows, self.allowed_lateness
        explain(connection, run_id, self.rules, happened, windows, lateness)
        tell_of(connection, self.run, self.rules, happened, after, until, notify=self.notify)
        return outcome.events

    def _watermark(self, connection: Connection, now: datetime, *, finish: bool) -> datetime | None:
        """The last grid point up to which we expect no more documents; None: none yet."""
        progress = alertlog.read_progress(connection, self.run.id)
        if finish:
            newest = [event for event, _ in progress if event is not None]
            return floor(max(newest), GRID) + GRID if newest else None
        times = [
            partition_time(newest, moved, now, self.idle)
            for newest, moved in progress
            if newest is not None or not self._is_idle(moved, now)
        ]
        known = [time for time in times if time is not None]
        if not known or len(known) < len(times):
            return None
        return floor(min(known) - self.allowed_lateness, GRID)

    def _is_idle(self, moved: datetime, now: datetime) -> bool:
        return self.idle is not None and now - moved >= self.idle
