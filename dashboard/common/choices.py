"""The reader's choices: kept for the session, and carried by the link of the page.

Knows names and addresses, not what they stand for.
"""

from collections.abc import Iterable

import streamlit as st

_KEPT = "kept-"


def restore(name: str, allowed: Iterable[str], default: str) -> str:
    """The choice called ``name``: the session's, else the link's, else ``default``.

    What was published is remembered beside it, for a widget's own state ends with its page.
    """
    allowed = set(allowed)
    present = st.session_state.get(name)
    if present in allowed:
        return str(present)
    for known in (st.query_params.get(name), st.session_state.get(_KEPT + name)):
        if known is not None:
            st.session_state[name] = known if known in allowed else default
            return str(st.session_state[name])
    st.session_state[name] = default
    return default


def restore_text(name: str, longest: int) -> str:
    """Free text called ``name``: the session's, else the link's, else none."""
    if name not in st.session_state:
        st.session_state[name] = linked(name)[:longest]
    return str(st.session_state[name] or "")


def linked(name: str) -> str:
    """What the link says of ``name``, else what was published of it last, else nothing."""
    return str(st.query_params.get(name, st.session_state.get(_KEPT + name, "")))


def publish(**choices: str) -> None:
    """Put choices of widgets into the page's address, so that its link opens the same view.

    They are kept for the other pages too; "" is none.
    """
    for name, choice in choices.items():
        st.session_state[_KEPT + name] = choice
    put(**choices)


def put(**parts: str) -> None:
    """Put what is no widget's into the page's address, and take out what is ""."""
    for name, choice in parts.items():
        if choice and st.query_params.get(name) != choice:
            st.query_params[name] = choice
        elif not choice and name in st.query_params:
            del st.query_params[name]


def turn_page(page: str) -> None:
    """Say which page is drawn now: another one's widgets begin from the link and what is kept.

    Streamlit would leave their old state there under their names, but not give it to the new ones.
    """
    if st.session_state.get("page", page) != page:
        for name in [str(key) for key in st.session_state if str(key).startswith(_KEPT)]:
            st.session_state.pop(name.removeprefix(_KEPT), None)
    st.session_state["page"] = page
