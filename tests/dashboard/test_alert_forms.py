"""What is done about alerts from the page: by whom, and what the commands then say of it."""

from datetime import UTC, datetime, timedelta

import pytest
import streamlit as st
from support.alerting import at, let_fire
from support.pages import fine, open_at, texts

from alerts.actions import view_alert
from alerts.common.links import alert_id
from alerts.rules.matchers import matches
from dashboard.access.roles import Access, Role
from dashboard.alerts.forms import literally
from store.alert_actions import read_actions
from store.runs import find_run
from store.silences import add_silence, read_silences
from store.tellings import Telling

HOSTILE = "evil <img src=x> **b** $x^2$ :red[boo] [a-z]* ?"
OPERATOR, VIEWER = Access(everybody=Role.OPERATOR), Access(everybody=Role.VIEWER)


def script(database, access):
    from dashboard.access.signing import admit  # noqa: PLC0415
    from dashboard.alerts.page import show_alerts_page  # noqa: PLC0415 - Streamlit runs the source
    from dashboard.app import prepare_page  # noqa: PLC0415

    prepare_page()
    assert admit(access)
    show_alerts_page(database)


@pytest.fixture
def fire(scene):
    """Let an alert fire in the run ``replay``; its id."""

    def fired(key="CPLB", timeline="====-----"):
        let_fire(scene.database, "replay", key, timeline)
        return alert_id("replay", "mood", key)

    return fired


@pytest.fixture
def open_page(scene):
    def opened(number="", access=OPERATOR):
        return open_at(script, scene.database, access, run="replay", alert=number)

    yield opened
    st.cache_data.clear()


def fill(page, form, **fields):
    """Fill the named fields of a form in and send it."""
    for name, value in fields.items():
        page.text_input(key=f"{form}-{name}").set_value(value)
    return fine(page.button(key=f"{form}-send").click().run())


def known(scene, key="CPLB"):
    with scene.database.transaction() as connection:
        return view_alert(connection, find_run(connection, "replay"), "mood", key)


def silences(scene):
    with scene.database.transaction() as connection:
        return read_silences(connection, find_run(connection, "replay").id)


def deeds(scene):
    with scene.database.transaction() as connection:
        done = read_actions(connection, find_run(connection, "replay").id)
    return [(action.action, action.author, action.comment) for action in done]


def test_it_is_acknowledged_and_taken_back(scene, fire, open_page):
    page = open_page(fire())
    fill(page, "acknowledge-0", name="ann", comment="on the phone")
    assert known(scene).acknowledged
    assert any("acknowledged" in text for text in texts(page))

    # The name is there for the next time.
    fill(page, "take-acknowledgement-back-1", comment="wrong one")
    assert not known(scene).acknowledged
    assert deeds(scene) == [
        ("unacknowledge", "ann", "wrong one"),
        ("acknowledge", "ann", "on the phone"),
    ]


def test_what_is_not_active_cannot_be_acknowledged_but_commented_on(scene, fire, open_page):
    page = open_page(fire(timeline="====-----====="))
    assert "acknowledge-0-send" not in {button.key for button in page.button}
    fill(page, "comment-0", name="bob", comment=HOSTILE)
    assert deeds(scene) == [("comment", "bob", HOSTILE)]
    for elements in (page.markdown, page.caption, page.info, page.error, page.get("html")):
        assert not [element for element in elements if "evil" in str(element)]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": " ", "comment": "x"}, "Type your name first."),
        ({"name": "ann", "comment": " "}, "Write a comment first."),
    ],
)
def test_what_lacks_a_name_or_a_word_is_not_done(scene, fire, open_page, fields, said):
    page = open_page(fire())
    fill(page, "comment-0", **fields)
    assert said in texts(page)
    assert deeds(scene) == []


def test_a_silence_fits_the_alert_alone_unless_more_is_asked_for(scene, fire, open_page):
    page = open_page(fire(HOSTILE))
    fill(page, "silence-0-alert", name="ann", comment="split today", **{"for": "90m"})
    (made,) = silences(scene)
    assert matches(made.matchers, Telling("mood", HOSTILE, "symbol", 5))
    assert not matches(made.matchers, Telling("mood", HOSTILE + "x", "symbol", 5))
    assert made.ends_at - made.starts_at == timedelta(minutes=90)
    assert (made.author, made.comment) == ("ann", "split today")
    assert deeds(scene) == [("silence", "ann", "split today")]
    listed = next(f.value for f in page.dataframe if "Holds back" in f.value)
    assert list(listed["State"]) == ["▲ active"]
    for elements in (page.markdown, page.caption, page.info, page.error, page.get("html")):
        assert not [element for element in elements if "evil" in str(element)]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"for": "soon"}, "is no duration"),
        ({"for": "0h"}, "must end after it begins"),
        ({"for": "99999999999d"}, ""),
        ({"severity": "grave"}, "neither a number"),
        ({"rule": "", "key": ""}, "everything would match"),
    ],
)
def test_a_silence_that_makes_no_sense_says_why(scene, fire, open_page, fields, said):
    page = open_page(fire())
    fill(page, "silence-0-alert", **({"name": "ann"} | fields))
    assert page.error[0].value == "This was not done:"
    assert any(said in text for text in texts(page))
    assert silences(scene) == []


def test_a_silence_of_any_alert_may_begin_later(scene, fire, open_page):
    fire()
    page = open_page()
    tomorrow = datetime(2026, 3, 11, 8, tzinfo=UTC)
    start = next(e for e in page.datetime_input if e.key == "silence-0-run-start")
    start.set_value(tomorrow.replace(tzinfo=None))
    fill(page, "silence-0-run", name="ann", severity="<=5")
    (made,) = silences(scene)
    assert dict(made.matchers) == {"severity": "<=5"}
    assert (made.starts_at, made.ends_at) == (tomorrow, tomorrow + timedelta(hours=2))


def test_a_silence_is_ended_now(scene, fire, open_page):
    fire()
    with scene.database.transaction() as connection:
        run = find_run(connection, "replay")
        far = at(0) + timedelta(days=9)
        number = add_silence(connection, run.id, {"key": HOSTILE}, at(0), far, HOSTILE, HOSTILE)
    page = open_page()
    fill(page, "expire-0", name="ann", comment="done early")
    (ended,) = silences(scene)
    assert ended.ends_at == at(9)
    assert ended.id == number
    assert deeds(scene) == [("expire", "ann", "done early")]
    assert "expire-1-send" not in {button.key for button in page.button}


def test_a_viewer_sees_everything_and_is_told_what_acting_takes(scene, fire, open_page):
    page = open_page(fire(), VIEWER)
    assert "mood · CPLB" in texts(page)
    assert any("takes the role analyst" in caption.value for caption in page.caption)
    assert {button.key for button in page.button} == {"close-alert"}


@pytest.mark.parametrize("form", ["acknowledge-0", "comment-0", "silence-0-alert", "silence-0-run"])
def test_a_form_that_was_drawn_for_an_analyst_does_nothing_for_a_viewer(
    scene, fire, open_page, monkeypatch, form
):
    page = open_page(fire())
    # The form is drawn as it was, and sent: only the check of the action itself stands in the way.
    monkeypatch.setattr("dashboard.alerts.forms.may_act", lambda deed: True)
    page.args = (scene.database, VIEWER)
    page.text_input(key=f"{form}-name").set_value("mallory")
    page.text_input(key=f"{form}-comment").set_value("let me in")
    if form.startswith("silence"):
        page.text_input(key=f"{form}-key").set_value("*")
    page = fine(page.button(key=f"{form}-send").click().run())
    assert any("takes the role analyst; you are a viewer" in text for text in texts(page))
    assert deeds(scene) == []
    assert silences(scene) == []


@pytest.mark.parametrize("name", ["plain", "a*b", "[x]", "??", "[!a]"])
def test_a_name_as_a_pattern_fits_itself_alone(name):
    pattern = {"rule": literally(name)}
    assert matches(pattern, Telling(name, "", "all", 1))
    assert not matches(pattern, Telling(name.replace("*", "z").replace("?", "y") + "q", "", "", 1))
