"""Links from one page to another that carry what is to be shown there. Knows no subject.

What a link says is of others' making, so it goes into the address only; its label is ours.
"""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

_PAGES = "pages"


def remember_pages(pages: dict[str, StreamlitPage]) -> None:
    """Let ``link`` and ``go_to`` know the pages by the last part of their paths."""
    st.session_state[_PAGES] = pages


def link(page: str, label: str, icon: str, **query: str) -> None:
    """A link to a page; what is "" is left out. None where a page is drawn by itself."""
    known = st.session_state.get(_PAGES, {}).get(page)
    if known is not None:
        said = {name: value for name, value in query.items() if value}
        st.page_link(known, label=label, icon=icon, query_params=said)


def go_to(page: str, **query: str) -> None:
    """Open another page, as a link with ``query`` does; does not return where there is one."""
    known = st.session_state.get(_PAGES, {}).get(page)
    if known is not None:
        st.switch_page(known, query_params=query)
