"""What a browser draws first: all that has come, at once. So what is looked at last comes later."""

import time

import streamlit as st

FIRST_LOOK = 0.5
"""Seconds that a browser has for what is on top: a heatmap takes it as long."""


def let_it_be_drawn() -> None:
    """Wait until what is on the page so far can be seen; once for each reader, at the first look.

    Nobody draws what a test asks for, so that does not wait.
    """
    if st.runtime.exists() and not st.session_state.get("looked"):
        st.session_state["looked"] = True
        time.sleep(FIRST_LOOK)
