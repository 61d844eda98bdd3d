"""What the reader prefers: the zone that times are shown in, and the language of the page.

The browser says both; a choice of the reader's goes before it and is carried by the link. Where
there is no browser they are UTC and English. Knows neither times nor texts.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from dashboard.common.choices import publish, restore

UTC_ZONE = ZoneInfo("UTC")
LANGUAGES = {"en": "English", "zh": "中文"}
"""Each is called by its own name, to be found by who reads no other."""

_KEPT = "preferences"
_ALIKE = {"UTC", "Etc/UTC", "Etc/UCT", "Etc/GMT", "Etc/Zulu", "GMT", "UCT", "Zulu"}


@dataclass(frozen=True, slots=True)
class Preferences:
    """Both, as they hold for one drawing of the page; hashable."""

    zone: ZoneInfo = UTC_ZONE
    language: str = "en"


_USUAL = Preferences()


def preferences() -> Preferences:
    """Those of whoever the page is drawn for just now."""
    if not st.runtime.exists():
        return _USUAL
    known = st.session_state.get(_KEPT, _USUAL)
    return known if isinstance(known, Preferences) else _USUAL


def settle_preferences() -> None:
    """Read them from the session, the link and the browser, before anything is drawn."""
    spoken = browser_language()
    zone = restore("tz", ("local", "utc"), "local")
    language = restore("lang", LANGUAGES, spoken)
    # What the browser says by itself is no choice, and another reader's browser says otherwise.
    publish(tz="" if zone == "local" else zone, lang="" if language == spoken else language)
    st.session_state[_KEPT] = Preferences(UTC_ZONE if zone == "utc" else browser_zone(), language)


def browser_zone() -> ZoneInfo:
    """The zone of the reader's machine; UTC where it names none that is known here."""
    name = st.context.timezone
    if not name or name in _ALIKE:
        return UTC_ZONE
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC_ZONE


def browser_language() -> str:
    """The language of the reader's browser, where it is one of ours; else English."""
    spoken = (st.context.locale or "").partition("-")[0].lower()
    return spoken if spoken in LANGUAGES else "en"
