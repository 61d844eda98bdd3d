"""The reader's zone on the pages: from the browser, by choice, and in the link."""

import pytest
import streamlit as st
from streamlit.runtime.context import ContextProxy
from support.pages import fine, linked, open_at

from dashboard.common.preferences import UTC_ZONE, browser_zone


def script(database, page):
    from dashboard.app import render  # noqa: PLC0415 - Streamlit runs this function's source
    from dashboard.documents.page import show_documents_page  # noqa: PLC0415

    if page == "documents":
        from dashboard.common.preferences import settle_preferences  # noqa: PLC0415

        settle_preferences()
        show_documents_page(database, None)
    else:
        render(database)


@pytest.fixture
def browser(monkeypatch):
    """What the browser says of its reader."""

    def says(zone=None, locale=None):
        monkeypatch.setattr(ContextProxy, "timezone", property(lambda _: zone))
        monkeypatch.setattr(ContextProxy, "locale", property(lambda _: locale))

    return says


@pytest.fixture
def open_page(scene):
    def opened(page="now", **query):
        return open_at(script, scene.database, page, **query)

    yield opened
    st.cache_data.clear()


def captions(page):
    return " | ".join(caption.value for caption in page.caption)


def chosen(page, key):
    return next(group for group in page.button_group if group.key == key)


@pytest.mark.parametrize("name", [None, "", "Etc/UTC", "Mars/Olympus", "../../etc/passwd"])
def test_a_browser_without_a_known_zone_is_in_utc(browser, name):
    browser(name)
    assert browser_zone() is UTC_ZONE


@pytest.mark.usefixtures("story")
def test_the_page_is_in_the_browsers_zone(browser, open_page):
    browser("Asia/Shanghai")
    page = open_page()
    assert "9 Mar 08:00 \u2013 10 Mar 08:00 2026 · times are Shanghai, UTC+8" in captions(page)
    assert "tz" not in linked(page)


@pytest.mark.usefixtures("story")
def test_the_reader_may_choose_utc_and_the_link_says_so(browser, open_page):
    browser("Asia/Shanghai")
    page = open_page()
    fine(chosen(page, "tz").set_value("utc").run())
    assert "times are UTC" in captions(page)
    assert linked(page)["tz"] == "utc"
    fine(chosen(page, "tz").set_value("local").run())
    assert "tz" not in linked(page)


@pytest.mark.usefixtures("story")
def test_a_link_may_ask_for_utc(browser, open_page):
    browser("Asia/Shanghai")
    assert "times are UTC" in captions(open_page(tz="utc"))


@pytest.mark.usefixtures("story")
def test_who_is_in_utc_has_no_zone_to_choose(browser, open_page):
    browser("Etc/UTC")
    assert "tz" not in {group.key for group in open_page().button_group}


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize("until", ["2026-03-09T12:30Z", "2026-03-09T13:30+01:00"])
def test_a_moment_in_a_link_is_in_utc_whatever_the_zone(browser, open_page, until):
    browser("Asia/Shanghai")
    page = open_page("documents", until=until)
    field = page.datetime_input(key="until")
    assert (field.label, f"{field.value:%H:%M}") == ("Up to (Shanghai)", "20:30")
    fine(chosen(page, "tz").set_value("utc").run())
    assert f"{page.datetime_input(key='until').value:%H:%M}" == "12:30"
    assert "2026-03-09T12:30Z" in str(linked(page)["until"])


@pytest.mark.usefixtures("story")
def test_the_second_of_two_alike_hours_stays_the_second(browser, open_page, monkeypatch):
    browser("Europe/Berlin")
    page = open_page("documents", until="2026-10-25T01:30Z")
    assert f"{page.datetime_input(key='until').value:%H:%M}" == "02:30"
    assert "2026-10-25T01:30Z" in str(linked(fine(page.run()))["until"])
