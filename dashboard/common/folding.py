"""What is folded away: its content is made when a reader opens it, and not before.

A table that nobody sees costs a browser as much as one in sight.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st


@contextmanager
def folded(label: str, key: str) -> Iterator[bool]:
    """An expander to draw in; whether it is open. ``key`` holds that in the session too."""
    with st.expander(label, key=key, on_change="rerun") as expander:
        yield bool(expander.open)
