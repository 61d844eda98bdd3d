"""The id of an alert, and the link by which the dashboard opens it. Pure.

A link holds the name of a run and an id: nothing that comes from a feed.
"""

import hashlib
from urllib.parse import urlencode, urlsplit

_ID_LENGTH = 12


def alert_id(run: str, rule: str, key: str) -> str:
    """The id of an alert: twelve hexadecimal digits that follow from what it is."""
    identity = "\x00".join((run, rule, key))
    return hashlib.sha256(identity.encode()).hexdigest()[:_ID_LENGTH]


def alert_link(dashboard: str, run: str, rule: str, key: str) -> str:
    """The address of an alert on the dashboard whose own address is ``dashboard``."""
    query = urlencode({"run": run, "alert": alert_id(run, rule, key)})
    return f"{dashboard.rstrip('/')}/alerts?{query}"


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
