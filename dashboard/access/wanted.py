"""The link that somebody followed before signing in, to be opened afterwards.

A login leads to the first page, whatever was asked for. So the link is kept meanwhile under the
token by which Streamlit tells one browser from another; where there is none, nothing is kept.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import streamlit as st

_COOKIE = "_streamlit_xsrf"
_SECONDS = 600.0
_MOST = 1_000
_LONGEST = 4_000

Link = tuple[str, dict[str, str]]
"""The last part of a page's path, and what its address says."""


@dataclass(slots=True)
class Links:
    """What was wanted, by browser; the oldest are forgotten."""

    _kept: "OrderedDict[str, tuple[float, Link]]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, browser: str, link: Link, now: float) -> None:
        """Keep a link instead of the browser's last."""
        with self._lock:
            self._kept.pop(browser, None)
            self._kept[browser] = (now + _SECONDS, link)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)

    def take(self, browser: str, now: float) -> Link | None:
        """What the browser wanted last, once, and only if that is not long ago."""
        with self._lock:
            until, link = self._kept.pop(browser, (now, None))
        return link if now < until else None


def browser_of(cookie: str | None) -> str | None:
    """Which browser a token is of: it is sent behind another mask each time."""
    version, *parts = (cookie or "").strip("\"'").split("|")
    if version != "2" or len(parts) != 3:
        return None
    try:
        mask, masked = bytes.fromhex(parts[0]), bytes.fromhex(parts[1])
    except ValueError:
        return None
    if not mask or not masked:
        return None
    return bytes(byte ^ mask[place % len(mask)] for place, byte in enumerate(masked)).hex()


def keep_link() -> None:
    """Keep what the page's address says, for after the login."""
    browser = browser_of(st.context.cookies.get(_COOKIE))
    query = {name: str(value) for name, value in st.query_params.items()}
    path = urlsplit(st.context.url or "").path.rstrip("/").rpartition("/")[2]
    long = sum(len(name) + len(value) for name, value in query.items()) > _LONGEST
    if browser and not long and (query or path):
        _links().keep(browser, (path, query), time.monotonic())


def take_link() -> Link | None:
    """What was wanted before the login; None where an address says what is wanted now."""
    if st.session_state.get("link-taken") or st.query_params:
        return None
    st.session_state["link-taken"] = True
    browser = browser_of(st.context.cookies.get(_COOKIE))
    return _links().take(browser, time.monotonic()) if browser else None


@st.cache_resource(show_spinner=False)
def _links() -> Links:
    return Links()
