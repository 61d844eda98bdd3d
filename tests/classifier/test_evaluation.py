import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from classifier.datasets import Example
from classifier.evaluation import as_json, evaluate, macro_f1
from classifier.labels import Labels

LABELS = Labels(("Macro", "Oil", "Gold"))


class Oracle:
    """An engine that says what it was told to say of each text."""

    labels = LABELS
    version = "oracle"

    def __init__(self, said):
        self._said = said

    def probabilities(self, texts):
        said = [self._said[text] for text in texts]
        return tuple(
            np.eye(len(names))[[row[head] for row in said]]
            for head, names in enumerate((LABELS.topics, LABELS.sentiments))
        )


def scores_of(*rows):
    """The scores of (topic, sentiment, said topic, said sentiment), by head."""
    examples = [
        Example(str(i), **{
            name: label
            for name, label in (("topic", topic), ("sentiment", sentiment))
            if label is not None
        })
        for i, (topic, sentiment, _, _) in enumerate(rows)
    ]  # fmt: skip
    oracle = Oracle({str(i): row[2:] for i, row in enumerate(rows)})
    return {score.head: score for score in evaluate(oracle, examples)}


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


@pytest.mark.parametrize(
    ("row", "head"), [((0, None, 0, 0), "topic"), ((None, 0, 0, 0), "sentiment")]
)
def test_a_head_without_a_label_has_no_score(row, head):
    assert set(scores_of(row)) == {head}


def test_no_examples_have_no_scores():
    assert evaluate(Oracle({}), []) == []


def test_the_intervals_hold_the_score_and_narrow_with_more_rows():
    def interval(count):
        found = scores_of(*((i % 3, None, i % 3 if i % 5 else 0, 0) for i in range(count)))
        score = found["topic"]
        for low, value, high in (
            (*score.accuracy_interval, score.accuracy),
            (*score.macro_f1_interval, score.macro_f1),
        ):
            assert low <= high <= 1
            assert low >= 0
            assert value is not None
        low, high = score.accuracy_interval
        assert low <= score.accuracy <= high
        low, high = score.macro_f1_interval
        assert low <= score.macro_f1 <= high
        return score.accuracy_interval

    (low, high), (narrow_low, narrow_high) = interval(30), interval(600)

    assert narrow_high - narrow_low < high - low


def test_what_is_always_right_has_no_doubt():
    score = scores_of(*((i % 3, None, i % 3, 0) for i in range(30)))["topic"]

    assert (score.accuracy, score.accuracy_interval) == (1.0, (1.0, 1.0))
    assert (score.macro_f1, score.macro_f1_interval) == (1.0, (1.0, 1.0))


def test_the_same_examples_have_the_same_scores():
    rows = [(i % 3, i % 2, (i * 7) % 3, 0) for i in range(50)]

    assert scores_of(*rows) == scores_of(*rows)


def test_the_scores_are_plain_data_for_programs():
    found = scores_of((0, None, 0, 0), (1, None, 0, 0))

    (row,) = json.loads(json.dumps(as_json({"set": list(found.values())})))["set"]
    assert (row["head"], row["rows"], row["accuracy"]) == ("topic", 2, 0.5)
    assert len(row["macro_f1_interval"]) == 2
