"""The one document that a reader chose: corrections of it, and why it counts as negative."""

from datetime import UTC, datetime, timedelta

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from support.pages import fine, texts

from alerts.rules.ruleset import parse_rules
from classifier.attribution import Explanation, ExplanationError, Word
from dashboard.access.roles import Role, Standing, User
from dashboard.common.plain import plain
from dashboard.documents import correcting, explaining
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from store.alertlog import read_alerts
from store.commits import commit_batch
from store.corrections import (
    Correction,
    CorrectionRow,
    add_correction,
    corrections_of,
    read_corrections,
)
from store.preparing import prepare_batch
from store.runs import delete_run, find_run
from store.views import Slice, read_documents
from tapewatch.settings import Settings
from tapewatch.wiring import make_alerter

START, HOUR = datetime(2026, 3, 9, tzinfo=UTC), timedelta(hours=1)
EARLY, LATE = START - timedelta(days=7), START + timedelta(days=7)
OWN = ("Hailstorms", "Tulips", "**Bold** $x$ :red[y]")
HOSTILE = "evil <img src=x onerror=alert(1)> **bold** $x^2$ :red[boo] \u202etxt\x1b[31m"
EXPLAINED = Explanation(
    (Word("Banks ", 0.25), Word("rise ", -0.5), Word("the ", 0.0), Word(HOSTILE, 0.01)),
    "negative", 0.3, 0.0625, 0.0025,
)  # fmt: skip


def script(database, explain):
    from dashboard.access.roles import Access, Role  # noqa: PLC0415
    from dashboard.app import render  # noqa: PLC0415 - Streamlit runs this function's source

    render(database, explain, access=Access(everybody=Role.OPERATOR))


@pytest.fixture
def garden(scene):
    """A run that was scored by a model with topics of the user's own."""
    scene.add_documents(
        "garden", 2, topic="Tulips", sentiment="negative", topics=OWN, model="garden-1",
        title="Tulips wither",
    )  # fmt: skip
    scene.add_documents("garden", 1, topic="Hailstorms", topics=OWN, model="garden-1", hour=1)
    return scene


@pytest.fixture
def open_document(garden):
    """Open the page with a document chosen, the first of the most negative or another."""

    def opened(number=0, explain=None, page=None):
        run_id, rows = chosen(garden)
        if page is None:
            page = AppTest.from_function(
                script, default_timeout=120, args=(garden.database, explain)
            )
        page.session_state["document"] = (run_id, rows[number])
        return fine(page.run())

    yield opened
    st.cache_data.clear()


def chosen(garden):
    with garden.database.transaction() as connection:
        run_id = find_run(connection, "garden").id
        part = Slice(run_id, "all", EARLY, LATE)
        return run_id, read_documents(connection, part, negative_first=True)


def field(page, label):
    (found,) = [widget for widget in (*page.selectbox, *page.text_input) if widget.label == label]
    return found


def press(page, label):
    (found,) = [button for button in page.button if button.label == label]
    return fine(found.click().run())


def correct(page, topic=None, sentiment=None, author="ann", note=None):
    for label, value in (
        ("Topic", topic), ("Sentiment", sentiment), ("Your name", author), ("Note", note)
    ):  # fmt: skip
        if value is not None:
            field(page, label).set_value(value)
    return press(page, "Save correction")


def table(page, column):
    """The one table that has a column of that name; None where there is none."""
    found = [frame.value for frame in page.dataframe if column in frame.value]
    return found[0] if found else None


def history(garden, number=0):
    run_id, rows = chosen(garden)
    with garden.database.transaction() as connection:
        return corrections_of(connection, run_id, rows[number].id)


def is_nowhere_but_in_plain_elements(page, words):
    for elements in (page.markdown, page.caption, page.error, page.info, page.get("html")):
        assert not [element for element in elements if words in str(element)]


def test_an_analyst_corrects_a_document(garden, open_document):
    page = open_document()
    assert table(page, "Who") is None

    correct(page, "Hailstorms", "neutral", note="hail, not flowers")

    (kept,) = history(garden)
    assert (kept.topic, kept.sentiment, kept.author) == ("Hailstorms", "neutral", "ann")
    shown = table(page, "Who")
    assert list(shown["Who"]) == ["ann"]
    assert list(shown["Topic"]) == ["Hailstorms"]
    assert list(shown["Note"]) == ["hail, not flowers"]
    assert list(shown["When"]) == [kept.at]


def test_the_choices_are_the_labels_of_the_documents_model(open_document):
    page = open_document()

    assert field(page, "Topic").options == [plain(name) for name in OWN]
    assert field(page, "Sentiment").options == ["negative", "neutral", "positive"]
    assert field(page, "Topic").value is None


def test_one_label_alone_can_be_corrected(garden, open_document):
    correct(open_document(), sentiment="positive")

    (kept,) = history(garden)
    assert (kept.topic, kept.sentiment) == (None, "positive")


def test_the_form_begins_with_what_was_said_last(garden, open_document):
    page = correct(open_document(), "Hailstorms", "neutral")

    assert field(page, "Topic").value == "Hailstorms"
    assert field(page, "Note").value == ""
    correct(page, "Tulips", author="bob")

    assert [(row.topic, row.sentiment, row.author) for row in history(garden)] == [
        ("Tulips", "neutral", "bob"),
        ("Hailstorms", "neutral", "ann"),
    ]


def test_the_name_is_kept_for_the_next_document(open_document):
    page = correct(open_document(), "Hailstorms", author=" ann ")

    open_document(1, page=page)

    assert field(page, "Your name").value == "ann"
    assert field(page, "Topic").value is None


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"topic": "Hailstorms", "author": " "}, "say who you are"),
        ({}, "names a topic, a sentiment or both"),
    ],
)
def test_what_cannot_be_saved_is_told(garden, open_document, said, message):
    page = correct(open_document(), **said)

    assert any(message in text for text in texts(page))
    assert history(garden) == []


def test_a_correction_can_be_taken_back(garden, open_document):
    page = correct(open_document(), "Hailstorms")

    press(page, "Take back")

    assert list(table(page, "Who")["Topic"]) == ["(taken back)", "Hailstorms"]
    assert "Take back" not in [button.label for button in page.button]
    with garden.database.transaction() as connection:
        assert read_corrections(connection) == []


def test_hostile_names_notes_and_labels_are_only_text(garden, open_document):
    page = correct(open_document(), OWN[2], author=HOSTILE, note=HOSTILE)

    (kept,) = history(garden)
    assert kept.note == HOSTILE
    shown = table(page, "Who")
    assert list(shown["Who"]) == list(shown["Note"]) == [plain(HOSTILE)]
    is_nowhere_but_in_plain_elements(page, "evil")
    is_nowhere_but_in_plain_elements(page, "**Bold**")


def test_a_document_that_is_gone_meanwhile_has_no_form(garden, open_document):
    page = open_document()
    with garden.database.transaction() as connection:
        delete_run(connection, "garden")
    garden.add_documents("garden", 1, topic="Hailstorms", topics=OWN, model="garden-1")
    st.cache_data.clear()

    fine(page.run())

    assert "Save correction" not in [button.label for button in page.button]


def lower(monkeypatch, *, drawn):
    """Let everybody be a viewer from now on; ``drawn``: forms stay as they were drawn before."""
    viewer = User(None, Role.VIEWER, Standing.NO_LOGIN)
    monkeypatch.setattr("dashboard.documents.correcting.current_user", lambda: viewer)
    monkeypatch.setattr("dashboard.documents.correcting.may_act", lambda deed: drawn)


def test_a_viewer_has_no_form(garden, open_document, monkeypatch):
    lower(monkeypatch, drawn=False)
    assert "Save correction" not in [button.label for button in open_document().button]


@pytest.mark.parametrize("name", ["Save correction", "Take back"])
def test_a_form_that_was_drawn_for_an_analyst_saves_nothing_for_a_viewer(
    garden, open_document, monkeypatch, name
):
    page = correct(open_document(), "Hailstorms")
    lower(monkeypatch, drawn=True)
    field(page, "Topic").set_value("Tulips")
    press(page, name)

    assert any("takes the role analyst; you are a viewer" in text.value for text in page.text)
    assert [row.topic for row in history(garden)] == ["Hailstorms"]


def test_what_a_colleague_said_appears(garden, open_document):
    page = open_document()
    run_id, rows = chosen(garden)
    with garden.database.transaction() as connection:
        said = Correction(run_id, rows[0].id, "Hailstorms", None, "bob")
        add_correction(connection, said)
    st.cache_data.clear()

    fine(page.run())

    assert list(table(page, "Who")["Who"]) == ["bob"]
    assert field(page, "Topic").value == "Hailstorms"


def test_a_row_that_takes_back_says_so():
    row = CorrectionRow(1, None, None, "ann", None, EARLY)

    assert correcting.tabulate([row]).iloc[0].tolist() == [EARLY, "ann", "(taken back)", "", ""]


def test_topics_of_the_users_own_reach_rules_and_page(garden, open_document):
    garden.add_documents(
        "garden", 20, topic="Tulips", sentiment="negative", topics=OWN, model="garden-1", hour=2
    )
    content = b'[[rules]]\nname = "wilting"\nmetric = "negative_share"\nthreshold = 0.5\n'
    rules = parse_rules(content + b'keys = ["Tulips"]', "rules", {})
    with garden.database.transaction() as connection:
        run = find_run(connection, "garden")
        advance = Advance(Partition("feed", 0), None, Checkpoint(23, START + 3 * HOUR))
        commit_batch(connection, run.id, prepare_batch(ScoredBatch([], [], [], [advance])))
    alerter = make_alerter(
        garden.database, run, rules, Settings(), notify=False, on_event=lambda _: None
    )
    alerter.advance(LATE, finish=True)

    with garden.database.transaction() as connection:
        assert {alert.key for alert in read_alerts(connection, "garden")} == {"Tulips"}
    page = open_document()
    subjects = page.selectbox(key="subject").options
    topics = [name for name in subjects if name.startswith("Topic: ")]
    assert topics == [f"Topic: {name}" for name in sorted(("Hailstorms", "Tulips"))]
    assert set(table(page, "Topic")["Topic"]) == {"Hailstorms", "Tulips"}


def test_a_document_is_explained_when_asked_and_not_before(open_document):
    read = []

    def explain(text):
        read.append(text)
        return EXPLAINED

    page = open_document(explain=explain)
    fine(page.run())
    assert read == []

    press(page, "Which words make it negative?")
    fine(page.run())

    assert read == ["Tulips wither\nTulips at 00:30"]
    shown = table(page, "Effect")
    assert list(shown["Word"]) == ["rise", "Banks", plain(HOSTILE, 60)]
    assert list(shown["Effect"]) == ["▼ less negative", "▲ more negative", "▲ more negative"]
    assert list(shown["Moves it by"]) == [-0.5, 0.25, 0.01]
    (told,) = [text for text in texts(page) if text.startswith("P(negative)")]
    assert "6.2% for this text and 30.0%" in told
    assert "error of +0.25%" in told
    is_nowhere_but_in_plain_elements(page, "evil")


def test_an_explanation_is_of_its_document_alone(open_document):
    page = open_document(explain=lambda _: EXPLAINED)
    press(page, "Which words make it negative?")
    assert table(page, "Effect") is not None

    open_document(1, page=page)

    assert table(page, "Effect") is None


def test_what_cannot_be_explained_is_told_plainly(open_document):
    def explain(text):
        raise ExplanationError(HOSTILE)

    page = press(open_document(explain=explain), "Which words make it negative?")

    assert plain(HOSTILE) in texts(page)
    is_nowhere_but_in_plain_elements(page, "evil")


def test_without_an_explanation_there_is_no_button(open_document):
    page = open_document()

    assert "Which words make it negative?" not in [button.label for button in page.button]


def test_words_that_cannot_be_seen_are_named_and_long_ones_cut():
    words = (Word("\u200b\x07", 0.5), Word("x" * 500, -0.25), Word("none", 0.0))
    shown = explaining.tabulate(Explanation(words, "negative", 0.1, 0.35, 0.0))

    assert list(shown["Word"]) == ["(nothing visible)", "x" * 59 + "…"]
    assert list(shown["Strength"]) == [100, 50]


def test_at_most_a_dozen_words_are_shown():
    words = tuple(Word(f"w{n} ", n / 100) for n in range(1, 50))
    shown = explaining.tabulate(Explanation(words, "negative", 0.1, 0.35, 0.0))

    assert len(shown) == explaining.MOST_WORDS
    assert shown["Word"].iloc[0] == "w49"


def test_the_strongest_words_are_marked_in_the_text():
    said = ("Bank ", "halts\n", "\u202e▲trading ", "in ", "calm")
    weights = (0.0, 0.5, 0.3, 0.0, -0.2)
    words = tuple(Word(text, weight) for text, weight in zip(said, weights, strict=True))
    shown = explaining.mark_words(Explanation(words, "negative", 0.1, 0.7, 0.0))

    assert shown == "Bank ▲halts\n▲△trading in ▼calm"


@pytest.mark.parametrize(("least", "marked"), [(0.25, 12), (0.5, 12), (0.24, 1)])
def test_only_the_words_that_weigh_at_least_a_quarter_of_the_first_are_marked(least, marked):
    words = (Word("first ", -1.0), *(Word(f"w{n} ", least) for n in range(40)))
    shown = explaining.mark_words(Explanation(words, "negative", 0.1, 0.35, 0.0))

    assert shown.count("▲") + shown.count("▼") == marked
    assert shown.startswith("▼first ")


def test_a_text_in_which_no_word_counts_says_so(open_document):
    nothing = Explanation((Word("x", 0.0),), "negative", 0.3, 0.3, 0.0)
    page = press(open_document(explain=lambda _: nothing), "Which words make it negative?")

    assert "No word of it counts." in [info.value for info in page.info]
