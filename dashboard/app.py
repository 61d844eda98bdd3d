"""The pages, and the way from one to another. Each page's link carries what is chosen on it."""

import streamlit as st

from dashboard.choices import turn_page
from dashboard.choosing_rules import RulesInUse
from dashboard.explaining import Explain
from dashboard.frame import say_away, title
from dashboard.lineup import Models
from dashboard.model import show_model
from dashboard.now import show_now
from dashboard.replays import show_replays
from dashboard.searching import show_documents_page
from dashboard.style import apply_style
from dashboard.system import DryRun, show_system
from dashboard.theme import palette_for
from store.database import Database


def render(
    database: Database,
    explain: Explain | None = None,
    dry_run: DryRun | None = None,
    models: Models | None = None,
    rules_in_use: RulesInUse | None = None,
) -> None:
    """Draw the dashboard of ``database``; without ``explain``, no document can be explained.

    ``dry_run`` says what would come of trying a run's dead letters again, ``models`` which weights
    there are, ``rules_in_use`` by which rules alerts are judged.
    """
    prepare_page()

    def now() -> None:
        show_now(database, explain)

    def documents() -> None:
        show_documents_page(database, explain)

    def replays() -> None:
        show_replays(database, rules_in_use)

    def model() -> None:
        show_model(database, models)

    def system() -> None:
        show_system(database, dry_run)

    # Not with icons: the browser would fetch them from elsewhere for the page's own symbol.
    pages = [
        st.Page(now, title="Now", default=True),
        st.Page(documents, title="Documents", url_path="documents"),
        st.Page(replays, title="Replays and backtests", url_path="replays"),
        st.Page(model, title="Model", url_path="model"),
        st.Page(system, title="System", url_path="system"),
    ]
    page = st.navigation(pages, position="top")
    turn_page(page.title)
    page.run()


def prepare_page() -> None:
    """Set what must be set before anything is drawn."""
    st.set_page_config(page_title="Tapewatch", layout="wide", initial_sidebar_state="collapsed")
    apply_style(palette_for(st.context.theme.type))


def render_unavailable() -> None:
    """Say that the database is away, and look again by and by."""
    title()
    say_away()
