"""The page of a subject as Streamlit draws it, on a real database."""

import io
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import streamlit as st
from support.pages import fine, linked, open_at, texts

from dashboard.common.plain import DASH, plain
from dashboard.documents.exporting import series_as_csv, series_as_parquet
from dashboard.subject.lines import roll_with_usual
from dashboard.subject.page import tell
from dashboard.subject.splitting import by_kind, by_source
from dashboard.subject.view import view_of
from store.buckets import Sums
from store.database import Database
from store.movement import Part
from store.retention import move_horizon
from store.runs import open_run
from store.views import Bin, RunSummary

DAY, HOUR = datetime(2026, 3, 9, tzinfo=UTC), timedelta(hours=1)


def script(database):
    from dashboard.app import prepare_page  # noqa: PLC0415 - Streamlit runs this function's source
    from dashboard.subject.page import show_subject_page  # noqa: PLC0415

    prepare_page()
    show_subject_page(database, None)


@pytest.fixture
def open_page(scene):
    """Open the page, as a link with ``query`` does."""

    def opened(**query):
        return open_at(script, scene.database, **query)

    yield opened
    st.cache_data.clear()


@pytest.fixture(scope="module")
def shared(postgres, new_scene):
    """The story, for the tests that only look."""
    with postgres.database() as url:
        scene = new_scene(url)
        scene.tell_story()
        yield scene
        scene.close()


@pytest.fixture
def look(shared):
    """Open the page of the story, as a link with ``query`` does."""

    def opened(**query):
        return open_at(script, shared.database, **query)

    yield opened
    st.cache_data.clear()


def figures(page):
    return {metric.label: metric.value for metric in page.metric}


def choose(page, key, value):
    (found,) = [each for each in (*page.selectbox, *page.button_group) if each.key == key]
    return fine(found.set_value(value).run())


def headings(page):
    return [each.value for each in page.header]


def charts(page):
    return len(page.get("vega_lite_chart"))


def found(page):
    return page.dataframe[-1].value


def test_without_runs_it_says_how_to_begin(open_page):
    assert "tapewatch demo" in open_page().info[0].value


def test_a_run_without_documents_says_that_it_waits(scene, open_page):
    with scene.database.transaction() as connection:
        open_run(connection, "fresh", "feed.jsonl")
    assert "no documents yet" in open_page(subject="topic:Macro").info[0].value


def test_a_database_that_is_away_is_told_and_not_traced():
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    assert "database cannot be reached" in open_at(script, database).error[0].value
    database.close()


def test_a_database_that_goes_away_meanwhile_is_told(scene, open_page, monkeypatch):
    scene.add_documents("replay", 3)
    page = open_page()
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr(scene.database, "reader", away.reader)
    st.cache_data.clear()
    assert "database cannot be reached" in fine(page.run()).error[0].value
    away.close()


def test_a_subject_is_shown_with_its_figures_alerts_parts_and_documents(look):
    page = look(run="replay", subject="topic:Financials")
    shown = figures(page)
    assert (shown["Documents"], shown["Negative share"], shown["Alerts"]) == ("31", "100%", "2")
    assert shown["Net sentiment"] == "-1.00"
    assert headings(page) == [
        "Negative share over 1 h",
        "Alerts on it",
        "News against comments",
        "By source",
        "Documents",
    ]
    assert {"Financials · bank-run", "Financials · negative-share"} <= set(texts(page))
    assert any("resolved after 1 h 15 min" in text for text in texts(page))
    assert set(found(page)["Topic"]) == {"Financials"}


def test_everything_is_shown_unasked(look):
    page = look()
    assert page.selectbox(key="subject").value == "all"
    assert figures(page)["Documents"] == "271"


@pytest.mark.parametrize(
    ("query", "documents"),
    [
        ({"subject": "symbol:HUB", "window": "15m"}, "30"),
        ({"subject": "source:wire", "window": "1d", "kind": "news"}, "271"),
        ({"subject": "topic:Financials", "against": "topic:Macro", "sort": "newest"}, "31"),
        ({"subject": "topic:Macro", "until": "2026-03-09T12:00Z", "span": "6h"}, "36"),
        ({"subject": "topic:Financials", "words": "click"}, "31"),
    ],
)
def test_a_link_opens_its_view(look, query, documents):
    page = look(run="replay", **query)
    assert figures(page)["Documents"] == documents
    assert linked(page).items() >= query.items()


@pytest.mark.parametrize(
    "query",
    [
        {"run": "gone"},
        {"window": "7y"},
        {"against": "rubbish"},
        {"subject": "<b>"},
        {"against": "all"},
        {"until": "never"},
        {"span": "$x$"},
        {"document": ""},
    ],
)
def test_a_link_that_names_nothing_known_opens_the_usual_view(look, query):
    page = look(**query)
    assert figures(page)["Documents"] == "271"
    assert charts(page) == 4


def test_a_subject_without_documents_says_that_there_are_none(look):
    page = look(subject="symbol:NONE")
    assert page.selectbox(key="subject").value == "symbol:NONE"
    assert "No documents of it" in page.info[-1].value
    assert charts(page) == 0


def test_two_subjects_are_laid_beside_each_other(look):
    page = look(subject="topic:Financials")
    alone = charts(page)
    page = choose(page, "against", "topic:Macro")
    assert charts(page) == alone + 1
    assert linked(page)["against"] == "topic:Macro"
    assert any("above zero the first is the more negative" in each.value for each in page.caption)
    page = choose(page, "against", "")
    assert "against" not in linked(page)


def test_words_narrow_the_documents_and_nothing_else(look):
    page = look(subject="topic:Financials", run="replay")
    fine(page.text_input(key="words").set_value('"at 12:58"').run())
    assert figures(page)["Documents"] == "31"
    assert list(found(page)["Headline"]) == ["Financials at 12:58"]
    assert linked(page)["words"] == '"at 12:58"'
    fine(page.text_input(key="words").set_value("the").run())
    assert "too common" in page.info[-1].value
    fine(page.text_input(key="words").set_value("nowhere").run())
    assert "No documents here" in page.info[-1].value


def test_repeats_of_a_text_are_one_row_and_are_counted(scene, open_page):
    scene.add_documents("replay", 12, text="Bank halted")
    scene.add_documents("replay", 2, text="BANK  halted", hour=1)
    page = open_page(subject="topic:Macro")
    assert list(found(page)["Copies"]) == [14]
    assert any(text.startswith("1 text in 14 documents") for text in texts(page))


def test_comments_alone_can_be_shown(story, open_page):
    story.add_documents("replay", 3, hour=5, kind="comment", text="a comment")
    page = choose(open_page(subject="topic:Macro"), "kind", "comment")
    assert figures(page)["Documents"] == "3"
    assert set(found(page)["Kind"]) == {"comment"}


def test_alerts_before_and_after_the_span_are_not_shown(look):
    page = look(subject="topic:Financials", until="2026-03-09T12:40Z", span="6h")
    assert figures(page)["Alerts"] == "1"
    page = look(subject="topic:Macro")
    assert figures(page)["Alerts"] == "0"
    assert "Alerts on it" not in headings(page)


def test_what_was_pruned_is_told_where_minutes_are_needed(scene, open_page):
    for hour in range(12):
        scene.add_documents("replay", 12, hour=hour)
    with scene.database.transaction() as connection:
        run = open_run(connection, "replay")
        move_horizon(connection, run.id, DAY + 5 * HOUR, None)
    page = open_page(run="replay", window="15m")
    assert any("before 9 Mar 2026 05:00 UTC were pruned" in each.value for each in page.caption)
    for window, span in (("1d", "all"), ("15m", "6h")):
        page = open_page(run="replay", window=window, span=span)
        assert not any("pruned" in each.value for each in page.caption)


def test_many_alerts_are_cards_and_a_table(scene, open_page):
    scene.add_documents("replay", 3, topic="Financials")
    for number in range(9):
        scene.add_alert("replay", f"rule-{number}", fired=0.1 + number / 100)
    page = open_page(subject="topic:Financials")
    assert [each.label for each in page.expander] == ["3 earlier alerts"]
    assert not page.expander[0].dataframe
    page.session_state["earlier-alerts"] = True
    assert len(page.run().expander[0].dataframe[0].value) == 3


def test_each_firing_of_an_alert_has_its_own_card(story, open_page):
    story.add_alert("replay", "bank-run", fired=13.5, reason="step_limit")
    page = open_page(subject="topic:Financials")
    told = [each.text[0].value for each in page.expander if each.label == "Why it fired"]
    assert told == ["There is no card: step limit."]


def test_hostile_names_are_shown_plainly(scene, open_page):
    name = "**loud** $a$ :red[x]\u202e\x1b[31m [y](javascript:alert(1))"
    scene.add_documents("replay", 12, symbols=("$A$",), source=name, text=f"evil {name}")
    page = open_page(subject=f"source:{name}", against="symbol:$A$")
    assert figures(page)["Documents"] == "12"
    assert f"Source: {plain(name, 60)}" in page.selectbox(key="subject").options
    for elements in (page.markdown, page.caption, page.header, page.info, page.get("html")):
        assert not [each for each in elements if "loud" in str(each)]


def test_a_share_of_few_documents_comes_with_what_is_likely():
    few = {label: (value, note) for label, value, note in tell(Sums(3, 2, 0, 1, -5000), 0, 0)}
    assert few["Negative share"] == ("67%", f"25% {DASH} 92% is likely")
    assert few["Net sentiment"][0] == "-0.33"
    assert few["Mean score"][0] == "-0.17"
    none = {label: value for label, value, _ in tell(Sums(), 0, 0)}
    assert (none["Documents"], none["Negative share"], none["Mean score"]) == ("0", DASH, DASH)


def test_the_series_of_two_subjects_is_one_file_with_the_times_in_utc():
    view = view_of(
        RunSummary(1, "replay", DAY, None, 1, 0), (DAY, DAY + 6 * HOUR), DAY + 6 * HOUR, None, "1h"
    )
    bins = [Bin("", DAY + n * HOUR / 4, Sums(20, 5)) for n in range(24)]
    tables = {
        "=Topic: A": roll_with_usual(bins, view, "1h"),
        "Topic: B": roll_with_usual([], view, "1h"),
    }
    csv = pd.read_csv(io.BytesIO(series_as_csv(tables)), encoding="utf-8-sig")
    parquet = pd.read_parquet(io.BytesIO(series_as_parquet(tables)))
    assert list(csv.columns) == list(parquet.columns)
    assert list(csv["subject"].unique()) == ["'=Topic: A", "Topic: B"]
    assert list(parquet["subject"].unique()) == ["=Topic: A", "Topic: B"]
    assert csv["start"][0] == "2026-03-09T00:00:00+00:00"
    assert parquet["end"][0] == pd.Timestamp("2026-03-09T00:15:00", tz="UTC")
    row = parquet.iloc[23]
    assert (row["window_documents"], row["window_negative"], row["share"]) == (80, 20, 0.25)
    assert row["share_low"] < row["usual"] < row["share_high"]
    assert parquet["share"][24:].isna().all()


def test_parts_are_summed_by_source_and_by_kind():
    parts = [
        Part("wire", "news", Sums(30, 10)),
        Part("chat", "comment", Sums(50, 40)),
        Part("wire", "comment", Sums(30, 20)),
    ]
    sources, kinds = by_source(parts), by_kind(parts)
    assert list(sources["name"]) == ["wire", "chat"]
    assert list(sources["counted"]) == ["30 of 60", "40 of 50"]
    assert list(kinds["told"]) == ["News: 10 of 30 negative", "Comments: 60 of 80 negative"]
    for table in (sources, kinds):
        assert ((table["low"] < table["share"]) & (table["share"] < table["high"])).all()


def test_of_many_sources_the_largest_are_shown():
    parts = [Part(f"s{n}", "news", Sums(n + 1, 0)) for n in range(40)]
    table = by_source(parts)
    assert len(table) == 12
    assert table["documents"].iloc[0] == 40
    assert isinstance(table, pd.DataFrame)
