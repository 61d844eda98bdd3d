"""Text of others, made fit to be seen: feeds, run names, rules and keys are not to be trusted.

What comes out is for elements that show text as it is (``st.text``, tables, charts), never for
Markdown. Knows no Streamlit.
"""

from datetime import datetime, timedelta

from alerts.text import plain

__all__ = ["DASH", "interval", "lasting", "moment", "paragraphs", "plain"]

DASH = "\u2013"


def paragraphs(text: str) -> str:
    """``text`` like ``plain``, with its lines kept."""
    lines = (plain(line) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def moment(at: datetime) -> str:
    """A moment of event time, in UTC as all times are: ``9 Mar 14:05``."""
    return f"{at.day} {at:%b %H:%M}"


def dated(at: datetime) -> str:
    """A moment with its year, in UTC: ``9 Mar 2026 14:05 UTC``."""
    return f"{at.day} {at:%b %Y %H:%M} UTC"


def interval(start: datetime, end: datetime) -> str:
    """From when to when: the day is said once where it is the same."""
    if end - start >= timedelta(days=1) and not (start.hour or start.minute):
        last = end - timedelta(days=1)
        first = f"{start.day} {start:%b}"
        return first if last <= start else f"{first} {DASH} {last.day} {last:%b}"
    if start.date() == end.date():
        return f"{moment(start)}{DASH}{end:%H:%M}"
    return f"{moment(start)} {DASH} {moment(end)}"


def lasting(duration: timedelta) -> str:
    """A duration in its two largest units: ``2 h 10 min``."""
    minutes = max(0, round(duration.total_seconds() / 60))
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    told = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(told[:2]) or "under a minute"
