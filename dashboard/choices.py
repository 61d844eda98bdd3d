"""The reader's choices: kept for the session, and carried by the link of the page.

Knows names and addresses, not what they stand for.
"""

from collections.abc import Iterable

import streamlit as st


def restore(name: str, allowed: Iterable[str], default: str) -> str:
    """The choice called ``name``: the session's, else the link's, else ``default``."""
    allowed = set(allowed)
    present = st.session_state.get(name)
    if present in allowed:
        return str(present)
    linked = st.query_params.get(name, default)
    st.session_state[name] = linked if linked in allowed else default
    return str(st.session_state[name])


def publish(**choices: str) -> None:
    """Put choices into the page's address, so that its link opens the same view."""
    for name, choice in choices.items():
        if st.query_params.get(name) != choice:
            st.query_params[name] = choice
