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

import alerts
import dashboard
from alerts.cards.card import Missing
from alerts.cards.wording import facts
from alerts.common import reasons
from alerts.common.links import alert_id
from alerts.common.phrases import phrase, recognized
from alerts.conditions import lifecycle
from alerts.receivers import delivery
from alerts.rules import kinds, routing
from alerts.rules.wording import condition
from alerts.telling import health
from dashboard.common import clock, words
from dashboard.common.headings import HEADINGS
from dashboard.common.preferences import LANGUAGES, Preferences, browser_language
from dashboard.common.wording import CODES, STORED, explained, said, worded
from dashboard.common.words import catalogue, read_catalogue, say, say_count
from ingest.document import Reason as Turned
from store import outbox
from store.alert_actions import Action

FOLDER = Path(dashboard.__file__).parent
ALERTS = Path(alerts.__file__).parent
OTHERS = [language for language in LANGUAGES if language != "en"]
HAN = re.compile(r"[\u4e00-\u9fff]")
ALIKE = {'downgrade or "profit warning" -crypto'}
"""An example in the language of the feeds, whose words are reduced as in English."""


def said_in_code():
    """Every text that ``say``, ``say_count``, ``later`` or ``phrase`` is called with, and where."""
    found = {}
    for path in sorted([*FOLDER.rglob("*.py"), *ALERTS.rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            count = {"say": 1, "later": 1, "phrase": 1, "say_count": 2}.get(node.func.id, 0)
            for text in node.args[:count]:
                if isinstance(text, ast.Constant):
                    found[text.value] = path.relative_to(
                        FOLDER if FOLDER in path.parents else ALERTS.parent
                    ).as_posix()
    return found


def named(text):
    """The values that a text names."""
    return {re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_holds_every_text_and_no_other(language):
    assert set(catalogue(language)) == {*said_in_code(), *HEADINGS, *STORED}


def test_the_search_for_texts_finds_them():
    found = said_in_code()
    assert found["Biggest movers"] == "now/moving.py"
    assert found["Whole run"] in {"common/view.py", "alerts/page.py"}
    assert len(found) > 500


def test_a_text_is_given_the_values_that_it_names():
    differ = []
    for path in sorted([*FOLDER.rglob("*.py"), *ALERTS.rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and hasattr(node.func, "id") else ""
            says = name in {"say", "say_count", "phrase"}
            if not says or not isinstance(node.args[0], ast.Constant):
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
    heads = [head.value for head in shown.header]
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
    assert HEADED["now"] in [head.value for head in page.header]


@pytest.mark.usefixtures("story")
def test_feed_text_topics_and_rules_are_never_translated(scene, open_page):
    alike = {"topic": "Alerts", "topics": ("Alerts", "Documents"), "model": "model-2"}
    scene.add_documents("replay", 40, hour=20, title="Now", **alike)
    scene.add_alert("replay", "Documents", key="Alerts", fired=20.5)
    page = open_page(lang="zh", subject="topic:Alerts")
    assert "Alerts \u00b7 Documents" in texts(page)
    assert set(page.dataframe[-1].value["Headline"]) == {"Now"}
    assert page.selectbox(key="subject").options.count("\u8bdd\u9898: Alerts") == 1


OURS = (
    lifecycle.State, lifecycle.Reason, reasons.Why, routing.SuppressedBy, delivery.Reason,
    health.PipelineState, health.PipelineReason, Action, Missing, Turned, kinds.Metric,
)  # fmt: skip
"""Whose values are stored as codes and shown on a page."""


def test_every_code_that_a_page_shows_has_words():
    statuses = {outbox.PENDING, outbox.DELIVERED, outbox.DEAD, outbox.SUPPRESSED, "failed"}
    known = {str(code) for codes in OURS for code in codes} | statuses
    scopes = {"all", "topic", "symbol", "source", "news", "comment"}
    assert known - CODES.keys() == set()
    assert CODES.keys() - known == scopes - {"comment"} | {"none"}


@pytest.mark.parametrize(
    ("code", "english", "chinese"),
    [
        ("held_for_duration", "held for duration", "\u6301\u7eed\u4e86\u89c4\u5b9a\u65f6\u957f"),
        ("maintenance:night", "maintenance: night", "\u7ef4\u62a4: night"),
        ("of_a_later_version", "of a later version", "of a later version"),
        (None, "", ""),
    ],
)
def test_a_code_is_said_and_a_name_beside_it_is_not(speak, code, english, chinese):
    assert worded(code) == english
    speak("zh")
    assert worded(code) == chinese


def rules_of_each_type():
    mood = {"name": "mood", "scope": "symbol", "window": timedelta(hours=1)}
    threshold = {"metric": kinds.Metric.NEGATIVE_SHARE, "threshold": 0.6}
    return [
        kinds.ThresholdRule(**mood, **threshold),
        kinds.SpikeRule(**mood),
        kinds.TrendRule(**mood, fall=0.3),
        kinds.CompositeRule(name="both", scope="symbol", all_of=("mood", "documents")),
        kinds.CompositeRule(name="one", scope="symbol", any_of=("mood", "documents")),
    ]


@pytest.mark.parametrize("number", range(5))
def test_when_a_rule_fires_is_said(speak, number):
    found = condition(rules_of_each_type()[number])
    assert said(found) == str(found)
    speak("zh")
    assert HAN.search(said(found))
    assert not re.search("[A-Za-z]", re.sub("mood|documents", "", said(found)))


@pytest.mark.parametrize("text", STORED)
def test_what_is_stored_in_english_is_recognized(speak, text):
    values = {name: f"<{name}> 1,000" for name in named(text)}
    stored = str(phrase(text, **values))
    assert recognized(stored, STORED) == phrase(text, **values)
    assert explained(stored) == stored
    speak("zh")
    assert HAN.search(explained(stored))
    assert all(value in explained(stored) for value in values.values())


def test_what_an_error_said_is_left_as_it_is(speak):
    speak("zh")
    assert explained("ValueError: no such\nrule") == "ValueError: no such rule"
    assert explained(None) == ""


def card(**rule):
    """A card as the database holds it."""
    judged = {"metric": None, "value": 0.875, "threshold": 0.6, "clear": 0.4, "operator": ">="}
    counts = {"documents": 31, "negative": 30, "neutral": 1, "positive": 0, "mean_score": -0.7}
    edges = {"start": "2026-03-09T12:00:00+00:00", "end": "2026-03-09T12:30:00+00:00"}
    coverage = {"minutes": 29, "of_minutes": 30, "allowed_lateness_seconds": 60.0, "late": 2}
    return {
        "window": edges | counts, "rule": judged | rule, "severity": 8, "coverage": coverage,
        "models": {"m-1": 31}, "offsets": ["feed[0]@31"], "examined": 30, "drivers_pruned": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [
        {"metric": "negative_share"},
        {"metric": "documents", "surprise": 7.5, "baseline": 3.0, "band": [0.0, 9.0]},
        {"condition": "mean score falls by 0.3 over 4 windows"},
        {"condition": "any of mood, tone", "value": None},
    ],
)
def test_the_facts_of_a_card_are_said(speak, rule):
    kept = "m-1|feed|mood|tone|UTC|log10"
    english = [said(fact) for fact in facts(card(**rule))]
    assert all(re.search("[A-Za-z]{4}", line) for line in english)
    speak("zh")
    chinese = [said(fact) for fact in facts(card(**rule))]
    assert len(chinese) == len(english)
    for line in chinese:
        assert HAN.search(line)
        assert not re.search("[A-Za-z]{2}", re.sub(kept, "", line))


@pytest.mark.usefixtures("story")
def test_an_alert_and_its_card_are_said_in_chinese(scene, open_page):
    drivers = {"drivers": [], "version": 2}
    scene.add_alert(
        "replay", "mood", key="Macro", fired=13, card=card(metric="documents") | drivers
    )
    page = open_page("alerts", lang="zh", run="replay", alert=alert_id("replay", "mood", "Macro"))
    states = next(table.value for table in page.dataframe if "From" in table.value)
    assert set(states["Why"]) == {"\u8d85\u8fc7\u9608\u503c"}
    assert any("\u5224\u5b9a\uff1a\u6587\u6863\u6570 0.875 >= 0.6" in text for text in texts(page))
