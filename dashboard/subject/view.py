"""What the page of one subject looks at: its span, and the window that rolls over it. Pure."""

from datetime import datetime, timedelta

from dashboard.common.view import View
from dashboard.common.words import later
from store.views import MONDAY, RunSummary

WINDOWS = {"15m": later("15 min"), "1h": later("1 h"), "1d": later("1 day")}

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_LENGTHS = {"15m": 15 * _MINUTE, "1h": _HOUR, "1d": _DAY}
_STEPS = {"15m": (5 * _MINUTE,), "1h": (15 * _MINUTE,), "1d": (_HOUR, 6 * _HOUR, _DAY)}
_MOST_STEPS = 1500
"""Points of a line; a longer span takes longer steps, and windows that hold them."""

_HISTORY = {"15m": 7 * _DAY, "1h": 7 * _DAY, "1d": 28 * _DAY}


def windows_for(length: timedelta) -> dict[str, str]:
    """The windows that fit a span, by name."""
    return {
        name: label
        for name, label in WINDOWS.items()
        if name == "1d" or length / _STEPS[name][-1] <= _MOST_STEPS
    }


def usual_window(length: timedelta) -> str:
    """The window that is rolled unasked."""
    return "1d" if length > 10 * _DAY else "1h"


def history(window: str) -> timedelta:
    """How much before a window tells what is usual."""
    return _HISTORY[window]


def view_of(
    run: RunSummary,
    span: tuple[datetime, datetime],
    newest: datetime,
    kind: str | None,
    window: str,
) -> View:
    """The view of ``span``, widened to whole steps."""
    start, end = span
    length = end - start
    fitting = (step for step in _STEPS[window] if length / step <= _MOST_STEPS)
    step = next(fitting, -(-length // (_MOST_STEPS * _DAY)) * _DAY)
    first = (start - MONDAY) // step * step + MONDAY
    last = -(-(end - MONDAY) // step) * step + MONDAY
    rolled = max(_LENGTHS[window], step)
    return View(run, kind, first, last, min(newest, last), rolled, step, rolled)
