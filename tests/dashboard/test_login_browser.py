"""Signing in as people do: an identity provider, a launched dashboard and a real Chromium."""

import pytest
from playwright.sync_api import expect
from support.alerting import let_fire
from support.dashboard import free_port, launched
from support.identity import CLIENT, SECRET, identity_provider

from alerts.actions import view_alert
from alerts.common.links import alert_id
from store.runs import find_run

PATIENCE = 60_000
PEOPLE = {
    "ann": {"email": "ann@example.com", "email_verified": True},
    "vic": {"email": "vic@example.com", "email_verified": True},
    "olga": {"email": "olga@example.com", "email_verified": True, "groups": ["platform"]},
    "mute": {"email": "ann@example.com"},
    "eve": {"email": "ann@example.com", "email_verified": False},
    "old": {"email": "ann@example.com", "email_verified": True, "iat": 1_700_000_000},
    "nobody": {"email": "nobody@example.com", "email_verified": True},
}
LOGIN = """
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
client_id = "{client}"
client_secret = "{secret}"
server_metadata_url = "{provider}/.well-known/openid-configuration"

[roles]
claim = "groups"
[roles.emails]
"ann@example.com" = "analyst"
"vic@example.com" = "viewer"
[roles.groups]
platform = "operator"
"""
LINK = f"alerts?run=watched&alert={alert_id('watched', 'mood', 'CPLB')}"


@pytest.fixture(scope="module")
def scene(postgres, new_scene):
    with postgres.database() as url:
        made = new_scene(url)
        let_fire(made.database, "watched", "CPLB")
        yield made
        made.close()


@pytest.fixture(scope="module")
def address(scene, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("login"), free_port()
    with identity_provider(PEOPLE) as provider:
        login = folder / "login.toml"
        names = {"port": port, "client": CLIENT, "secret": SECRET, "provider": provider.url}
        login.write_text(LOGIN.format(**names))
        with launched(scene, folder, login, port) as address:
            yield address


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 3200})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    yield opened
    context.close()


def see(locator) -> None:
    expect(locator.first).to_be_visible(timeout=PATIENCE)


def sign_in(page, address, name, link=LINK):
    page.goto(f"{address}{link}")
    see(page.get_by_text("Sign in to see this dashboard."))
    assert page.get_by_text("CPLB").count() == 0
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=name, exact=True).click()


def acts(scene):
    with scene.database.transaction() as connection:
        view = view_alert(connection, find_run(connection, "watched"), "mood", "CPLB")
    return [(action.action, action.author) for action in view.actions]


def test_an_analyst_signs_in_acts_under_that_name_and_signs_out(scene, page, address):
    sign_in(page, address, "ann")
    # The link that was followed is opened after the login.
    see(page.locator(".st-key-alert").get_by_text("mood · CPLB"))
    see(page.get_by_text("Signed in as ann@example.com, analyst"))
    page.get_by_role("button", name="Acknowledge").click()
    assert page.get_by_role("textbox", name="Your name").count() == 0
    page.get_by_role("button", name="Acknowledge").last.click()
    see(page.get_by_role("button", name="Take acknowledgement back"))
    assert acts(scene) == [("acknowledge", "ann@example.com")]

    page.get_by_role("button", name="Sign out").click()
    see(page.get_by_text("Sign in to see this dashboard."))


def test_a_viewer_looks_and_is_told_what_acting_takes(page, address):
    sign_in(page, address, "vic")
    see(page.locator(".st-key-alert").get_by_text("mood · CPLB"))
    see(page.get_by_text("takes the role analyst; you are a viewer"))
    assert page.get_by_role("button", name="Acknowledge").count() == 0


def test_a_group_makes_an_operator_and_the_system_page_says_so(page, address):
    sign_in(page, address, "olga", "system?run=watched")
    see(page.get_by_text("You are olga@example.com, have the role operator"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("eve", "does not say that it has verified"),
        ("mute", "name another claim as verified in the table [roles] of the login file"),
        ("nobody", "You have no role here"),
        ("old", "You signed in too long ago"),
    ],
)
def test_who_has_no_role_sees_nothing(page, address, name, said):
    sign_in(page, address, name)
    see(page.get_by_text(said))
    assert page.get_by_role("link", name="Alerts").count() == 0
    assert page.get_by_text("CPLB").count() == 0
