"""The pages, and the way from one to another. Each page's link carries what is chosen on it."""

import streamlit as st

from dashboard.access.roles import LOOK_ONLY, Access
from dashboard.access.signing import admit, show_who
from dashboard.access.wanted import take_link
from dashboard.alerts.page import show_alerts_page
from dashboard.common.choices import turn_page
from dashboard.common.frame import say_away, title
from dashboard.common.links import go_to, remember_pages
from dashboard.common.preferences import settle_preferences
from dashboard.common.style import apply_style
from dashboard.common.theme import palette_for
from dashboard.common.words import say
from dashboard.documents.explaining import Explain
from dashboard.documents.page import show_documents_page
from dashboard.model.lineup import Models
from dashboard.model.page import show_model
from dashboard.now.page import show_now
from dashboard.replays.choosing_rules import RulesInUse
from dashboard.replays.page import show_replays
from dashboard.subject.page import show_subject_page
from dashboard.system.page import show_system
from dashboard.system.requeueing import Retry
from store.database import Database


def render(  # noqa: PLR0913 - what pages are drawn from, and who looks
    database: Database,
    explain: Explain | None = None,
    retry: Retry | None = None,
    models: Models | None = None,
    rules_in_use: RulesInUse | None = None,
    access: Access = LOOK_ONLY,
) -> None:
    """Draw the dashboard of ``database``; without ``explain``, no document can be explained.

    ``retry`` tries a run's dead letters again, ``models`` which weights
    there are, ``rules_in_use`` by which rules alerts are judged. ``access`` says who may do what;
    by default everybody may look, and no more.
    """
    settle_preferences()
    prepare_page()
    if not admit(access):
        return

    def now() -> None:
        show_now(database, explain)

    def subject() -> None:
        show_subject_page(database, explain)

    def alerts() -> None:
        show_alerts_page(database)

    def documents() -> None:
        show_documents_page(database, explain)

    def replays() -> None:
        show_replays(database, rules_in_use)

    def model() -> None:
        show_model(database, models)

    def system() -> None:
        show_system(database, retry)

    # Not with icons: the browser would fetch them from elsewhere for the page's own symbol.
    pages = [
        st.Page(now, title=say("Now"), default=True),
        st.Page(subject, title=say("Topic & symbol"), url_path="subject"),
        st.Page(alerts, title=say("Alerts"), url_path="alerts"),
        st.Page(documents, title=say("Documents"), url_path="documents"),
        st.Page(replays, title=say("Replays and backtests"), url_path="replays"),
        st.Page(model, title=say("Model"), url_path="model"),
        st.Page(system, title=say("System"), url_path="system"),
    ]
    page = st.navigation(pages, position="top")
    remember_pages({each.url_path: each for each in pages})
    if access.login and (wanted := take_link()):
        path, query = wanted
        go_to(path, **query)
    turn_page(page.title)
    page.run()
    show_who()


def prepare_page() -> None:
    """Set what must be set before anything is drawn."""
    st.set_page_config(page_title="Tapewatch", layout="wide", initial_sidebar_state="collapsed")
    apply_style(palette_for(st.context.theme.type))


def render_unavailable() -> None:
    """Say that the database is away, and look again by and by."""
    title()
    say_away()
