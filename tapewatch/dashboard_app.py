"""The script that Streamlit runs: it opens the dashboard's database, once a process.

The model is opened when an explanation is first asked for, and not before.
"""

import atexit
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

# Streamlit puts this script's folder first on the path, where its modules would pass for others.
sys.path[:] = [folder for folder in sys.path if folder != str(Path(__file__).resolve().parent)]

import streamlit as st  # noqa: E402

from alerts.rules.ruleset import RuleSet  # noqa: E402
from classifier.attribution import Explanation  # noqa: E402
from dashboard.access.roles import Access  # noqa: E402
from dashboard.app import prepare_page, render, render_unavailable  # noqa: E402
from dashboard.system.page import DryRun, Prospects  # noqa: E402
from store.database import Database  # noqa: E402
from store.errors import DatabaseUnavailableError  # noqa: E402
from tapewatch.database import open_database  # noqa: E402
from tapewatch.explaining import Explainer  # noqa: E402
from tapewatch.lineup import open_models  # noqa: E402
from tapewatch.login import read_access  # noqa: E402
from tapewatch.requeueing import Choice, requeue  # noqa: E402
from tapewatch.settings import Settings  # noqa: E402
from tapewatch.wiring import existing_run, read_rules  # noqa: E402


@st.cache_resource(show_spinner="Opening the database")
def _database() -> Database:
    opened = ExitStack()
    database = opened.enter_context(open_database(Settings(), "tapewatch-dashboard"))
    atexit.register(opened.close)
    return database


@st.cache_resource(show_spinner=False)
def _explainer() -> Explainer:
    return Explainer(Settings())


def _explain(text: str) -> Explanation:
    """By the weights that serve now, so that a promotion is followed."""
    return _explainer().explain(text)


@st.cache_resource(show_spinner=False)
def _access() -> Access:
    return read_access(Settings())


def _dry_run(database: Database) -> DryRun:
    """What would come of requeueing: nothing is scored for it, and nothing changed."""

    def told(run_name: str) -> Prospects:
        run = existing_run(database, run_name)
        report = requeue(database, run, Choice(), lambda: datetime.now(UTC))
        return Prospects(report.prospects, report.reasons)

    return told


def _rules_in_use() -> tuple[str, RuleSet]:
    """The rules file of the settings, read anew, so that a change is followed."""
    settings = Settings()
    return settings.rules.name, read_rules(settings)


def main() -> None:
    """Draw the page, or say that the database is away."""
    try:
        database = _database()
    except DatabaseUnavailableError:
        prepare_page()
        render_unavailable()
    else:
        models = open_models(database)
        render(database, _explain, _dry_run(database), models, _rules_in_use, _access())


main()
