"""The languages of the pages: catalogues that hold every text, and pages that are said in them."""

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter

import pytest
import streamlit as st
from streamlit.runtime.context import ContextProxy
from support.pages import fine, linked, open_at, texts

import dashboard
from dashboard.common import clock, words
from dashboard.common.headings import HEADINGS
from dashboard.common.preferences import LANGUAGES, Preferences, browser_language
from dashboard.common.words import catalogue, read_catalogue, say, say_count

FOLDER = Path(dashboard.__file__).parent
OTHERS = [language for language in LANGUAGES if language != "en"]
HAN = re.compile(r"[\u4e00-\u9fff]")
ALIKE = {'downgrade or "profit warning" -crypto'}
"""An example in the language of the feeds, whose words are reduced as in English."""


def said_in_code():
    """Every text that ``say``, ``say_count`` or ``later`` is called with, and where."""
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            count = {"say": 1, "later": 1, "say_count": 2}.get(node.func.id, 0)
            for text in node.args[:count]:
                if isinstance(text, ast.Constant):
                    found[text.value] = path.relative_to(FOLDER).as_posix()
    return found


def named(text):
    """The values that a text names."""
    return {re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_holds_every_text_and_no_other(language):
    assert set(catalogue(language)) == {*said_in_code(), *HEADINGS}


def test_the_search_for_texts_finds_them():
    found = said_in_code()
    assert found["Biggest movers"] == "now/moving.py"
    assert found["Whole run"] in {"common/view.py", "alerts/page.py"}
    assert len(found) > 500


def test_a_text_is_given_the_values_that_it_names():
    differ = []
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and hasattr(node.func, "id") else ""
            if name not in {"say", "say_count"} or not isinstance(node.args[0], ast.Constant):
                continue
            given = {word.arg for word in node.keywords} | ({"count"} if "_" in name else set())
            differ += [f"{path.name}:{node.lineno}"] * (named(node.args[0].value) != given)
    assert differ == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_names_the_same_values(language):
    differ = [text for text, found in catalogue(language).items() if named(text) != named(found)]
    assert differ == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_keeps_icons_and_code(language):
    kept = re.compile(r":\w+\[|:material/\w+:|`[^`]+`")
    differ = [
        text
        for text, found in catalogue(language).items()
        if sorted(kept.findall(text)) != sorted(kept.findall(found))
    ]
    assert differ == []


def test_a_chinese_text_is_chinese():
    odd = [text for text, found in catalogue("zh").items() if not HAN.search(found)]
    plain = {text for text in odd if re.search(r"[A-Za-z]{2}", re.sub(r"\{[^}]*\}", "", text))}
    formats = {"D MMM YYYY HH:mm", "D MMM YYYY HH:mm:ss"}
    assert plain - formats == ALIKE


def test_a_catalogue_is_read_as_gettext_writes_it():
    written = """# head
msgid ""
msgstr "Language: zh\\n"

#: a.py
msgid "two "
"parts\\n"
msgstr "liang "
"\\"bu\\""

msgid "not yet"
msgstr ""
"""
    assert read_catalogue(written) == {"two parts\n": 'liang "bu"'}


@pytest.fixture
def speak(monkeypatch):
    """Have the reader speak a language."""

    def speaks(language):
        for module in (words, clock):
            monkeypatch.setattr(module, "preferences", lambda: Preferences(language=language))

    return speaks


@pytest.mark.parametrize(("count", "english"), [(1, "r: 1 rule"), (2, "r: 2 rules")])
def test_a_number_has_its_form_in_english_and_none_in_chinese(speak, count, english):
    forms = ("{name}: {count} rule", "{name}: {count} rules")
    assert say_count(*forms, count, name="r") == english
    speak("zh")
    assert say_count(*forms, count, name="r") == f"r\uff1a{count} \u6761\u89c4\u5219"


def test_what_a_catalogue_lacks_is_said_in_english(speak):
    speak("zh")
    assert say("No such text {n}", n=3) == "No such text 3"


def test_times_are_written_as_in_chinese(speak):
    speak("zh")
    noon = datetime(2026, 3, 9, 12, tzinfo=UTC)
    assert clock.dated(noon) == "2026\u5e743\u67089\u65e5 12:00 UTC"
    day = noon - timedelta(hours=12)
    assert clock.interval(day, day + timedelta(days=1)) == "3\u67089\u65e5"
    assert clock.lasting(timedelta(minutes=130)) == "2 \u5c0f\u65f6 10 \u5206\u949f"


@pytest.mark.parametrize(
    ("locale", "language"),
    [(None, "en"), ("en-US", "en"), ("zh-CN", "zh"), ("zh", "zh"), ("de-DE", "en"), ("<b>", "en")],
)
def test_the_browsers_language_is_taken_where_it_is_known(monkeypatch, locale, language):
    monkeypatch.setattr(ContextProxy, "locale", property(lambda _: locale))
    assert browser_language() == language


def script(database, page):

    from dashboard.alerts.page import show_alerts_page  # noqa: PLC0415
    from dashboard.app import render  # noqa: PLC0415
    from dashboard.common.preferences import settle_preferences  # noqa: PLC0415
    from dashboard.documents.page import show_documents_page  # noqa: PLC0415
    from dashboard.model.page import show_model  # noqa: PLC0415
    from dashboard.replays.page import show_replays  # noqa: PLC0415
    from dashboard.subject.page import show_subject_page  # noqa: PLC0415
    from dashboard.system.page import show_system  # noqa: PLC0415
    from tapewatch.lineup import open_models  # noqa: PLC0415

    if page == "now":
        render(database)
    else:
        settle_preferences()
        {
            "subject": lambda: show_subject_page(database, None),
            "alerts": lambda: show_alerts_page(database),
            "documents": lambda: show_documents_page(database, None),
            "replays": lambda: show_replays(database, None),
            "model": lambda: show_model(database, open_models(database)),
            "system": lambda: show_system(database, None),
        }[page]()


@pytest.fixture
def open_page(scene):
    def opened(page="now", **query):
        return open_at(script, scene.database, page, **query)

    yield opened
    st.cache_data.clear()


HEADED = {
    "now": "\u5404\u8bdd\u9898\u7684\u8d1f\u9762\u5360\u6bd4",
    "subject": "\u8d1f\u9762\u5360\u6bd4\uff08\u7a97\u53e3 1 \u5c0f\u65f6\uff09",
    "alerts": None,
    "documents": None,
    "replays": "\u5f53\u65f6\u89e6\u53d1\u4e2d",
    "model": "\u5f97\u5206",
    "system": "\u5206\u533a",
}


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize("page", HEADED)
def test_a_page_is_said_in_chinese(open_page, page):
    shown = open_page(page, lang="zh", run="replay")
    heads = [head.value for head in shown.subheader]
    labels = [
        *heads,
        *(each.label for each in shown.metric),
        *(each.label for each in shown.selectbox),
        *(each.label for each in shown.button if each.label),
        *(each.label for each in shown.expander),
    ]
    assert HEADED[page] is None or HEADED[page] in heads
    assert labels
    assert [label for label in labels if not HAN.search(label)] == []
    for table in shown.dataframe:
        lacking = set(map(str, table.value.columns)) - set(catalogue("zh"))
        assert lacking <= {"F1"}


@pytest.mark.usefixtures("story")
def test_the_language_is_chosen_and_carried_by_the_link(open_page):
    page = open_page()
    chooser = next(group for group in page.button_group if group.key == "lang")
    assert "lang" not in linked(page)
    fine(chooser.set_value("zh").run())
    assert linked(page)["lang"] == "zh"
    assert HEADED["now"] in [head.value for head in page.subheader]


@pytest.mark.usefixtures("story")
def test_feed_text_topics_and_rules_are_never_translated(scene, open_page):
    alike = {"topic": "Alerts", "topics": ("Alerts", "Documents"), "model": "model-2"}
    scene.add_documents("replay", 40, hour=20, title="Now", **alike)
    scene.add_alert("replay", "Documents", key="Alerts", fired=20.5)
    page = open_page(lang="zh", subject="topic:Alerts")
    assert "Alerts \u00b7 Documents" in texts(page)
    assert set(page.dataframe[-1].value["Headline"]) == {"Now"}
    assert page.selectbox(key="subject").options.count("\u8bdd\u9898: Alerts") == 1
