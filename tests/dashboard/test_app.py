"""The page as Streamlit draws it, without a browser, on a real database."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
import streamlit as st
from support.pages import fine, linked, open_at, texts

from alerts.cards.card import Window, make_card
from alerts.rules.ruleset import Metric, ThresholdRule
from dashboard.common.plain import plain
from store import views
from store.alertlog import EventRow
from store.buckets import Sums
from store.cards import Evidence
from store.database import Database
from store.runs import open_run


def script(database):
    from dashboard.app import render  # noqa: PLC0415 - Streamlit runs this function's source

    render(database)


@pytest.fixture
def open_page(scene):
    """Open the page, as a link with ``query`` does."""

    def opened(**query):
        return open_at(script, scene.database, **query)

    yield opened
    st.cache_data.clear()


def figures(page):
    return {metric.label: metric.value for metric in page.metric}


def headlines(page):
    return list(page.dataframe[-1].value["Headline"])


def test_without_runs_it_says_how_to_begin(open_page):
    page = open_page()
    assert "tapewatch demo" in page.info[0].value
    assert len(page.metric) == 0


def test_a_run_without_documents_says_that_it_waits(scene, open_page):
    with scene.database.transaction() as connection:
        open_run(connection, "fresh", "feed.jsonl")
    assert "no documents yet" in open_page().info[0].value


def test_a_database_that_is_away_is_told_and_not_traced():
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    page = open_at(script, database)
    assert "database cannot be reached" in page.error[0].value
    database.close()


@pytest.mark.usefixtures("story")
def test_the_newest_run_is_shown_first_with_its_figures(open_page):
    page = open_page()
    assert page.selectbox(key="run").value == "replay"
    assert figures(page) == {
        "Firing alerts": "1",
        "Documents": "271",
        "Negative share": "11%",
        "Newest document": "9 Mar 23:50",
        "Dead letters": "0",
    }


def test_live_is_shown_first_when_it_has_documents(story, open_page):
    story.add_documents("live", 1)
    story.add_documents("newer", 1)
    assert open_page().selectbox(key="run").value == "live"


@pytest.mark.usefixtures("story")
def test_another_run_can_be_chosen_and_the_link_says_so(open_page):
    page = open_page()
    fine(page.selectbox(key="run").set_value("quiet").run())
    assert figures(page)["Documents"] == "5"
    assert linked(page)["run"] == "quiet"
    assert any("Nothing is firing" in text.value for text in page.markdown)


def test_a_link_to_a_run_that_began_a_moment_ago_shows_it(story, open_page):
    assert open_page(run="quiet").selectbox(key="run").value == "quiet"
    story.add_documents("newest", 3)
    page = open_page(run="newest")
    assert page.selectbox(key="run").value == "newest"
    assert figures(page)["Documents"] == "3"
    assert not page.warning


@pytest.mark.usefixtures("story")
def test_a_link_to_a_run_that_is_not_there_says_so_until_another_is_chosen(open_page):
    page = open_page(run="**gone**")
    assert "no run" in page.warning[0].value
    assert "This is replay" in page.warning[0].value
    fine(page.run())
    assert "no run" in page.warning[0].value
    fine(page.selectbox(key="run").set_value("quiet").run())
    fine(page.selectbox(key="run").set_value("replay").run())
    assert not page.warning


@pytest.mark.usefixtures("story")
def test_a_firing_alert_has_a_card_and_a_resolved_one_a_row(open_page):
    page = open_page()
    assert "Financials · bank-run" in texts(page)
    assert any("value 0.875 over 31 documents" in text for text in texts(page))
    assert len(page.dataframe) == 1
    page.session_state["resolved"] = True
    resolved = page.run().dataframe[0].value
    assert list(resolved["Rule"]) == ["negative-share"]
    assert list(resolved["Lasted"]) == ["1 h 15 min"]


@pytest.mark.usefixtures("story")
def test_looking_into_an_alert_chooses_what_it_is_about(open_page):
    page = open_page()
    fine(page.button(key="look-0").click().run())
    assert page.selectbox(key="subject").value == "topic:Financials"
    assert linked(page)["subject"] == "topic:Financials"
    assert len(page.dataframe[-1].value) == 31


@pytest.mark.usefixtures("story")
def test_an_alert_and_a_subject_link_to_their_page(open_page):
    page = open_page(subject="symbol:HUB")
    led = [(link.proto.page, parse_qs(link.proto.query_string)) for link in page.get("page_link")]
    assert [page for page, _ in led] == ["subject", "subject"]
    assert [query for _, query in led] == [
        {"run": ["replay"], "subject": ["topic:Financials"]},
        {"run": ["replay"], "subject": ["symbol:HUB"]},
    ]


@pytest.mark.usefixtures("story")
def test_a_link_opens_its_view(open_page):
    page = open_page(run="replay", subject="symbol:HUB", kind="news", span="all")
    assert page.selectbox(key="subject").value == "symbol:HUB"
    assert len(page.dataframe[-1].value) == 30


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize(
    "query", [{"run": "gone"}, {"span": "<b>"}, {"kind": "$x$"}, {"subject": "rubbish"}]
)
def test_a_link_that_names_nothing_known_opens_the_usual_view(open_page, query):
    page = open_page(**query)
    assert figures(page)["Documents"] == "271"
    assert page.selectbox(key="subject").value == "all"


@pytest.mark.usefixtures("story")
def test_a_link_to_a_subject_without_documents_says_that_there_are_none(open_page):
    page = open_page(subject="symbol:NONE")
    assert page.selectbox(key="subject").value == "symbol:NONE"
    assert "No documents here" in page.info[-1].value


def test_comments_alone_can_be_shown(story, open_page):
    story.add_documents("replay", 3, hour=5, kind="comment", text="a comment")
    page = open_page(kind="comment")
    assert figures(page)["Documents"] == "3"
    assert set(page.dataframe[-1].value["Kind"]) == {"comment"}


@pytest.mark.usefixtures("story")
def test_documents_come_most_negative_first_or_newest_first(open_page):
    page = open_page()
    assert list(page.dataframe[-1].value["Score"])[:31] == [-0.7] * 31
    order = next(group for group in page.button_group if group.key == "order")
    fine(order.set_value("newest").run())
    times = list(page.dataframe[-1].value["Time"])
    assert times == sorted(times, reverse=True)


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize(
    ("order", "most", "said"),
    [("negative", 20, True), ("newest", 250, False), ("newest", 20, True)],
)
def test_a_list_of_the_latest_documents_only_says_so(open_page, monkeypatch, order, most, said):
    monkeypatch.setattr(views, "EXAMINED", most)
    page = open_page(order=order)
    captions = [caption.value for caption in page.caption]
    assert ("Of the latest documents of this span only: those after " in str(captions)) == said
    assert len(page.dataframe[-1].value) == min(most, 200)


@pytest.mark.usefixtures("story")
def test_a_hostile_headline_reaches_tables_and_plain_text_only(open_page):
    page = open_page(subject="topic:Financials")
    (shown,) = [headline for headline in headlines(page) if "evil" in headline]
    assert "$x^2$ costs $5" in shown
    assert not {"\u202e", "\u202c", "\x07"} & set(shown)
    for elements in (page.markdown, page.caption, page.header, page.info, page.get("html")):
        assert not [element for element in elements if "evil" in str(element)]


def test_hostile_names_of_rules_and_keys_are_shown_plainly(scene, open_page):
    name = "**loud** $a$ :red[x]\u202e\x1b[31m"
    scene.add_documents("replay", 3, topic="Macro", symbols=("$A$", "<B>"))
    scene.add_alert("replay", name, key=name)
    page = open_page()
    assert f"{plain(name)} · {plain(name)}" in texts(page)
    assert not [element for element in page.markdown if "loud" in element.value]
    assert "Symbol: <B>" in page.selectbox(key="subject").options


def test_a_live_run_that_has_fallen_silent_stands_out(scene, open_page):
    def newest(page):
        return next(each for each in page.metric if each.label == "Newest document").delta

    scene.add_documents("live", 1)
    scene.add_documents("old", 1)
    assert newest(open_page(run="live")).startswith("▲ ")
    assert newest(open_page(run="old")) == "2026, UTC"
    hour = (datetime.now(UTC) - datetime(2026, 3, 9, tzinfo=UTC)) / timedelta(hours=1)
    scene.add_documents("live", 1, hour=hour)
    st.cache_data.clear()
    assert re.fullmatch(r"(under a minute|\d min) ago", newest(open_page(run="live")))


def test_a_new_look_shows_new_documents(scene, open_page):
    scene.add_documents("live", 10)
    page = open_page()
    assert figures(page)["Documents"] == "10"
    scene.add_documents("live", 7, hour=2)
    st.cache_data.clear()
    assert figures(fine(page.run()))["Documents"] == "17"


def card(**driver):
    """A card that quotes one document."""
    quoted = {
        "id": "d1", "source": "wire", "kind": "news", "title": None, "text": "Fund halted",
        "published_at": "2026-03-09T12:10:00+00:00", "url": None, "score": -0.9, "repeats": 7,
    }  # fmt: skip
    moment = datetime(2026, 3, 9, 12, tzinfo=UTC)
    event = EventRow(
        rule="r", key="Financials", scope="topic", at=moment, previous="inactive", state="firing",
        reason="beyond_threshold", severity=8, fired_at=moment, value=0.9, documents=31,
        window_start=moment - timedelta(hours=1), window_end=moment,
    )  # fmt: skip
    rule = ThresholdRule(name="r", metric=Metric.NEGATIVE_SHARE, threshold=0.6)
    window = Window(Sums(31, 28, 3, 0, -250_000), 12)
    made = make_card(event, rule, window, Evidence(31, {"m": 31}, []), [], timedelta(minutes=1))
    return {**made.as_dict(), "drivers": [quoted | driver]}


def test_a_firing_alert_says_why_it_fired(scene, open_page):
    scene.add_documents("replay", 3, topic="Financials")
    scene.add_alert("replay", "told", fired=0.5, severity=9, card=card())
    scene.add_alert("replay", "crowded", fired=0.5, severity=8, reason="step_limit")
    scene.add_alert("replay", "older", fired=0.5, severity=7)

    page = open_page()

    assert [e.label for e in page.expander] == ["Why it fired", "Why it fired"]
    told, crowded = page.expander
    assert not told.dataframe
    assert "Documents: 31 (28 negative, 3 neutral, 0 positive)" in told.text[0].value
    assert "Coverage: 12 of 60 minutes have documents" in told.text[0].value
    assert crowded.text[0].value == "There is no card: step limit."
    page.session_state["why-0"] = True
    told, crowded = page.run().expander
    (row,) = told.dataframe[0].value.to_dict("records")
    assert (row["Headline"], row["Score"], row["Times"]) == ("Fund halted", -0.9, 7)
    assert not crowded.dataframe


def test_hostile_texts_in_a_card_reach_tables_and_plain_text_only(scene, open_page):
    hostile = "<b>evil</b> **bold** $x$ :red[x] [y](javascript:alert(1))\u202e\x1b[31m\nline"
    names = ("id", "source", "title", "text", "url")
    why = card(**dict.fromkeys(names, hostile)) | {"models": {hostile: 3}, "offsets": [hostile]}
    scene.add_documents("replay", 3, topic="Financials")
    scene.add_alert("replay", "told", fired=0.5, card=why)

    page = open_page()
    page.session_state["why-0"] = True

    (told,) = page.run().expander
    assert f"Models: {plain(hostile)} (3)" in told.text[0].value
    (row,) = told.dataframe[0].value.to_dict("records")
    for name in ("Headline", "Text", "URL"):
        assert row[name] == plain(hostile)
    for elements in (page.markdown, page.caption, page.header, page.info, page.get("html")):
        assert not [element for element in elements if "evil" in str(element)]
