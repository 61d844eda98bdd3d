"""Pages of the dashboard as Streamlit draws them, without a browser."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest


def open_at(script: Callable[..., None], *arguments: object, **query: str) -> AppTest:
    """Run a page as a link with this query opens it; nothing may go wrong."""
    page = AppTest.from_function(script, default_timeout=60, args=arguments)
    for name, value in query.items():
        page.query_params[name] = value
    return fine(page.run())


def fine(page: AppTest) -> AppTest:
    """The page itself, which shows no exception."""
    assert [problem.value for problem in page.exception] == []
    return page


def linked(page: AppTest) -> dict[str, object]:
    """What the page's address says."""
    return dict(page.query_params.items())


def texts(page: AppTest) -> list[str]:
    """The plain texts on the page."""
    return [text.value for text in page.text]
