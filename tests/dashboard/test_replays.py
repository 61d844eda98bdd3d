"""The page of replays as Streamlit draws it: runs to choose from, and one played back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest
import streamlit as st
from support.pages import fine, linked, open_at, texts

from dashboard.replays import playback
from dashboard.replays.page import tabulate
from store.database import Database
from store.run_list import list_with_figures
from store.runs import open_run
from store.views import Slice, read_documents, summarize_runs

DAY = datetime(2026, 3, 9, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
END = DAY + 23 * HOUR + 55 * MINUTE
"""The last moment of the story's replay."""

HOSTILE = "evil <img src=x onerror=alert(1)> **bold** $x^2$ :red[boo] \u202etxt\x1b[31m"


def script(database):
    from dashboard.app import prepare_page  # noqa: PLC0415 - Streamlit runs this function's source
    from dashboard.replays.page import show_replays  # noqa: PLC0415

    prepare_page()
    show_replays(database)


@pytest.fixture
def open_page(scene):
    def opened(**query):
        return open_at(script, scene.database, **query)

    yield opened
    st.cache_data.clear()


def figures(page):
    return {metric.label: metric.value for metric in page.metric}


def table(page, column):
    found = [frame.value for frame in page.dataframe if column in frame.value]
    return found[0] if found else None


def listed(scene):
    with scene.database.transaction() as connection:
        return list_with_figures(connection)


def test_without_runs_it_says_how_to_begin(open_page):
    assert "tapewatch demo" in open_page().info[0].value


def test_a_database_that_is_away_is_told_and_not_traced():
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    page = open_at(script, database)
    assert "database cannot be reached" in page.error[0].value
    database.close()


@pytest.mark.parametrize("part", ["play", "compare"])
def test_an_empty_run_has_nothing_to_play_or_to_judge(scene, open_page, part):
    with scene.database.transaction() as connection:
        open_run(connection, "empty", "feed.jsonl")
    page = open_page(part=part)
    assert any("nothing to play and nothing to judge" in info.value for info in page.info)
    assert table(page, "State").iloc[0][["Run", "State", "Documents"]].tolist() == [
        "empty",
        "… running",
        0,
    ]


def test_every_run_is_listed_with_what_one_chooses_it_by(story):
    runs = {run.name: run for run in listed(story)}
    assert runs["replay"].alerts == 2
    assert (runs["replay"].first, runs["replay"].last) == (DAY, DAY + 23 * HOUR + 50 * MINUTE)
    assert (runs["quiet"].documents, runs["quiet"].alerts) == (5, 0)
    assert runs["replay"].model == "model-1"


def test_a_run_of_a_hostile_name_is_listed_plainly(scene):
    scene.add_documents(HOSTILE, 1, model=HOSTILE)
    row = tabulate(listed(scene)).iloc[0]
    assert not {"\u202e", "\x1b"} & set(row["Run"] + row["Model"])


@pytest.mark.usefixtures("story")
def test_a_run_is_first_shown_as_a_whole(open_page):
    page = open_page()
    assert figures(page) == {
        "It is": "9 Mar 23:55",
        "Firing alerts": "1",
        "Documents": "271",
        "Negative share": "11%",
    }
    assert linked(page)["at"] == "2026-03-09T23:55Z"
    assert list(table(page, "What")["What"]) == ["✓ resolved", "▲ fired", "▲ fired"]


MOMENTS = {
    "00:00": ("0", "0", 0),
    "12:25": ("138", "0", 0),
    "12:30": ("140", "1", 1),
    "12:45": ("151", "2", 2),
    "14:00": ("171", "1", 3),
}
"""What is known of the story by then: documents, firing alerts, changes of alerts."""


@pytest.mark.usefixtures("story")
def test_a_link_opens_the_moment_and_nothing_after_it(open_page):
    for time, (documents, firing, changes) in MOMENTS.items():
        page = open_page(at=f"2026-03-09T{time}Z")
        found = figures(page)
        assert (time, found["Documents"], found["Firing alerts"]) == (time, documents, firing)
        shown = table(page, "What")
        assert (0 if shown is None else len(shown)) == changes


@pytest.mark.usefixtures("story")
def test_a_link_to_no_moment_of_the_run_opens_one(open_page):
    for at, shown in (("<b>", END), ("1999-01-01", DAY)):
        assert open_page(at=at).slider(key="at").value == shown


def test_no_bin_holds_a_document_of_later(story):
    with story.database.transaction() as connection:
        run = next(run for run in summarize_runs(connection) if run.name == "replay")
    part = Slice(run.id, "topic", DAY, DAY + 24 * HOUR)
    for minute in (0, 1, 59, 60, 61, 725, 733, 780, 1439, 1440):
        at = DAY + minute * MINUTE
        with story.database.transaction() as connection:
            rows = read_documents(connection, replace(part, end=at, scope="all"), limit=1000)
        for size in (5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR):
            bins = playback.seen(story.database, run, part, size, at)
            assert sum(found.sums.documents for found in bins) == len(rows)
            assert len({(found.key, found.start) for found in bins}) == len(bins)
            assert all(found.start < at for found in bins)
    st.cache_data.clear()


def test_of_a_part_only_what_lies_in_it_is_seen(story):
    with story.database.transaction() as connection:
        run = next(run for run in summarize_runs(connection) if run.name == "replay")
    part = Slice(run.id, "all", DAY + 6.5 * HOUR, DAY + 12.5 * HOUR)
    sizes = {5 * MINUTE: 75, 15 * MINUTE: 75}
    for size, documents in sizes.items():
        bins = playback.seen(story.database, run, part, size, DAY + 20 * HOUR)
        assert sum(found.sums.documents for found in bins) == documents
    st.cache_data.clear()


@pytest.mark.usefixtures("story")
def test_a_span_rolls_up_to_the_moment(open_page):
    page = open_page(at="2026-03-09T12:30Z", played="6h")
    # 10 an hour from 6:30 on, 5 of them before 7:00, and half of the scare of noon.
    assert figures(page)["Documents"] == "75"


@pytest.mark.usefixtures("story")
def test_steps_and_jumps_go_from_moment_to_moment(open_page):
    page = open_page(at="2026-03-09T12:00Z")
    fine(page.button(key="to-next").click().run())
    assert linked(page)["at"] == "2026-03-09T12:30Z"
    fine(page.button(key="step-on").click().run())
    assert linked(page)["at"] == "2026-03-09T12:35Z"
    fine(page.button(key="to-last").click().run())
    fine(page.button(key="step-back").click().run())
    assert linked(page)["at"] == "2026-03-09T12:25Z"
    fine(page.button(key="to-last").click().run())
    assert linked(page)["at"] == "2026-03-09T12:25Z"


@pytest.mark.usefixtures("story")
def test_playing_goes_on_by_the_time_that_passed_and_stops_at_the_end(open_page):
    page = open_page(at="2026-03-09T12:00Z", speed="3600")
    fine(page.button(key="play").click().run())
    assert page.button(key="play").label == "Pause"
    page.session_state["playing"] = monotonic() - 2
    fine(page.run())
    assert page.slider(key="at").value >= DAY + 14 * HOUR
    page.session_state["at"] = DAY + 23.9 * HOUR
    page.session_state["playing"] = monotonic() - 2
    fine(page.run())
    assert page.button(key="play").label == "Play"
    assert linked(page)["at"] == "2026-03-09T23:55Z"
    fine(page.button(key="play").click().run())
    assert page.slider(key="at").value == DAY


@pytest.mark.usefixtures("story")
def test_a_step_is_one_from_where_the_playing_has_come(open_page):
    page = open_page(at="2026-03-09T12:00Z", speed="3600")
    fine(page.button(key="play").click().run())
    page.session_state["at"] = DAY + 15 * HOUR  # as the fragment moved it since
    fine(page.button(key="step-on").click().run())
    assert page.button(key="play").label == "Play"
    assert linked(page)["at"] == "2026-03-09T15:05Z"


@pytest.mark.usefixtures("story")
def test_who_comes_back_to_the_reel_finds_the_moment(open_page):
    page = open_page(at="2026-03-09T12:00Z")
    fine(page.slider(key="at").set_value(DAY + 13 * HOUR).run())
    for part in ("compare", "play"):
        group = next(group for group in page.button_group if group.key == "part")
        fine(group.set_value(part).run())
    assert page.slider(key="at").value == DAY + 13 * HOUR


@pytest.mark.usefixtures("story")
def test_who_moves_the_slider_stops_the_playing(open_page):
    page = open_page(at="2026-03-09T12:00Z")
    fine(page.button(key="play").click().run())
    fine(page.slider(key="at").set_value(DAY + 12.5 * HOUR).run())
    assert page.button(key="play").label == "Play"
    assert figures(page)["Firing alerts"] == "1"


@pytest.mark.usefixtures("story")
def test_another_run_begins_with_its_own_moments(open_page):
    page = open_page(at="2026-03-09T12:00Z")
    fine(page.selectbox(key="run").set_value("quiet").run())
    assert page.slider(key="at").value == DAY + 49 * MINUTE
    assert figures(page)["Documents"] == "5"


@pytest.mark.usefixtures("story")
def test_an_alert_leads_to_its_subject_and_the_link_says_so(open_page):
    page = open_page(at="2026-03-09T12:30Z")
    fine(page.button(key="look-0").click().run())
    assert "Timeline: Financials" in texts(page)
    assert linked(page)["about"] == "topic:Financials"
    fine(page.button(key="played-everything").click().run())
    assert "about" not in linked(page)


def test_hostile_names_are_only_text(scene, open_page):
    scene.add_documents(HOSTILE, 3, topic="Macro")
    scene.add_alert(HOSTILE, HOSTILE, key=HOSTILE, fired=0.5)
    page = open_page(about=f"topic:{HOSTILE}")
    for elements in (page.markdown, page.caption, page.info, page.header, page.get("html")):
        assert not [element for element in elements if "evil" in str(element.value)]
    for shown in (*texts(page), *table(page, "What")["Rule"]):
        assert not {"\u202e", "\x1b"} & set(shown)
