import numpy as np
import pytest

from classifier.data.datasets import DatasetError, Example
from classifier.evaluation.contest import Contest, check_tests, without_leaks
from classifier.evaluation.scores import evaluate
from classifier.labels import Labels

LABELS = Labels(("Oil", "Gold", "Bank"))
ROWS = [Example(f"text {i}", topic=i % 3, sentiment=i % 2) for i in range(30)]
TESTS = {"all": ROWS, "some": ROWS[:12], "topics": [Example("more", topic=1), Example("text 3", 2)]}


class Sayer:
    """A classifier that is right where ``right`` accepts a text's number; notes what is asked."""

    labels = LABELS

    def __init__(self, version, right):
        self.version = version
        self.asked = []
        self._right = right

    def probabilities(self, texts):
        self.asked += texts
        numbers = [int(text.split()[-1]) if text != "more" else 1 for text in texts]
        topics = [(n if self._right(n) else n + 1) % 3 for n in numbers]
        sentiments = [n % 2 for n in numbers]
        return np.eye(3)[topics] * 0.7 + 0.1, np.eye(3)[sentiments] * 0.7 + 0.1


def test_each_text_is_asked_for_once_however_many_sets_hold_it():
    sayer = Sayer("one", lambda n: True)
    told = []

    Contest(LABELS, TESTS).enter(sayer, told.append)

    assert sayer.asked == [*(e.text for e in ROWS), "more"]
    assert sum(told) == 31


def test_every_set_has_the_scores_that_it_would_have_alone():
    sayer = Sayer("one", lambda n: n % 4)

    entry = Contest(LABELS, TESTS).enter(sayer)

    assert entry.version == "one"
    assert entry.scores == {name: evaluate(sayer, rows) for name, rows in TESTS.items()}
    assert entry.differences == {}
    assert [score.head for score in entry.scores["topics"]] == ["topic"]


def test_the_reliability_is_that_of_the_labelled_rows():
    entry = Contest(LABELS, TESTS).enter(Sayer("one", lambda n: n % 4))

    for name, of_set in entry.scores.items():
        for score in of_set:
            found = entry.reliabilities[name][score.head]
            assert (found.rows, found.ece) == (score.rows, pytest.approx(score.ece))


def test_all_are_compared_with_the_first():
    contest = Contest(LABELS, TESTS)
    first, second, third = (
        contest.enter(Sayer(name, right))
        for name, right in (
            ("good", lambda n: n % 5),
            ("same", lambda n: n % 5),
            ("bad", lambda n: n % 2),
        )
    )

    def change(entry):
        return next(d for d in entry.differences["all"] if d.head == "topic").accuracy

    assert change(second).value == 0
    assert change(third).value == pytest.approx(
        third.scores["all"][0].accuracy - first.scores["all"][0].accuracy
    )
    assert change(third).interval[1] < 0.05


def test_the_heads_are_those_with_a_label():
    assert Contest(LABELS, TESTS).heads == ["topic", "sentiment"]
    assert Contest(LABELS, {"topics": TESTS["topics"]}).heads == ["topic"]
    assert Contest(LABELS, TESTS).texts_with("sentiment") == [e.text for e in ROWS]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([Example("a", topic=1), Example("b", topic=1)], "every topic is 'Gold'.*--topic-column"),
        ([Example("a", 0, 2), Example("b", 1, 2)], "every sentiment is 'positive'"),
    ],
)
def test_a_set_of_one_class_is_an_error(rows, message):
    with pytest.raises(DatasetError, match=message):
        check_tests({"a file": rows}, LABELS)


def test_a_head_without_labels_is_no_error():
    check_tests(TESTS, LABELS)

    assert len(TESTS["topics"]) == 2


def test_no_training_row_repeats_a_row_to_judge():
    train = [Example("TEXT  3"), Example("more https://x.test/a"), Example("new")]

    assert without_leaks(train, TESTS) == [Example("new")]
