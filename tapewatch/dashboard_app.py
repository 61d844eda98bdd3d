"""The script that Streamlit runs: it opens the dashboard's database, once a process."""

import atexit
import sys
from contextlib import ExitStack
from pathlib import Path

# Streamlit puts this script's folder first on the path, where its modules would pass for others.
sys.path[:] = [folder for folder in sys.path if folder != str(Path(__file__).resolve().parent)]

import streamlit as st  # noqa: E402

from dashboard.app import prepare_page, render, render_unavailable  # noqa: E402
from store.database import Database  # noqa: E402
from store.errors import DatabaseUnavailableError  # noqa: E402
from tapewatch.database import open_database  # noqa: E402
from tapewatch.settings import Settings  # noqa: E402


@st.cache_resource(show_spinner="Opening the database")
def _database() -> Database:
    opened = ExitStack()
    database = opened.enter_context(open_database(Settings(), "tapewatch-dashboard"))
    atexit.register(opened.close)
    return database


def main() -> None:
    """Draw the page, or say that the database is away."""
    try:
        database = _database()
    except DatabaseUnavailableError:
        prepare_page()
        render_unavailable()
    else:
        render(database)


main()
