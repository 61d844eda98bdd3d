"""The id of an alert, and the links by which the dashboard opens it and its subject. Pure.

The link of an alert holds the name of a run and an id: nothing that comes from a feed. That of a
subject names a key, of which letters and digits, ``-``, ``.`` and ``%`` are left: no markup.
"""

import hashlib
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode, urlsplit

_ID_LENGTH = 12
_LONGEST = 800
"""Characters of a subject's link: services cut long messages, and half a link opens another."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_SPANS = {6 * _HOUR: "24h", 2 * _DAY: "3d"}
"""What is looked at of a window up to so long; of a longer one the whole run."""

_MARKUP = str.maketrans({"_": "%5F", "~": "%7E"})
"""What is quoted in no address, but makes text italic or struck out."""


def alert_id(run: str, rule: str, key: str) -> str:
    """The id of an alert: twelve hexadecimal digits that follow from what it is."""
    identity = "\x00".join((run, rule, key))
    return hashlib.sha256(identity.encode()).hexdigest()[:_ID_LENGTH]


def alert_link(dashboard: str, run: str, rule: str, key: str) -> str:
    """The address of an alert on the dashboard whose own address is ``dashboard``."""
    query = urlencode({"run": run, "alert": alert_id(run, rule, key)})
    return f"{dashboard.rstrip('/')}/alerts?{query}"


def subject_link(  # noqa: PLR0913 - a subject, and when it is looked at
    dashboard: str, run: str, scope: str, key: str, at: datetime, window: timedelta
) -> str | None:
    """The address of the page of what an alert is about, an hour after ``at``.

    None where it would be too long, or is about no documents. ``window`` is that of the rule.
    """
    if scope not in {"all", "topic", "symbol", "source"}:
        return None
    subject = f"{scope}:{quote(key, safe='').translate(_MARKUP)}" if key else "all"
    query = urlencode({"run": run})
    span = next((span for longest, span in _SPANS.items() if window <= longest), "all")
    until = f"{at + _HOUR:%Y-%m-%dT%H:%MZ}"
    link = f"{dashboard.rstrip('/')}/subject?{query}&subject={subject}&span={span}&until={until}"
    return link if len(link) <= _LONGEST else None


def is_address(dashboard: str) -> bool:
    """Whether links can be made of it: http or https, a host, and nothing behind the path."""
    try:
        parts = urlsplit(dashboard)
    except ValueError:
        return False
    plain = dashboard.isascii() and dashboard.isprintable() and " " not in dashboard
    return bool(
        plain
        and parts.scheme in {"http", "https"}
        and parts.hostname
        and not (parts.query or parts.fragment or parts.username)
    )
