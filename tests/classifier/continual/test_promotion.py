import json
from copy import deepcopy

import msgspec
import pytest

from classifier.continual.promotion import Card, Reason, decide, read_card, wilson_lower
from classifier.continual.registry import DamagedRegistryError, IncompleteWeightsError

LOWEST = 0.85


def of_class(f1=0.9, recall=0.9, rows=100):
    return {
        "precision": 0.9, "recall": recall, "f1": f1, "rows": rows, "f1_interval": [LOWEST, 0.95]
    }  # fmt: skip


def head(name, *classes):
    return {
        "head": name,
        "rows": 500,
        "accuracy": 0.9,
        "accuracy_interval": [LOWEST, 0.93],
        "macro_f1": 0.9,
        "macro_f1_interval": [LOWEST, 0.93],
        "classes": {c: of_class() for c in classes},
        "ece": 0.02,
    }


CARD = {
    "version": "old",
    "labels": {"topics": ["Oil", "Gold"], "sentiments": ["negative", "neutral", "positive"]},
    "tests": {
        "news": [head("topic", "Oil", "Gold"), head("sentiment", "negative", "positive")],
        "comments": [head("sentiment", "negative", "positive")],
    },
}


def card(change=lambda plain: None, version="new"):
    plain = deepcopy(CARD) | {"version": version}
    change(plain)
    return msgspec.convert(plain, Card)


def decided(change, watched=("Oil",), champion=lambda plain: None, **options):
    return decide(card(champion, "old"), card(change), watched, **options)


def test_an_equal_challenger_is_promoted():
    decision = decided(lambda plain: None)

    assert (decision.promotes, decision.reason) == (True, Reason.NOT_WORSE)
    assert not any(comparison.worse for comparison in decision.comparisons)
    watched = [(c.test, c.figure) for c in decision.comparisons if c.watched]
    assert watched == [
        ("news", "F1 of Oil"), ("news", "recall of Oil"),
        ("news", "F1 of negative"), ("news", "recall of negative"),
        ("comments", "F1 of negative"), ("comments", "recall of negative"),
    ]  # fmt: skip


@pytest.mark.parametrize("figure", ["accuracy", "macro_f1"])
@pytest.mark.parametrize(("test", "index"), [("news", 0), ("news", 1), ("comments", 0)])
@pytest.mark.parametrize(
    ("value", "reason"),
    [(LOWEST, Reason.NOT_WORSE), (LOWEST - 1e-9, Reason.WORSE), (0.99, Reason.NOT_WORSE)],
)
def test_each_head_on_each_test_set_must_reach_the_champions_lower_bound(
    figure, test, index, value, reason
):
    decision = decided(lambda plain: plain["tests"][test][index].update({figure: value}))

    assert decision.reason is reason
    assert decision.promotes is (reason is Reason.NOT_WORSE)


@pytest.mark.parametrize(
    ("name", "index", "watched", "reason"),
    [
        ("Oil", 0, ("Oil",), Reason.WORSE_ON_WATCHED_CLASS),
        ("Gold", 0, ("Oil",), Reason.NOT_WORSE),
        ("negative", 1, (), Reason.WORSE_ON_WATCHED_CLASS),
        ("positive", 1, (), Reason.NOT_WORSE),
    ],
)
@pytest.mark.parametrize("figure", ["f1", "recall"])
def test_a_class_counts_by_itself_where_rules_watch_it(name, index, watched, reason, figure):
    def change(plain):
        plain["tests"]["news"][index]["classes"][name][figure] = 0.5

    assert decided(change, watched).reason is reason


@pytest.mark.parametrize(("figure", "least"), [("f1", LOWEST), ("recall", wilson_lower(0.9, 100))])
@pytest.mark.parametrize(("below", "promotes"), [(0.0, True), (1e-9, False)])
def test_a_watched_class_must_reach_its_lower_bound(figure, least, below, promotes):
    def change(plain):
        plain["tests"]["news"][0]["classes"]["Oil"][figure] = least - below

    assert decided(change).promotes is promotes


@pytest.mark.parametrize(
    ("share", "rows", "lower"), [(0.9, 100, 0.8256), (0.5, 10, 0.2366), (1, 20, 0.8389), (0, 5, 0)]
)
def test_wilsons_lower_bound_is_that_of_the_tables(share, rows, lower):
    assert wilson_lower(share, rows) == pytest.approx(lower, abs=5e-5)


def test_without_rows_a_share_may_be_anything():
    assert wilson_lower(0.9, 0) == 0


@pytest.mark.parametrize(
    ("ece", "champions", "reason"),
    [
        (0.05, 0.02, Reason.NOT_WORSE),
        (0.0501, 0.02, Reason.BADLY_CALIBRATED),
        (0.07, 0.08, Reason.NOT_WORSE),
        (0.081, 0.08, Reason.BADLY_CALIBRATED),
        (None, 0.02, Reason.NOT_WORSE),
        (0.06, None, Reason.BADLY_CALIBRATED),
    ],
)
def test_a_challenger_may_be_off_as_far_as_the_limit_or_the_champion(ece, champions, reason):
    def of(value):
        return lambda plain: plain["tests"]["comments"][0].update(ece=value)

    assert decided(of(ece), champion=of(champions)).reason is reason


def test_the_limit_of_the_calibration_error_can_be_set():
    assert decided(lambda _: None, calibration_limit=0.02).promotes
    assert decided(
        lambda plain: plain["tests"]["news"][0].update(ece=0.021), calibration_limit=0.02
    ).reason is Reason.BADLY_CALIBRATED  # fmt: skip


def fewer_rows(plain):
    plain["tests"]["news"][1]["rows"] = 499


def other_name(plain):
    plain["tests"]["other news"] = plain["tests"].pop("news")


def one_head(plain):
    del plain["tests"]["news"][0]


@pytest.mark.parametrize("change", [fewer_rows, other_name, one_head])
def test_other_test_sets_are_not_compared(change):
    decision = decided(change)

    assert (decision.reason, decision.comparisons) == (Reason.NOT_COMPARABLE, ())
    assert "'news'" in decision.objections[0].detail


def test_a_champion_without_test_sets_cannot_be_compared_with():
    assert decided(lambda _: None, champion=lambda p: p.update(tests={})).reason is (
        Reason.NOT_COMPARABLE
    )


def test_a_further_test_set_of_the_challengers_does_no_harm():
    assert decided(lambda p: p["tests"].update(own=[head("topic")])).promotes


def without_gold(plain):
    plain["labels"]["topics"] = ["Oil", "Silver"]


@pytest.mark.parametrize(
    ("watched", "reason"),
    [
        (("Gold",), Reason.WATCHED_TOPIC_GONE),
        (("Oil",), Reason.NOT_WORSE),
        (("Tin",), Reason.NOT_WORSE),
        (("Silver",), Reason.NOT_WORSE),
    ],
)
def test_a_watched_topic_that_the_champion_knew_must_not_go(watched, reason):
    assert decided(without_gold, watched).reason is reason


def no_classes(plain):
    for scores in plain["tests"].values():
        for score in scores:
            score["classes"] = {}


def no_interval(plain):
    plain["tests"]["news"][0]["classes"]["Oil"]["f1_interval"] = None


def no_rows(plain):
    plain["tests"]["news"][0]["classes"]["Oil"]["rows"] = 0


@pytest.mark.parametrize("champion", [no_classes, no_interval, no_rows])
def test_a_watched_class_that_no_test_measures_is_an_objection(champion):
    assert decided(lambda _: None, champion=champion).reason is Reason.NOT_MEASURED


def test_the_same_version_is_not_promoted_over_itself():
    assert decide(card(version="old"), card(version="old")).reason is Reason.SAME_VERSION


def test_every_objection_is_told():
    def change(plain):
        plain["tests"]["news"][0].update(accuracy=0.1, ece=0.5)
        plain["tests"]["comments"][0]["classes"]["negative"]["f1"] = 0.1

    reasons = [objection.reason for objection in decided(change).objections]

    assert reasons == [Reason.WORSE, Reason.WORSE_ON_WATCHED_CLASS, Reason.BADLY_CALIBRATED]


def test_a_card_is_read_with_all_that_it_says_beside(tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(CARD | {"rows": {"train": 1}}))

    assert read_card(tmp_path) == card(version="old")


def test_a_card_that_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(IncompleteWeightsError, match="has no card"):
        read_card(tmp_path)
    (tmp_path / "card.json").write_text('{"version": 3}')
    with pytest.raises(DamagedRegistryError, match=r"card\.json cannot be read"):
        read_card(tmp_path)
