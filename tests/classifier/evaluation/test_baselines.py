import numpy as np
import pytest

from classifier.data.datasets import Example
from classifier.evaluation.baselines import LinearBaseline, MajorityBaseline
from classifier.evaluation.scores import evaluate
from classifier.labels import SENTIMENTS, Labels

LABELS = Labels(("Oil", "Gold", "Bank", "Never seen"), SENTIMENTS)
FILLERS = ("the", "report", "of", "today", "says", "people", "market", "week")
NOUNS, VERBS = ("crude barrels", "bullion ounces", "lender deposits"), ("sinks", "waits", "soars")


def examples_of(count, seed, sentiment=True, wrong=0.0):
    """Texts in which single words decide; of a share of ``wrong`` the labels are drawn."""
    chance = np.random.default_rng(seed)
    examples = []
    for _ in range(count):
        topic, feeling = chance.integers(0, 3, 2)
        words = [*chance.choice(FILLERS, 6), NOUNS[topic], VERBS[feeling]]
        chance.shuffle(words)
        if chance.random() < wrong:
            topic, feeling = chance.integers(0, 3, 2)
        labels = {"sentiment": int(feeling)} if sentiment else {}
        examples.append(Example(" ".join(words), topic=int(topic), **labels))
    return examples


TRAIN, TEST = examples_of(400, 1), examples_of(150, 2)


@pytest.fixture(scope="module")
def linear():
    return LinearBaseline(TRAIN, LABELS)


def test_the_majority_baseline_says_how_common_each_class_is():
    examples = [Example("a", topic=1), Example("b", topic=1), Example("c", topic=0)]

    topics, _ = MajorityBaseline(examples, LABELS).probabilities(["x", "y"])

    assert topics.tolist() == pytest.approx(np.array([[2, 3, 1, 1], [2, 3, 1, 1]]) / 7)


def test_the_majority_baseline_has_the_accuracy_of_the_commonest_class():
    train = [Example("a", topic=1), Example("b", topic=1), Example("c", topic=0)]

    (score,) = evaluate(MajorityBaseline(train, LABELS), [Example("x", 0), Example("y", 1)])

    assert score.accuracy == score.majority_accuracy == 0.5


def test_the_linear_baseline_learns_which_words_decide(linear):
    found = {score.head: score for score in evaluate(linear, TEST)}

    assert found["topic"].accuracy > 0.95
    assert found["sentiment"].accuracy > 0.95


def test_its_probabilities_add_up_to_one(linear):
    for shares in linear.probabilities([e.text for e in TEST]):
        assert shares.sum(axis=1) == pytest.approx(np.ones(len(TEST)))
        assert (shares >= 0).all()


def test_its_probabilities_mean_what_they_say(linear):
    for score in evaluate(linear, TEST):
        # The margins lie between -1 and 1; taken for logits they would say 0.7 of a sure thing.
        assert score.ece < 0.1


def test_a_class_without_rows_is_hardly_likely(linear):
    topics, _ = linear.probabilities(["crude barrels sinks"])

    assert topics[0, 0] > 0.7
    assert topics[0, 3] < 0.1


@pytest.mark.parametrize("baseline", [MajorityBaseline, LinearBaseline])
def test_a_head_without_labelled_rows_has_no_score(baseline):
    fitted = baseline(examples_of(60, 5, sentiment=False), LABELS)

    assert {score.head for score in evaluate(fitted, TEST)} == {"topic"}
    assert np.isnan(fitted.probabilities(["x"])[1]).all()


@pytest.mark.parametrize("classes", [1, 2])
def test_few_classes_will_do(classes):
    rows = [e for e in TRAIN if e.topic < classes]

    topics, _ = LinearBaseline(rows, LABELS).probabilities([e.text for e in rows])

    said = topics.argmax(axis=1)
    assert (said == [e.topic for e in rows]).mean() > 0.95


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_rows_will_do(count):
    topics, sentiments = LinearBaseline(TRAIN[:count], LABELS).probabilities(["crude barrels"])

    assert np.isfinite(topics).all()
    assert np.isfinite(sentiments).all()


def test_the_same_rows_make_the_same_baseline(linear):
    texts = [e.text for e in TEST[:20]]

    again = LinearBaseline(TRAIN, LABELS)

    for one, other in zip(linear.probabilities(texts), again.probabilities(texts), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize("text", ["", " ", "\U0001f680", "word " * 20_000])
def test_odd_texts_have_probabilities_too(linear, text):
    topics, sentiments = linear.probabilities([text])

    assert np.isfinite(topics).all()
    assert np.isfinite(sentiments).all()


def test_no_texts_have_no_probabilities(linear):
    topics, sentiments = linear.probabilities([])

    assert (topics.shape, sentiments.shape) == ((0, 4), (0, 3))
