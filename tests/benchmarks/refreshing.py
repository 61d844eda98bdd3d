"""What a refresh of a page asks of the database, and how long the answers take to come.

The page is drawn in this process, without a browser, after everything that was kept is forgotten.
"""

from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

import streamlit as st
from asking import Question, asked_by
from measuring import summary
from streamlit.testing.v1 import AppTest

from store.database import Database

_PATIENCE = 120.0


def refreshed(database: Database, draws: str, query: str, rounds: int) -> dict[str, Any]:
    """Statements and milliseconds of a refresh, and the milliseconds of each function that asks.

    ``draws`` is the module and the function of a page, which takes the database and Nones.
    """
    page = AppTest.from_function(_draw, default_timeout=_PATIENCE, args=(database, draws))
    for name, value in parse_qsl(query):
        page.query_params[name] = value
    page.run()
    asked = [_refresh(database, page) for _ in range(rounds)]
    askers: Counter[str] = Counter()
    for question in asked[-1]:
        askers[question.asker] += question.milliseconds
    return {
        "statements": len(asked[-1]),
        "milliseconds": summary([sum(each.milliseconds for each in of) for of in asked]),
        "of_which": {asker: round(sum_, 1) for asker, sum_ in askers.most_common(5)},
    }


def _refresh(database: Database, page: AppTest) -> list[Question]:
    st.cache_data.clear()
    with asked_by(database) as questions:
        page.run()
    assert not page.exception, page.exception[0].value
    return questions


def _draw(database, draws):
    """What Streamlit runs: the source of this function, by itself."""
    from importlib import import_module  # noqa: PLC0415
    from inspect import signature  # noqa: PLC0415

    from dashboard.app import prepare_page  # noqa: PLC0415

    prepare_page()
    module, function = draws.split(":")
    show = getattr(import_module(module), function)
    show(database, *[None] * (len(signature(show).parameters) - 1))
