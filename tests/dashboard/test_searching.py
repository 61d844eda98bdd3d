"""The page of documents as Streamlit draws it, on a real database."""

import io
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import streamlit as st
from support.pages import fine, linked, open_at, texts

from dashboard.common import reading
from dashboard.common.plain import plain
from dashboard.documents import page as searching
from dashboard.documents.asking import read_place, write_place
from dashboard.documents.exporting import as_csv, as_parquet
from store import search as stored_search
from store.corrections import Correction, add_correction, read_corrections
from store.database import Database
from store.errors import SearchCutError
from store.runs import find_run, open_run
from store.search import FoundDocument, Place

DAY, HOUR = datetime(2026, 3, 9, tzinfo=UTC), timedelta(hours=1)
HOSTILE = (
    "evil <img src=http://evil.example/a.png onerror=alert(1)> **bold** $x^2$ costs $5 "
    "[click](javascript:alert(1)) :red[boo] \u202etxt.exe\u202c \x07bell"
)


def script(database, explain):
    from dashboard.access.roles import Access, Role  # noqa: PLC0415
    from dashboard.access.signing import admit  # noqa: PLC0415
    from dashboard.app import prepare_page  # noqa: PLC0415 - Streamlit runs this function's source
    from dashboard.documents.page import show_documents_page  # noqa: PLC0415

    prepare_page()
    assert admit(Access(everybody=Role.OPERATOR))
    show_documents_page(database, explain)


@pytest.fixture
def open_page(scene):
    """Open the page, as a link with ``query`` does."""

    def opened(**query):
        return open_at(script, scene.database, None, **query)

    yield opened
    st.cache_data.clear()


def rows(page):
    return page.dataframe[0].value


def button(page, label):
    (found,) = [each for each in page.button if each.label == label]
    return found


def press(page, label):
    return fine(button(page, label).click().run())


def choose(page, key, value):
    (found,) = [each for each in (*page.selectbox, *page.button_group) if each.key == key]
    return fine(found.set_value(value).run())


def words(page, said):
    return fine(page.text_input(key="words").set_value(said).run())


def test_without_runs_it_says_how_to_begin(open_page):
    assert "tapewatch demo" in open_page().info[0].value


def test_a_run_without_documents_says_that_it_waits(scene, open_page):
    with scene.database.transaction() as connection:
        open_run(connection, "fresh", "feed.jsonl")
    assert "no documents yet" in open_page().info[0].value


def test_a_database_that_is_away_is_told_and_not_traced():
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    page = open_at(script, database, None)
    assert "database cannot be reached" in page.error[0].value
    database.close()


def test_a_database_that_goes_away_meanwhile_is_told(scene, open_page, monkeypatch):
    scene.add_documents("replay", 3)
    page = open_page()
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr(scene.database, "reader", away.reader)
    st.cache_data.clear()
    assert "database cannot be reached" in fine(page.run()).error[0].value
    away.close()


@pytest.mark.usefixtures("story")
def test_words_narrow_what_is_shown_and_the_link_says_so(open_page):
    page = words(open_page(), 'treasuries "at 12"')

    assert set(rows(page)["Topic"]) == {"Treasuries | Corporate Debt"}
    assert linked(page)["words"] == 'treasuries "at 12"'
    assert linked(page)["run"] == "replay"


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"topic": "Financials"}, 31),
        ({"symbol": "HUB"}, 30),
        ({"sentiment": "negative", "words": "click"}, 1),
        ({"topic": "Financials", "until": "2026-03-09T13:00Z", "span": "6h"}, 30),
        ({"model": "model-1", "source": "wire", "kind": "news", "symbol": "HUB"}, 30),
    ],
)
def test_a_link_opens_its_view(open_page, query, count):
    page = open_page(run="replay", **query)

    assert any(text.startswith(f"{count} text") for text in texts(page))
    assert linked(page).items() >= query.items()


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize(
    "query",
    [
        {"run": "gone"},
        {"sort": "<b>"},
        {"view": "$x$"},
        {"until": "never"},
        {"after": "x~y~z"},
        {"after": "0~2026-03-09T00:00:00~x"},
        {"after": "99999999999~2026-03-09T00:00:00+00:00~x"},
        {"document": ""},
    ],
)
def test_a_link_that_names_nothing_known_opens_the_usual_view(open_page, query):
    page = open_page(**query)

    assert len(rows(page)) == searching.ROWS
    assert any(text.startswith("271 texts") for text in texts(page))


@pytest.mark.usefixtures("story")
def test_a_filter_of_which_there_is_nothing_says_so(open_page):
    page = open_page(topic="Gone")

    assert page.selectbox(key="topic").value == "Gone"
    assert "No documents here" in page.info[0].value


@pytest.mark.parametrize("said", ["the", "!!", "   &"])
def test_words_that_say_nothing_are_told(scene, open_page, said):
    scene.add_documents("replay", 3)

    assert "too common" in words(open_page(), said).info[0].value


@pytest.mark.usefixtures("story")
def test_the_order_can_be_changed(open_page):
    page = open_page()
    times = list(rows(page)["Time"])
    assert times == sorted(times, reverse=True)

    page = choose(page, "sort", "negative")
    assert list(rows(page)["Score"])[:31] == [-0.7] * 31
    assert linked(page)["sort"] == "negative"


@pytest.mark.usefixtures("story")
def test_pages_follow_one_another_and_their_links_open_them(open_page):
    page = open_page()
    first = list(rows(page)["Time"])
    page = press(page, "Next")
    second = list(rows(page)["Headline"])
    assert rows(page)["Time"].iloc[0] <= first[-1]
    assert button(page, "Next").disabled is False

    again = open_page(**linked(page))
    assert list(rows(again)["Headline"]) == second

    page = press(page, "Back")
    assert list(rows(page)["Time"]) == first
    assert "after" not in linked(page)
    assert button(page, "Back").disabled is True


@pytest.mark.usefixtures("story")
def test_another_question_begins_at_the_first_page(open_page):
    page = press(open_page(), "Next")
    page = choose(page, "topic", "Financials")

    assert "after" not in linked(page)
    assert len(rows(page)) == 31


@pytest.mark.usefixtures("story")
def test_a_page_behind_the_last_says_so(open_page):
    end = write_place(Place(0, DAY - HOUR, "x"))
    page = open_page(after=end)

    assert "Nothing follows" in page.info[0].value
    assert len(rows(press(page, "First page"))) == searching.ROWS


def test_repeats_of_a_text_are_one_row_with_their_count(scene, open_page):
    for hour in range(3):
        scene.add_documents("replay", 1, hour=hour, text="Shares fall", title="A  headline")
    scene.add_documents("replay", 1, hour=4, text="Something else")

    page = open_page()

    assert dict(zip(rows(page)["Headline"], rows(page)["Copies"], strict=True)) == {
        "Something else": 1,
        "A headline": 3,
    }
    assert "2 texts in 4 documents: repeats of a text are one row" in texts(page)


def test_a_long_span_says_how_far_it_was_read_and_goes_on(scene, open_page, monkeypatch):
    monkeypatch.setattr(stored_search, "READ", 3)
    scene.add_documents("replay", 4)
    scene.add_documents("replay", 4, hour=6)

    page = open_page()
    assert len(rows(page)) == 4
    assert any("back to 9 Mar 2026 06:00 UTC" in text for text in texts(page))
    page = press(page, "Search further back")

    assert linked(page)["until"] == "2026-03-09T06:01Z"
    assert set(rows(page)["Time"]) > {DAY + 0.75 * HOUR, DAY + 6 * HOUR}


def test_a_search_that_was_ended_says_what_to_do(scene, open_page, monkeypatch):
    scene.add_documents("replay", 3)

    def cut(*_):
        raise SearchCutError("the search was ended after 10 s: choose a shorter span")

    monkeypatch.setattr(reading, "found", cut)
    assert "choose a shorter span" in open_page().warning[0].value


@pytest.mark.usefixtures("story")
def test_one_document_is_opened_by_its_link(story, open_page):
    with story.database.transaction() as connection:
        run = find_run(connection, "replay")
        asked = stored_search.Search(run.id, DAY, DAY + 24 * HOUR, "click")
        (row,) = stored_search.search(connection, asked).rows

    page = open_page(document=row.id)

    tables = {tuple(frame.value.columns): frame.value for frame in page.dataframe}
    said = tables["Sentiment", "Probability"]
    assert list(said["Sentiment"]) == ["negative", "neutral", "positive"]
    assert list(said["Probability"]) == [80.0, 10.0, 10.0]
    assert tables["Topic", "Probability"]["Topic"].iloc[0] == "Financials"
    assert any("model model-1" in text for text in texts(page))
    assert "Save correction" in [each.label for each in page.button]
    assert "document" not in linked(press(page, "Close"))


@pytest.mark.usefixtures("story")
def test_a_link_to_a_document_that_is_gone_says_so(open_page):
    page = open_page(document="gone")

    assert any("not in this run" in info.value for info in page.info)


def test_hostile_text_reaches_tables_and_plain_text_only(scene, open_page):
    scene.add_documents(
        "replay", 1, title=HOSTILE, text=HOSTILE, source=HOSTILE[:200].replace("\x07", ""),
        author=HOSTILE, symbols=("$A$", "<EVIL>"), url="javascript:evil()",
    )  # fmt: skip
    page = open_page(words="evil", document=f"Macro-0-0-{len(HOSTILE)}-news")

    (headline,) = rows(page)["Headline"]
    assert "$x^2$ costs $5" in headline
    assert plain(HOSTILE, 300) in texts(page)
    assert "javascript:evil()" in texts(page)
    for shown in (headline, *texts(page)):
        assert not {"\u202e", "\u202c", "\x07"} & set(shown)
    for elements in (page.markdown, page.caption, page.info, page.get("html")):
        assert not [element for element in elements if "evil" in str(element)]


def test_hostile_links_are_only_text(scene, open_page):
    scene.add_documents("replay", 3)
    page = open_page(words=HOSTILE * 9, topic=HOSTILE, document=HOSTILE.replace("\x07", ""))

    assert page.text_input(key="words").value == (HOSTILE * 9)[: stored_search.LONGEST_WORDS]
    for elements in (page.markdown, page.caption, page.info, page.get("html")):
        assert not [element for element in elements if "evil" in str(element)]


def test_the_labelling_queue_begins_where_the_model_is_least_sure(scene, open_page):
    scene.add_documents("replay", 1, text="first one")
    scene.add_documents("replay", 1, text="second one", hour=1)
    page = choose(open_page(), "view", "queue")

    assert "second one" in texts(page)
    assert any(text.startswith("2 texts that nobody has corrected") for text in texts(page))
    page = press(page, "Skip")
    assert "first one" in texts(page)
    page = press(page, "Skip")
    assert "end of the queue" in page.info[0].value
    assert "second one" in texts(press(page, "Begin again with what was skipped"))


def test_what_is_corrected_leaves_the_queue(scene, open_page):
    scene.add_documents("replay", 1, text="first one")
    scene.add_documents("replay", 1, text="second one", hour=1)
    page = open_page(view="queue")
    (author,) = [each for each in page.text_input if each.label == "Your name"]
    author.set_value("ann")
    sentiment = [each for each in page.selectbox if each.label == "Sentiment"][-1]
    sentiment.set_value("negative")
    page = press(page, "Save correction")

    assert "first one" in texts(page)
    assert "second one" not in texts(page)
    with scene.database.transaction() as connection:
        (said,) = read_corrections(connection)
    assert (said.text, said.sentiment) == ("second one", "negative")


def test_an_empty_queue_says_so(scene, open_page):
    scene.add_documents("replay", 1, text="the one")
    with scene.database.transaction() as connection:
        run = find_run(connection, "replay")
        identity = stored_search.search(
            connection, stored_search.Search(run.id, DAY, DAY + HOUR)
        ).rows[0]
        add_correction(connection, Correction(run.id, identity.id, None, "neutral", "ann"))

    assert "Nothing is left" in open_page(view="queue").success[0].value


@pytest.mark.usefixtures("story")
def test_what_was_found_can_be_taken_along(open_page, monkeypatch):
    page = press(open_page(topic="Financials"), "Export")
    names = [each.proto.label for each in page.get("download_button")]
    assert names == ["CSV", "Parquet"]
    _, count, cut, *_ = page.session_state["exported"]
    assert (count, cut) == (31, False)

    monkeypatch.setattr(stored_search, "EXPORTED_ROWS", 5)
    page = press(page, "Export")
    assert any(text.startswith("Cut after 5 texts") for text in texts(page))
    page = choose(page, "topic", "")
    assert page.get("download_button") == []


def found(**fields):
    values = {
        "id": "a", "published_at": DAY, "source": "wire", "kind": "news", "title": None,
        "text": "text", "url": None, "author": None, "language": None, "topic": "Macro",
        "sentiment": "neutral", "score": 5000, "margin": 200, "model": "m", "symbols": ("A", "B"),
        "copies": 2,
    }  # fmt: skip
    return FoundDocument(**{**values, **fields})


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("a=1", "a=1"),
        ('say "no", now', 'say "no", now'),
        ("two\nlines", "two\nlines"),
    ],
)
def test_a_spreadsheet_takes_no_cell_for_a_formula(text, cell):
    (row,) = pd.read_csv(io.BytesIO(as_csv([found(text=text)])), encoding="utf-8-sig").to_dict(
        "records"
    )

    assert row["text"] == cell
    assert (row["score"], row["margin"], row["symbols"], row["copies"]) == (0.5, 0.02, "A B", 2)
    assert row["published_at"] == "2026-03-09T00:00:00+00:00"


def test_parquet_holds_the_text_as_it_is():
    rows = [found(text="=1"), found(id="b", text=HOSTILE, symbols=())]
    table = pd.read_parquet(io.BytesIO(as_parquet(rows)))

    assert list(table["text"]) == ["=1", HOSTILE]
    assert [list(symbols) for symbols in table["symbols"]] == [["A", "B"], []]
    assert list(table["published_at"]) == [DAY, DAY]


def test_an_empty_result_is_a_file_too():
    assert as_csv([]).startswith(b"\xef\xbb\xbf")
    assert len(pd.read_parquet(io.BytesIO(as_parquet([])))) == 0


@pytest.mark.parametrize("identity", ["a", "a~b", "**x** ~ \u202e", "ü"])
def test_a_place_is_found_again_by_its_link(identity):
    place = Place(-42, DAY + timedelta(microseconds=7), identity)

    assert read_place(write_place(place)) == place
    assert write_place(None) == ""
