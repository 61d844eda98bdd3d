"""How the firings of two sets of rules differ, and how firings meet events that are known. Pure.

Times are event time. Rules are compared by what they say of a subject, whatever they are called.
"""

import bisect
import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from alerts.backtest.firings import Firing


@dataclass(frozen=True, slots=True)
class Comparison:
    """Firings that only one side has, and those that overlap with one of the other side."""

    added: Sequence[Firing]
    gone: Sequence[Firing]
    shared: Sequence[Firing]


def compare(new: Sequence[Firing], old: Sequence[Firing], until: datetime) -> Comparison:
    """What ``new`` rules say that ``old`` ones do not, and the other way round.

    Two firings are the same alarm if they are of one scope and key and overlap in time; what
    still fires lasts to ``until``.
    """
    here, there = _spans(new, until), _spans(old, until)
    added = [firing for firing in new if not _meets(firing, there, until)]
    gone = [firing for firing in old if not _meets(firing, here, until)]
    alone = {id(firing) for firing in added}
    return Comparison(added, gone, [firing for firing in new if id(firing) not in alone])


_Spans = dict[tuple[str, str], list[tuple[datetime, datetime]]]


def _spans(some: Iterable[Firing], until: datetime) -> _Spans:
    spans: _Spans = defaultdict(list)
    for firing in some:
        spans[firing.subject].append((firing.fired_at, firing.resolved_at or until))
    return spans


def _meets(firing: Firing, spans: _Spans, until: datetime) -> bool:
    end = firing.resolved_at or until
    return any(
        start <= end and firing.fired_at <= stop for start, stop in spans.get(firing.subject, ())
    )


class KnownEventsError(ValueError):
    """A file of known events cannot be used; the message names the line and the column."""


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """Something that should have been told: from when to when, and of whom (None: of anybody)."""

    start: datetime
    end: datetime
    key: str | None = None
    name: str = ""


def read_known_events(path: Path) -> list[KnownEvent]:
    """A CSV with the column ``start`` and, if there are, ``end``, ``key`` and ``name``.

    Times are ISO 8601, in UTC where they name no zone. Raises KnownEventsError.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KnownEventsError(f"cannot read the known events of {path}: {error}") from error
    return parse_known_events(content, str(path))


def parse_known_events(content: bytes, where: str) -> list[KnownEvent]:
    """The known events in the bytes of such a CSV; ``where`` names it in messages.

    Raises KnownEventsError.
    """
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        if "start" not in (reader.fieldnames or ()):
            raise KnownEventsError(f"{where}: there is no column `start` in its first line")
        return [_known(row, f"{where}:{reader.line_num}") for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise KnownEventsError(f"cannot read the known events of {where}: {error}") from error


def _known(row: dict[str, str | None], where: str) -> KnownEvent:
    start = _moment(row, "start", where)
    end = _moment(row, "end", where) if row.get("end") else start
    if end < start:
        raise KnownEventsError(f"{where}: `end` is before `start`")
    return KnownEvent(start, end, row.get("key") or None, row.get("name") or "")


def _moment(row: dict[str, str | None], column: str, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat((row[column] or "").strip())
    except ValueError as error:
        raise KnownEventsError(f"{where}: `{column}` is no time: {error}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Finding:
    """One known event and the first firing that belongs to it, if any does."""

    event: KnownEvent
    firing: Firing | None

    @property
    def delay(self) -> timedelta | None:
        """From the event's start to the firing; negative if it fired before."""
        return None if self.firing is None else self.firing.fired_at - self.event.start


@dataclass(frozen=True, slots=True)
class Judgement:
    """Firings against known events. ``false`` are those that belong to none."""

    found: Sequence[Finding]
    true: Sequence[Firing]
    false: Sequence[Firing]

    @property
    def precision(self) -> float | None:
        """The part of the firings that belong to a known event; None without firings."""
        total = len(self.true) + len(self.false)
        return len(self.true) / total if total else None

    @property
    def recall(self) -> float | None:
        """The part of the known events that were told; None without events."""
        told = sum(finding.firing is not None for finding in self.found)
        return told / len(self.found) if self.found else None

    @property
    def median_delay(self) -> timedelta | None:
        """Of the events that were told."""
        delays = [finding.delay for finding in self.found if finding.delay is not None]
        if not delays:
            return None
        return timedelta(seconds=median(delay.total_seconds() for delay in delays))


def judge_firings(
    some: Sequence[Firing],
    known: Sequence[KnownEvent],
    early: timedelta = timedelta(0),
    late: timedelta = timedelta(0),
) -> Judgement:
    """Which firings belong to which known events.

    A firing belongs to an event if it begins between ``early`` before the event's start and
    ``late`` after its end, for the event's key.
    """
    ordered = sorted(some, key=lambda firing: firing.fired_at)
    moments = [firing.fired_at for firing in ordered]
    true: set[int] = set()
    found = []
    for event in known:
        first = bisect.bisect_left(moments, event.start - early)
        last = bisect.bisect_right(moments, event.end + late)
        own = [f for f in ordered[first:last] if event.key in {None, f.first.key}]
        true |= {id(firing) for firing in own}
        found.append(Finding(event, own[0] if own else None))
    return Judgement(
        found,
        [firing for firing in ordered if id(firing) in true],
        [firing for firing in ordered if id(firing) not in true],
    )
