"""Retention: what of a run is too old, and the batches that delete it.

Batches are independent transactions: an interrupted prune is begun again and goes on. Workers and
the alerter go on meanwhile. Knows no command line.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from store import pruning
from store.buckets import SCOPES
from store.cards import forget_documents
from store.database import Database
from store.errors import PruneConflictError
from store.retention import Cutoff, move_horizon, newest_event, read_cutoff
from store.runs import LIVE, Run

_LOCK = 0x7461_7078_0000_0000


@dataclass(frozen=True, slots=True)
class Age:
    """How old documents and minutes may become, and hours; ``hours`` None: they are kept."""

    documents: timedelta
    hours: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is too old: documents and minutes before ``cutoff``, hours before ``hours_before``.

    Dead letters have no event time: they go by when they were received.
    """

    cutoff: Cutoff
    hours_before: datetime | None
    received_before: datetime


@dataclass(slots=True)
class Pruned:
    """Rows that were deleted; ``kept_corrected`` documents were corrected by somebody and stay."""

    documents: int = 0
    kept_corrected: int = 0
    symbols: int = 0
    earlier_scores: int = 0
    minute_buckets: int = 0
    hour_buckets: int = 0
    day_buckets: int = 0
    dead_letters: int = 0

    @property
    def steps(self) -> int:
        """How far it is, in rows as ``pruning.count_old`` counts them."""
        buckets = self.minute_buckets + self.hour_buckets + self.day_buckets
        return self.documents + self.kept_corrected + buckets + self.dead_letters


def plan_prune(
    database: Database, run: Run, age: Age, reach: timedelta, now: datetime
) -> Plan | None:
    """What is too old in ``run``; None where it holds no document.

    The live run ages by the wall clock ``now``, a replay by its newest document. ``reach`` is the
    longest window of the rules: what an alerter still looks back on is not too old.
    """
    with database.transaction() as connection:
        newest = newest_event(connection, run.id)
        latest = now if run.name == LIVE else newest
        if latest is None:
            return None
        cutoff = read_cutoff(connection, run.id, latest - age.documents, reach)
    if cutoff is None:
        return None
    hours = None
    if age.hours is not None:
        hours = _whole_day(min(latest - age.hours, cutoff.before))
    return Plan(cutoff, hours, now - age.documents)


def count_old(database: Database, run: Run, plan: Plan) -> pruning.Old:
    """What ``plan`` would delete, as far as it is there now."""
    with database.transaction() as connection:
        return pruning.count_old(
            connection, run.id, plan.cutoff.before, plan.hours_before, plan.received_before
        )


@dataclass(slots=True)
class Prune:
    """Carries out a plan; ``on_progress`` is told what was deleted so far after each batch."""

    database: Database
    run: Run
    plan: Plan
    batch: int
    on_progress: Callable[[Pruned], None] = lambda _: None
    pruned: Pruned = field(default_factory=Pruned)

    def go(self) -> Pruned:
        """Delete it all. Raises PruneConflictError while another prune is at work on the run."""
        with self.database.try_lock(_LOCK + self.run.id) as alone:
            if not alone:
                raise PruneConflictError(f"another prune is at work on the run {self.run.name!r}")
            with self.database.transaction() as connection:
                before, hours = self.plan.cutoff.before, self.plan.hours_before
                move_horizon(connection, self.run.id, before, hours)
            self._delete_documents(before)
            self._empty_cards(before)
            self._delete_buckets("minute", before)
            if hours is not None:
                self._delete_buckets("hour", hours)
                self._delete_buckets("day", hours)
            self._delete_dead_letters()
        return self.pruned

    def _delete_documents(self, before: datetime) -> None:
        position: tuple[datetime, str] | None = pruning.BEGINNING
        while position is not None:
            with self.database.transaction() as connection:
                deleted = pruning.delete_documents(
                    connection, self.run.id, before, position, self.batch
                )
            self.pruned.documents += deleted.documents
            self.pruned.kept_corrected += deleted.kept
            self.pruned.symbols += deleted.symbols
            self.pruned.earlier_scores += deleted.earlier_scores
            position = deleted.last
            self.on_progress(self.pruned)

    def _empty_cards(self, before: datetime) -> None:
        """Have cards of alerts quote no document that is gone; what they count stays."""
        emptied = self.batch
        while emptied == self.batch:
            with self.database.transaction() as connection:
                emptied = forget_documents(connection, self.run.id, before, self.batch)

    def _delete_buckets(self, width: str, before: datetime) -> None:
        name = f"{width}_buckets"
        for scope in SCOPES:
            deleted, after = self.batch, pruning.BEGINNING[0]
            while deleted == self.batch:
                with self.database.transaction() as connection:
                    deleted, after = pruning.delete_buckets(
                        connection, self.run.id, width, scope, (after, before), self.batch
                    )
                setattr(self.pruned, name, getattr(self.pruned, name) + deleted)
                self.on_progress(self.pruned)

    def _delete_dead_letters(self) -> None:
        deleted = self.batch
        while deleted == self.batch:
            with self.database.transaction() as connection:
                deleted = pruning.delete_dead_letters(
                    connection, self.run.id, self.plan.received_before, self.batch
                )
            self.pruned.dead_letters += deleted
            self.on_progress(self.pruned)


def _whole_day(at: datetime) -> datetime:
    """Hours go by whole days, so that a day is the sum of its hours for as long as it is kept."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
