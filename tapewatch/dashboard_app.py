"""The script that Streamlit runs: it opens the dashboard's database, once a process.

The model is opened when an explanation is first asked for, and not before.
"""

import atexit
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

# Streamlit puts this script's folder first on the path, where its modules would pass for others.
sys.path[:] = [folder for folder in sys.path if folder != str(Path(__file__).resolve().parent)]

import streamlit as st  # noqa: E402
import structlog  # noqa: E402

from alerts.rules.ruleset import RuleSet  # noqa: E402
from classifier.attribution import Explanation  # noqa: E402
from classifier.errors import ClassifierError  # noqa: E402
from dashboard.access.roles import Access  # noqa: E402
from dashboard.app import prepare_page, render, render_unavailable  # noqa: E402
from dashboard.system.requeueing import Retried, Retry, RetryError  # noqa: E402
from store.database import Database  # noqa: E402
from store.errors import DatabaseUnavailableError  # noqa: E402
from tapewatch.database import open_database  # noqa: E402
from tapewatch.explaining import Explainer  # noqa: E402
from tapewatch.lineup import open_models  # noqa: E402
from tapewatch.login import read_access  # noqa: E402
from tapewatch.remote.errors import ScorerError  # noqa: E402
from tapewatch.requeueing import Choice, requeue  # noqa: E402
from tapewatch.settings import Settings  # noqa: E402
from tapewatch.wiring import existing_run, open_model, read_rules  # noqa: E402

log = structlog.get_logger(__name__)


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


def _retry(database: Database) -> Retry:
    """Dead letters tried again by the version at hand, on the processor: a GPU is the workers'."""

    def tried(run_name: str, apply: bool) -> Retried:  # noqa: FBT001 - as pages call it
        model = partial(open_model, Settings(), "cpu") if apply else None
        try:
            run = existing_run(database, run_name)
            report = requeue(database, run, Choice(), lambda: datetime.now(UTC), model)
        except (ClassifierError, ScorerError) as error:
            raise RetryError(str(error)) from error
        if not apply:
            return Retried(report.prospects, report.reasons)
        log.info("dead_letters_tried", run=run_name, documents=report.replayed.documents)
        done = report.replayed
        return Retried(report.prospects, report.reasons, done.documents, done.repeats)

    return tried


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
        render(database, _explain, _retry(database), models, _rules_in_use, _access())


main()
