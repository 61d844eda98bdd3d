"""What the reader looks at: a run, a span of its time, a kind, a subject. Pure; draws nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.common.plain import plain
from dashboard.common.words import later, say
from store.runs import LIVE
from store.views import MONDAY, RunSummary, Slice

KINDS = {"all": later("All"), "news": later("News"), "comment": later("Comments")}
SPANS = {"6h": later("6 h"), "24h": later("24 h"), "3d": later("3 days"), "all": later("Whole run")}

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_LENGTHS = {"6h": 6 * _HOUR, "24h": _DAY, "3d": 3 * _DAY}
_STEPS = (
    # up to this length: a cell of the heatmap, a step of the timeline, the window rolled over it
    (6 * _HOUR, 15 * _MINUTE, 5 * _MINUTE, 30 * _MINUTE),
    (_DAY, _HOUR, 15 * _MINUTE, _HOUR),
    (80 * _HOUR, _HOUR, 30 * _MINUTE, 2 * _HOUR),
    (14 * _DAY, 6 * _HOUR, 3 * _HOUR, 12 * _HOUR),
    (70 * _DAY, _DAY, 12 * _HOUR, 2 * _DAY),
    (500 * _DAY, 7 * _DAY, 2 * _DAY, 7 * _DAY),
)
_MOST_CELLS = 72


@dataclass(frozen=True, slots=True)
class Subject:
    """What the timeline and the documents are about: a scope and one of its keys."""

    scope: str = "all"
    key: str = ""

    @property
    def label(self) -> str:
        """How it is named on screen."""
        return plain(self.key, 60) if self.scope != "all" else say("All documents")

    @property
    def address(self) -> str:
        """How it is named in a link."""
        return f"{self.scope}:{self.key}" if self.scope != "all" else "all"


EVERYTHING = Subject()


def subject_at(address: str) -> Subject:
    """The subject that a link names; everything where it names none."""
    scope, _, key = address.partition(":")
    known = scope in {"topic", "symbol", "source"} and key
    return Subject(scope, key) if known else EVERYTHING


@dataclass(frozen=True, slots=True)
class View:
    """A span of one run, cut into cells and steps that begin on round times."""

    run: RunSummary
    kind: str | None
    start: datetime
    end: datetime
    newest: datetime
    cell: timedelta
    step: timedelta
    window: timedelta

    def part(self, scope: str) -> Slice:
        """What the store is to read of a scope."""
        return Slice(self.run.id, scope, self.start, self.end, self.kind)


def fired_by(fired_at: datetime, end: datetime, newest: datetime) -> bool:
    """Whether an alert fired in a span up to ``end``; with the last document, also at its end."""
    return fired_at < end or fired_at == end > newest


def is_going_on(run: RunSummary) -> bool:
    """Whether more documents may come."""
    return run.name == LIVE or run.finished_at is None


def usual_span(run: RunSummary) -> str:
    """The span that is shown unasked."""
    return "24h" if run.name == LIVE else "all"


def bounds(
    filled: tuple[datetime, datetime], span: str, until: datetime | None
) -> tuple[datetime, datetime]:
    """The last ``span`` before ``until`` of a run whose first and last minute are ``filled``."""
    first, last = filled[0], filled[1] + _MINUTE
    end = last if until is None else max(first, min(until, last))
    return max(first, end - min(_LENGTHS.get(span, timedelta.max), end - first)), end


def first_choice(runs: list[RunSummary]) -> RunSummary:
    """The run that is shown unasked: live if it has documents, else the newest."""
    live = (run for run in runs if run.name == LIVE and run.documents)
    return next(live, runs[0])


def make_view(
    run: RunSummary, filled: tuple[datetime, datetime], span: str, kind: str | None
) -> View:
    """The view of the last ``span`` of a run whose first and last minute are ``filled``."""
    first, newest = filled
    last = newest + _MINUTE
    length = min(_LENGTHS.get(span, timedelta.max), last - first)
    cell, step, window = _steps(length)
    end = -(-(last - MONDAY) // cell) * cell + MONDAY
    start = (last - length - MONDAY) // cell * cell + MONDAY
    return View(run, kind, start, end, newest, cell, step, window)


def _steps(length: timedelta) -> tuple[timedelta, timedelta, timedelta]:
    for upper, cell, step, window in _STEPS:
        if length <= upper:
            return cell, step, window
    cell = -(-length // (_MOST_CELLS * _DAY)) * _DAY
    return cell, cell, 3 * cell
