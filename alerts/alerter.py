"""The alerter: judges a run up to its watermark and writes what changed, in one transaction.

States, events, outbox rows and the cursor of the run move together or not at all; the run's row
is locked meanwhile, so two alerters by mistake take turns and the second finds nothing to do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alerts.decisions import Standing, State
from alerts.evaluation import Standings, evaluate, removed
from alerts.messages import messages_for
from alerts.rules import GRID, RuleSet
from alerts.windows import floor, series_by_key
from store import alertlog, outbox
from store.alertlog import EventRow, StateRow
from store.buckets import read_buckets, span
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
        count = 0
        while True:
            with self.database.transaction() as connection:
                events, more = self._step(connection, now, finish=finish)
            for event in events:
                self.on_event(event)
            count += len(events)
            if not more:
                return count

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
        events, standings, before = self._judge(connection, cursor, until)
        self._write(connection, events, standings, before)
        alertlog.move_cursor(connection, self.run.id, until)
        return events, until < watermark

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

    def _judge(
        self, connection: Connection, after: datetime, until: datetime
    ) -> tuple[list[EventRow], Standings, Standings]:
        before = {
            (row.rule, row.key): Standing(
                State(row.state),
                row.since.astimezone(UTC),
                row.fired_at and row.fired_at.astimezone(UTC),
                row.thin_since and row.thin_since.astimezone(UTC),
            )
            for row in alertlog.read_states(connection, self.run.id)
        }
        events: list[EventRow] = []
        standings: Standings = {}
        for rule in self.rules.rules:
            keys = rule.keys or None
            start = after - rule.window
            buckets = read_buckets(connection, self.run.id, rule.scope, start, until, keys)
            outcome = evaluate(rule, series_by_key(buckets, rule.kinds), before, after, until)
            events += outcome.events
            standings |= outcome.standings
        known = {rule.name for rule in self.rules.rules}
        orphans = [(name, key) for name, key in before if name not in known]
        events += [removed(before[name, key], name, key, until) for name, key in orphans]
        events.sort(key=lambda event: (event.at, event.rule, event.key))
        return events, standings, before

    def _write(
        self,
        connection: Connection,
        events: list[EventRow],
        standings: Standings,
        before: Standings,
    ) -> None:
        changed = [
            StateRow(rule, key, s.state, s.since, s.fired_at, s.thin_since)
            for (rule, key), s in standings.items()
            if before.get((rule, key)) != s
        ]
        cleared = sorted(before.keys() - standings.keys())
        alertlog.write_states(connection, self.run.id, changed, cleared)
        ids = alertlog.append_events(connection, self.run.id, events)
        if self.notify:
            for event_id, event in zip(ids, events, strict=True):
                told = messages_for(event_id, event, self.run.name, self.rules)
                outbox.post(connection, told)
