import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_fscore_support

from classifier.data.datasets import DatasetError, Example
from classifier.evaluation.scores import SLICE, as_json, compare, evaluate, macro_f1, score_head
from classifier.labels import Labels

LABELS = Labels(("Macro", "Oil", "Gold"))


class Oracle:
    """A classifier that says what it was told to say of each text, as sure as it was told."""

    labels = LABELS
    version = "oracle"

    def __init__(self, said, sure=1.0):
        self._said = said
        self._sure = sure

    def probabilities(self, texts):
        return tuple(
            np.array([self._of(self._said[text][head], 3) for text in texts]).reshape(-1, 3)
            for head in (0, 1)
        )

    def _of(self, said, size):
        if said is None:
            return np.full(size, np.nan)
        rest = (1 - self._sure) / (size - 1)
        return np.where(np.arange(size) == said, self._sure, rest)


def examples_of(*rows):
    """Examples of (topic, sentiment, ...), None for no label, each named by its number."""
    return [
        Example(
            str(i),
            **{
                name: label
                for name, label in zip(("topic", "sentiment"), row, strict=False)
                if label is not None
            },
        )
        for i, row in enumerate(rows)
    ]


def scores_of(*rows, sure=1.0):
    """The scores of (topic, sentiment, said topic, said sentiment), by head."""
    oracle = Oracle({str(i): row[2:] for i, row in enumerate(rows)}, sure)
    return {score.head: score for score in evaluate(oracle, examples_of(*rows))}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (7, 3), (200, 3), (500, 20)])
def test_the_macro_f1_is_that_of_scikit_learn(rows, classes, seed):
    chance = np.random.default_rng(seed)
    target, said = chance.integers(0, classes, (2, rows))
    said = np.where(chance.random(rows) < 0.5, target, said)

    assert macro_f1(target, said) == pytest.approx(f1_score(target, said, average="macro"))


@pytest.mark.parametrize(
    ("target", "said", "expected"),
    [
        ([0, 1, 2], [0, 1, 2], 1.0),
        ([0, 1], [1, 0], 0.0),
        ([0, 0, 1, 1], [0, 0, 0, 0], (2 / 3 + 0) / 2),
        ([0, 0], [0, 2], (2 / 3 + 0) / 2),
        ([5], [5], 1.0),
        ([], [], 0.0),
    ],
)
def test_the_macro_f1_is_the_mean_over_the_classes_that_occur(target, said, expected):
    arrays = (np.array(column, dtype=np.int64) for column in (target, said))

    assert macro_f1(*arrays) == pytest.approx(expected)


def test_each_head_is_scored_on_the_rows_that_carry_its_label():
    found = scores_of(
        (0, None, 0, 2),
        (1, None, 0, 2),
        (1, 2, 1, 2),
        (None, 0, 2, 2),
        (None, 0, 2, 0),
        (None, 2, 2, 2),
        (None, 1, 2, 0),
    )

    topic, sentiment = found["topic"], found["sentiment"]
    assert (topic.rows, topic.accuracy, topic.majority_accuracy) == (3, 2 / 3, 2 / 3)
    assert topic.macro_f1 == pytest.approx(2 / 3)
    assert (sentiment.rows, sentiment.accuracy, sentiment.majority_accuracy) == (5, 0.6, 0.4)
    assert sentiment.macro_f1 == pytest.approx((1 / 2 + 0 + 4 / 5) / 3)


def test_every_class_that_occurs_has_its_precision_and_recall():
    score = scores_of(
        (0, None, 0, 0), (0, None, 0, 0), (0, None, 2, 0), (2, None, 0, 0)
    )["topic"]  # fmt: skip

    assert list(score.classes) == ["Macro", "Gold"]
    macro, gold = score.classes["Macro"], score.classes["Gold"]
    assert (macro.precision, macro.recall, macro.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (macro.rows, macro.predicted) == (3, 3)
    assert (gold.precision, gold.recall, gold.f1, gold.rows, gold.predicted) == (0, 0, 0, 1, 1)
    assert score.names == LABELS.topics
    assert score.confusion == ((2, 0, 1), (0, 0, 0), (1, 0, 0))


def test_the_figures_of_the_classes_are_those_of_scikit_learn():
    chance = np.random.default_rng(3)
    target, said = chance.integers(0, 6, (2, 300))
    probabilities = np.eye(6)[said] * 0.7 + 0.05

    score = score_head("topic", list("abcdef"), target, probabilities)

    expected = precision_recall_fscore_support(target, said)
    for name, *figures in zip("abcdef", *expected, strict=True):
        found = score.classes[name]
        assert [found.precision, found.recall, found.f1, found.rows] == pytest.approx(figures)


def test_the_errors_of_the_probabilities_are_those_worked_out_by_hand():
    score = scores_of(
        (0, None, 0, 0), (1, None, 1, 0), (2, None, 2, 0), (2, None, 0, 0), sure=0.9
    )["topic"]  # fmt: skip

    assert score.ece == pytest.approx(0.9 - 0.75)
    assert score.adaptive_ece == pytest.approx(0.9 - 0.75)
    right, wrong = 0.1**2 + 2 * 0.05**2, 0.9**2 + 0.95**2 + 0.05**2
    assert score.brier == pytest.approx((3 * right + wrong) / 4)
    assert score.nll == pytest.approx(-(3 * np.log(0.9) + np.log(0.05)) / 4)


def test_a_certain_error_has_a_finite_likelihood():
    assert scores_of((0, None, 1, 0), (1, None, 1, 0))["topic"].nll < 20


@pytest.mark.parametrize(
    ("row", "head"), [((0, None, 0, 0), "topic"), ((None, 0, 0, 0), "sentiment")]
)
def test_a_head_without_a_label_has_no_score(row, head):
    assert set(scores_of(row)) == {head}


def test_a_head_that_the_classifier_lacks_has_no_score():
    assert set(scores_of((0, 1, None, 1), (1, 2, None, 0))) == {"sentiment"}


def test_no_examples_have_no_scores():
    assert evaluate(Oracle({}), []) == []


def test_a_class_that_the_classifier_does_not_know_is_an_error():
    with pytest.raises(DatasetError, match="class number 3, but there are only 3"):
        scores_of((3, None, 0, 0))


def test_texts_are_asked_for_in_slices_and_progress_tells_of_each():
    rows = [(i % 3, None, i % 3, 0) for i in range(SLICE + 5)]
    told = []

    (score,) = evaluate(
        Oracle({str(i): row[2:] for i, row in enumerate(rows)}),
        examples_of(*rows),
        advance=told.append,
    )

    assert told == [SLICE, 5]
    assert (score.rows, score.accuracy) == (SLICE + 5, 1.0)


def test_the_intervals_hold_the_score_and_narrow_with_more_rows():
    def interval(count):
        found = scores_of(*((i % 3, None, i % 3 if i % 5 else 0, 0) for i in range(count)))
        score = found["topic"]
        measured = (
            (*score.accuracy_interval, score.accuracy),
            (*score.macro_f1_interval, score.macro_f1),
            *((*c.f1_interval, c.f1) for c in score.classes.values()),
        )
        for low, high, value in measured:
            assert 0 <= low <= value <= high <= 1
        return score.accuracy_interval

    (low, high), (narrow_low, narrow_high) = interval(30), interval(600)

    assert narrow_high - narrow_low < high - low


def test_the_interval_is_that_of_a_bootstrap_row_by_row():
    chance = np.random.default_rng(5)
    target = chance.integers(0, 4, 400)
    said = np.where(chance.random(400) < 0.8, target, chance.integers(0, 4, 400))

    score = score_head("topic", list("abcd"), target, np.eye(4)[said])

    draws = chance.integers(0, 400, (2000, 400))
    accuracies = (target == said)[draws].mean(axis=1)
    scores = [macro_f1(target[d], said[d]) for d in draws]
    for found, drawn in ((score.accuracy_interval, accuracies), (score.macro_f1_interval, scores)):
        assert found == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.012)


def test_what_is_always_right_has_no_doubt():
    score = scores_of(*((i % 3, None, i % 3, 0) for i in range(30)))["topic"]

    assert (score.accuracy, score.accuracy_interval) == (1.0, (1.0, 1.0))
    assert (score.macro_f1, score.macro_f1_interval) == (1.0, (1.0, 1.0))
    assert (score.ece, score.ece_interval) == (0.0, (0.0, 0.0))


def test_the_same_examples_have_the_same_scores():
    rows = [(i % 3, i % 2, (i * 7) % 3, 0) for i in range(50)]

    assert scores_of(*rows) == scores_of(*rows)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_the_order_of_the_rows_does_not_matter(pairs, seed):
    target, said = np.array(pairs).T
    probabilities = np.eye(3)[said] * 0.5 + 1 / 6
    order = np.random.default_rng(seed).permutation(len(pairs))

    score, other = (
        score_head("topic", LABELS.topics, target[rows], probabilities[rows])
        for rows in (np.arange(len(pairs)), order)
    )

    assert score.confusion == other.confusion
    assert score.accuracy_interval == other.accuracy_interval
    assert score.macro_f1_interval == other.macro_f1_interval
    assert (score.ece, score.adaptive_ece) == pytest.approx((other.ece, other.adaptive_ece))


def compared(*rows):
    """The difference of topics of (topic, said by one, said by the other)."""
    one, other = (Oracle({str(i): (row[k], 0) for i, row in enumerate(rows)}) for k in (1, 2))
    (found,) = compare(one, other, examples_of(*((row[0],) for row in rows)))
    return found


def test_a_classifier_does_not_differ_from_itself():
    found = compared(*((i % 3, i * 7 % 3, i * 7 % 3) for i in range(60)))

    assert (found.accuracy.value, found.accuracy.interval) == (0.0, (0.0, 0.0))
    assert (found.macro_f1.value, found.macro_f1.interval) == (0.0, (0.0, 0.0))
    assert {c.interval for c in found.classes.values()} == {(0.0, 0.0)}


def test_the_difference_is_that_of_the_two_scores():
    rows = [(i % 3, i % 3 if i % 10 else 0, i % 3 or 1) for i in range(90)]

    found = compared(*rows)

    one, other = (scores_of(*((row[0], None, row[k], 0) for row in rows))["topic"] for k in (1, 2))
    assert found.rows == 90
    assert found.accuracy.value == pytest.approx(one.accuracy - other.accuracy)
    assert found.macro_f1.value == pytest.approx(one.macro_f1 - other.macro_f1)
    for name, change in found.classes.items():
        theirs = other.classes[name].f1 if name in other.classes else 0.0
        assert change.value == pytest.approx(one.classes[name].f1 - theirs)
    assert found.macro_f1.interval[0] > 0


def test_pairs_tell_apart_what_two_intervals_would_not():
    # Of 200 rows both miss 40; one is right of 10 more than the other, and never wrong alone.
    rows = [(i % 2, i % 2 if i >= 40 else 2, i % 2 if i >= 50 else 2) for i in range(200)]

    found = compared(*rows)

    assert found.accuracy.value == pytest.approx(0.05)
    assert found.accuracy.interval[0] > 0
    one, other = (scores_of(*((row[0], None, row[k], 0) for row in rows))["topic"] for k in (1, 2))
    assert one.accuracy_interval[0] < other.accuracy_interval[1]


def test_classifiers_of_other_classes_are_not_compared():
    other = Oracle({})
    other.labels = Labels(("Sport",))

    with pytest.raises(DatasetError, match="different classes"):
        compare(Oracle({}), other, [])


def test_the_scores_are_plain_data_for_programs():
    found = scores_of((0, None, 0, 0), (1, None, 0, 0))

    (row,) = json.loads(json.dumps(as_json({"set": list(found.values())})))["set"]
    assert (row["head"], row["rows"], row["accuracy"]) == ("topic", 2, 0.5)
    assert len(row["macro_f1_interval"]) == 2
    assert row["classes"]["Oil"]["recall"] == 0
