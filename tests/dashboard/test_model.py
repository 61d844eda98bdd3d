"""The page of the model as Streamlit draws it, by the card that ships and by cards of others."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
import streamlit as st
from support.pages import fine, linked, open_at, texts

from dashboard.common.shares import USUAL, around
from dashboard.model import confusion, reliability
from dashboard.model.contest import drawn
from dashboard.model.drift import newest_of_each, tabulate_points
from dashboard.model.lineup import Change, Compared, Contest, Lineup, Models, ModelsError
from dashboard.model.model_card import Bin, CardError, HeadFigures, read_card
from dashboard.model.sections import tabulate_scores
from store.database import Database
from store.drift import DriftReport, StoredReport, save_report
from store.runs import open_run
from tapewatch.champion import SHIPPED

DAY = datetime(2026, 3, 9, tzinfo=UTC)
HOSTILE = "evil <img src=x onerror=alert(1)> **bold** $x^2$ :red[boo] \u202etxt\x1b[31m"


@cache
def shipped():
    return json.loads((SHIPPED / "card.json").read_text("utf-8"))


def lineup(**changes):
    serving = shipped()["version"]
    return replace(Lineup(serving, serving, None, serving, [serving]), **changes)


class Weights:
    """What the page is handed, with what it asked for."""

    def __init__(self, standing=None, cards=None):
        self.standing = standing or lineup()
        self.cards = cards if cards is not None else {shipped()["version"]: shipped()}
        self.measured = []

    def look(self):
        if isinstance(self.standing, Exception):
            raise self.standing
        return self.standing

    def card(self, version):
        if version not in self.cards:
            raise ModelsError(f"no card of {version}")
        return self.cards[version]

    def measure(self, run_name):
        self.measured.append(run_name)
        return 2

    def ways(self):
        return Models(self.look, self.card, self.measure, (0.1, 0.25))


def script(database, models):
    from dashboard.app import prepare_page  # noqa: PLC0415 - Streamlit runs this function's source
    from dashboard.model.page import show_model  # noqa: PLC0415

    prepare_page()
    show_model(database, models)


@pytest.fixture
def open_page(scene):
    def opened(weights=None, **query):
        return open_at(script, scene.database, (weights or Weights()).ways(), **query)

    yield opened
    st.cache_data.clear()


def figures(page):
    return {metric.label: (metric.value, metric.delta) for metric in page.metric}


def table(page, column):
    found = [frame.value for frame in page.dataframe if column in frame.value]
    return found[0] if found else None


def headings(page):
    return [found.value for found in page.header]


def test_the_shipped_card_is_shown_with_what_it_measured(open_page):
    page = open_page()

    scores = shipped()["tests"]["topic, without rows repeated in training"][0]
    low, high = scores["macro_f1_interval"]
    assert figures(page)["Topic macro F1"] == (
        f"{scores['macro_f1']:.3f}",
        f"{low:.3f} to {high:.3f}",
    )
    assert len(table(page, "Majority")) == 4
    assert headings(page) == [
        "Scores", "Confusion", "Reliability", "Drift", "Champion and challenger",
    ]  # fmt: skip
    assert any("11.7 million parameters" in text for text in texts(page))
    assert len(table(page, "Taken for")) == 6


def test_without_a_run_the_card_is_there_and_drift_says_why_not(open_page):
    page = open_page()
    assert any("no run to measure" in info.value for info in page.info)
    assert [box.key for box in page.selectbox] == ["version", "test"]


def test_a_database_that_is_away_leaves_the_card():
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    page = open_at(script, database, Weights().ways())
    assert len(table(page, "Majority")) == 4
    assert "database cannot be reached" in page.error[0].value
    assert headings(page)[-1] == "Champion and challenger"
    database.close()


def test_a_link_opens_its_test_rows_and_its_cells(open_page):
    chosen = "topic: topic, published validation"
    page = open_page(test=chosen, cells="rows")
    assert page.selectbox(key="test").value == chosen
    assert linked(page)["cells"] == "rows"
    mistakes = table(page, "Taken for")
    assert len(mistakes) == 8
    assert list(mistakes["Rows"]) == sorted(mistakes["Rows"], reverse=True)


@pytest.mark.parametrize("query", [{"test": HOSTILE}, {"cells": "x"}, {"version": "gone"}])
def test_a_link_that_names_nothing_known_opens_the_usual_view(open_page, query):
    page = open_page(**query)
    assert page.selectbox(key="version").value == shipped()["version"]
    assert page.selectbox(key="test").value == "sentiment: sentiment, headlines (a fixed fifth)"


def test_a_version_without_a_card_says_so_and_the_rest_is_there(open_page):
    page = open_page(Weights(cards={}))
    assert page.error[0].value == "There is no card to show:"
    assert f"no card of {shipped()['version']}" in texts(page)
    assert headings(page) == ["Drift", "Champion and challenger"]


def test_a_registry_that_is_damaged_is_told_and_not_traced(open_page):
    page = open_page(Weights(ModelsError("the registry file cannot be read")))
    assert page.error[0].value == "The weights cannot be looked at:"
    assert "the registry file cannot be read" in texts(page)


def test_a_card_that_says_next_to_nothing_is_shown_as_far_as_it_goes(open_page):
    page = open_page(Weights(cards={shipped()["version"]: {"version": "bare"}}))
    assert figures(page)["Topic macro F1"] == ("\u2013", "not measured")
    said = [info.value for info in page.info]
    assert any("The card measures nothing" in text for text in said)
    assert any("how far its probabilities can be trusted" in text for text in said)


@pytest.mark.parametrize(
    "plain", [{}, {"version": "x", "tests": {"a": [{"head": 3}]}}, {"version": 1}]
)
def test_what_is_no_card_is_told(plain):
    with pytest.raises(CardError, match="not what `tapewatch train` writes"):
        read_card(plain)


def test_another_version_can_be_chosen(open_page):
    other = shipped() | {"version": "other", "summary": "Made of something else."}
    weights = Weights(
        lineup(versions=[shipped()["version"], "other"], challenger="other"),
        {shipped()["version"]: shipped(), "other": other},
    )
    page = open_page(weights)
    fine(page.selectbox(key="version").set_value("other").run())
    assert "Made of something else." in texts(page)
    assert linked(page)["version"] == "other"


def test_hostile_names_of_a_card_are_only_text(open_page):
    head = {
        "head": "topic", "rows": 4, "accuracy": 0.5, "accuracy_interval": [0, 1], "macro_f1": 0.5,
        "macro_f1_interval": [0, 1], "names": [HOSTILE, "b"], "confusion": [[1, 1], [1, 1]],
        "classes": {HOSTILE: {"precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 2}},
    }  # fmt: skip
    card = {
        "version": HOSTILE, "summary": HOSTILE, "held_out": HOSTILE, "made_on": HOSTILE,
        "architecture": HOSTILE, "rows": {HOSTILE: 3}, "tests": {HOSTILE: [head]},
        "limitations": [HOSTILE], "commands": [HOSTILE], "calibration": {},
        "before": {"is": HOSTILE, "tests": {}},
    }  # fmt: skip
    history = [Change(DAY, HOSTILE, HOSTILE, HOSTILE, HOSTILE)]
    weights = Weights(
        lineup(serving=HOSTILE, versions=[HOSTILE], challenger=HOSTILE, history=history,
               contest=Contest(promotes=False, reason=HOSTILE, objections=[HOSTILE])),
        {HOSTILE: card, shipped()["version"]: card},
    )  # fmt: skip
    page = open_page(weights)

    for elements in (page.markdown, page.caption, page.info, page.warning, page.get("html")):
        assert not [element for element in elements if "evil" in str(element.value)]
    for shown in (*texts(page), *table(page, "Taken for")["True"], *table(page, "Became")["By"]):
        assert not {"\u202e", "\x1b"} & set(shown)


def test_the_matrix_has_every_row_once_and_its_shares_add_up():
    score = read_card(shipped()).best_known("topic")[1]
    cells = confusion.tabulate_cells(score)
    assert cells["rows"].sum() == score.rows
    sums = cells.groupby("true")["share"].sum()
    assert sums.round(9).unique().tolist() == [1.0]
    right = cells[cells["right"]]["rows"].sum() / score.rows
    assert right == pytest.approx(score.accuracy, abs=1e-6)


def test_a_matrix_that_does_not_fit_its_classes_is_none():
    fields = {"rows": 2, "accuracy": 0.5, "accuracy_interval": (0, 1), "macro_f1": 0.5}
    whole = HeadFigures("topic", macro_f1_interval=(0, 1), names=("a", "b"), **fields)
    assert not whole.has_confusion
    ragged = HeadFigures("topic", macro_f1_interval=(0, 1), names=("a", "b"),
                         confusion=((1, 0), (1,)), **fields)  # fmt: skip
    assert not ragged.has_confusion


def test_a_class_without_rows_makes_no_share():
    score = HeadFigures("topic", 1, 1.0, (0, 1), 1.0, (0, 1), names=("a", "b"),
                        confusion=((1, 0), (0, 0)))  # fmt: skip
    cells = confusion.tabulate_cells(score)
    assert cells["share"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert confusion.tabulate_mistakes(cells).empty


def test_the_reliability_diagram_holds_the_bins_of_the_card_as_served_and_before():
    found = read_card(shipped()).calibration["sentiment"]
    bins = reliability.tabulate(found)
    served = bins[bins["series"] == reliability.SERVED]
    assert served["rows"].sum() == found.after.rows
    error = (served["rows"] * (served["confidence"] - served["accuracy"]).abs()).sum()
    assert error / found.after.rows == pytest.approx(found.after.ece, abs=1e-5)
    assert ((bins["low"] <= bins["accuracy"]) & (bins["accuracy"] <= bins["high"])).all()
    assert f"{found.after.ece:.1%}" in reliability.describe("sentiment", found)


@pytest.mark.parametrize(
    ("share", "rows", "low", "high"),
    [
        (0.0, 0, 0.0, 1.0),
        (0.0, 10, 0.0, 0.2775),
        (1.0, 10, 0.7225, 1.0),
        (0.5, 100, 0.4038, 0.5962),
    ],
)
def test_intervals_of_shares_are_wilsons(share, rows, low, high):
    assert around(share, rows, USUAL) == pytest.approx((low, high), abs=1e-4)
    assert Bin(rows, 0.5, share).interval == around(share, rows, USUAL)


def test_scores_stand_beside_those_before():
    scores = tabulate_scores(read_card(shipped()))
    assert scores.iloc[0][["Rows", "Macro F1", "F1 before"]].tolist() == [
        4117,
        "0.873 (0.856 to 0.888)",
        "0.877",
    ]


def report(run_id, day=0, *, verdict="drifted", psi=0.5, expected=0.01, word="crash"):
    parts = [
        {"name": name, "psi": psi, "expected": expected, "bins": 4, "verdict": verdict}
        for name in ("topics", "sentiments", "topic confidence", "sentiment confidence")
    ]
    parts.append(
        {"name": "vocabulary", "psi": None, "expected": None, "bins": 65, "verdict": "too few"}
    )
    moved = [{"head": "topic", "name": "Macro", "before": 0.1, "now": 0.4, "contribution": 0.3}]
    plain = {"parts": parts, "moved": moved, "new_words": [{"word": word, "share": 0.2}]}
    start = DAY + timedelta(days=day)
    return DriftReport(
        run_id, "m", start, start + timedelta(days=1), 500, psi, psi, psi, None, verdict, plain
    )


def keep(scene, *reports):
    with scene.database.transaction() as connection:
        run = open_run(connection, "replay")
        for made in reports:
            save_report(connection, made(run.id))


def test_drift_is_told_over_time_with_what_moved(story, open_page):
    keep(story, report, lambda run: report(run, 1, verdict="stable", psi=0.05, word=HOSTILE))
    page = open_page(run="replay")

    reports = table(page, "Verdict")
    assert list(reports["Verdict"]) == ["✓ stable", "✗ drifted"]
    assert reports.iloc[1]["Topics"] == pytest.approx(0.49)
    assert reports["Vocabulary"].isna().all()
    assert list(table(page, "Training")["Now"]) == [40.0]
    (word,) = table(page, "Word")["Word"]
    assert "evil" in word
    assert not {"\u202e", "\x1b"} & set(word)


def test_a_run_that_was_not_measured_can_be(story, open_page):
    weights = Weights()
    page = open_page(weights, run="replay")
    assert any("was not measured yet" in info.value for info in page.info)
    fine(page.button(key="measure-drift").click().run())
    assert weights.measured == ["replay"]
    assert any("2 reports were made" in caption.value for caption in page.caption)


def test_only_the_newest_report_of_a_span_counts():
    def stored(number, day, psi):
        fields = {name: getattr(report(1, day, psi=psi), name) for name in DriftReport.__slots__}
        return StoredReport(**fields, id=number, at=DAY)

    found = newest_of_each([stored(3, 0, 0.3), stored(2, 1, 0.2), stored(1, 0, 0.9)])
    assert [each.id for each in found] == [3, 2]
    points = tabulate_points(found)
    assert points["index"].tolist() == [0.3] * 4 + [0.2] * 4


def test_champion_and_challenger_stand_side_by_side(open_page):
    compared = [
        Compared("news", "topic", "accuracy", 0.9, 0.88, 0.87),
        Compared("news", "sentiment", "macro F1", 0.8, 0.75, 0.75),
    ]
    contest = Contest(
        promotes=False, reason="worse than the champion", objections=["news"], compared=compared
    )
    history = [
        Change(DAY, "new", "challenger", "ann", "added from new"),
        Change(DAY + timedelta(hours=1), "new", "champion", "bob", "not worse than the champion"),
    ]
    weights = Weights(
        lineup(challenger="new", contest=contest, history=history),
        {shipped()["version"]: shipped(), "new": shipped() | {"version": "new"}},
    )
    page = open_page(weights)

    assert list(table(page, "Judged")["Judged"]) == ["✗ worse", "✓ not worse"]
    assert any("would refuse" in warning.value for warning in page.warning)
    assert list(table(page, "Became")["Became"]) == ["champion", "challenger"]
    assert texts(page).count("new") == 1


def test_of_many_figures_those_of_heads_and_the_worse_are_drawn():
    heads = [Compared("news", "topic", name, 0.9, 0.8, 0.9) for name in ("accuracy", "macro F1")]
    classes = [
        Compared("news", "topic", f"F1 of {number}", 0.9, 0.8, 0.7 if number % 2 else 0.9)
        for number in range(60)
    ]
    shown = drawn([*classes[:30], *heads, *classes[30:]])
    assert shown[:2] == heads
    assert len(shown) == 16
    assert all(each.worse for each in shown[2:])


def test_a_challenger_that_may_serve_is_told_how(open_page):
    contest = Contest(promotes=True, reason="not worse than the champion")
    page = open_page(Weights(lineup(challenger="new", contest=contest)))
    assert "`tapewatch promote`" in page.success[0].value


def test_a_contest_that_cannot_be_decided_says_why(open_page):
    page = open_page(Weights(lineup(challenger="new", contest="rules.toml:3: broken")))
    assert "rules.toml:3: broken" in texts(page)
    assert "no card of new" in texts(page)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"elsewhere": True}, "TAPEWATCH_SCORER_URL"), ({"champion": "old"}, "TAPEWATCH_WEIGHTS")],
)
def test_where_the_champion_does_not_serve_it_is_said(open_page, changes, said):
    page = open_page(Weights(lineup(**changes)))
    assert any(said in info.value for info in page.info)
