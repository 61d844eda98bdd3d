import json
from collections import Counter

import numpy as np
import pytest

from classifier.continual.drift import (
    VOCABULARY,
    WORD_BINS,
    DriftError,
    Reference,
    make_reference,
    measure,
    words_of,
)
from classifier.continual.stability import Verdict
from classifier.labels import SENTIMENTS, Labels

LABELS = Labels(("Oil", "Gold", "Banks"))
WORDS = [f"w{'abcdefghij'[i // 10]}{'abcdefghij'[i % 10]}" for i in range(100)]
ROWS = 4000


def documents(rows, seed, topics=(0.5, 0.3, 0.2), sure=8.0, words=WORDS, felt=(0.2, 0.5, 0.3)):
    """Probabilities and texts drawn by chance; ``sure`` is how far the model commits itself."""
    chance = np.random.default_rng(seed)

    def of(shares):
        said = chance.choice(len(shares), rows, p=shares)
        logits = chance.normal(0, 1, (rows, len(shares))) + sure * np.eye(len(shares))[said]
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    texts = [" ".join(chance.choice(words, 8)) for _ in range(rows)]
    return of(topics), of(felt), texts


@pytest.fixture(scope="module")
def reference():
    return make_reference(*documents(ROWS, 1))


def measured(reference, rows=1000, seed=2, **options):
    return measure(reference, LABELS, *documents(rows, seed, **options))


@pytest.mark.parametrize("rows", [200, 1000])
@pytest.mark.parametrize("seed", range(2, 7))
def test_documents_like_those_of_the_reference_are_stable(reference, rows, seed):
    report = measured(reference, rows, seed)

    assert report.verdict is Verdict.STABLE
    assert report.new_words == ()
    assert report.documents == rows


def test_too_few_documents_get_no_verdict_whatever_they_are(reference):
    assert measured(reference, 199, topics=(0, 0, 1)).verdict is Verdict.TOO_FEW


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"topics": (0.1, 0.3, 0.6)}, "topics"),
        ({"felt": (0.7, 0.2, 0.1)}, "sentiments"),
        ({"sure": 2.0}, "topic confidence"),
        ({"words": WORDS[:30]}, "vocabulary"),
        ({"words": [*WORDS[:50], *(word + "x" for word in WORDS[50:])]}, "vocabulary"),
    ],
)
def test_each_kind_of_drift_shows_in_its_part(reference, change, part):
    report = measured(reference, **change)

    assert report.part(part).verdict is Verdict.DRIFTED
    assert report.verdict is Verdict.DRIFTED


def test_the_classes_that_moved_most_come_first(reference):
    report = measured(reference, topics=(0.5, 0.05, 0.45))

    first, second, *_ = report.moved
    assert [(move.head, move.name) for move in (first, second)] == [
        ("topic", "Gold"),
        ("topic", "Banks"),
    ]
    assert first.before == pytest.approx(0.3, abs=0.02)
    assert first.now == pytest.approx(0.05, abs=0.02)


def test_words_that_became_frequent_are_told(reference):
    topics, sentiments, texts = documents(1000, 2)
    texts[:40] = [f"{text} tariff" for text in texts[:40]]
    texts[:9] = [f"{text} rarely" for text in texts[:9]]

    report = measure(reference, LABELS, topics, sentiments, texts)

    assert [(new.word, new.share) for new in report.new_words] == [("tariff", 0.04)]
    assert report.other_words[0] == 0
    assert report.other_words[1] > 0


@pytest.mark.parametrize(("texts", "told"), [(9, False), (10, True)])
def test_a_new_word_is_told_from_one_text_in_a_hundred_on(reference, texts, told):
    *probabilities, content = documents(1000, 2)
    content[:texts] = [f"{text} tariff" for text in content[:texts]]

    assert bool(measure(reference, LABELS, *probabilities, content).new_words) is told


def test_a_word_counts_once_a_text():
    assert words_of("Oil, OIL and oil's rise") == {"oil", "and", "oil's", "rise"}


def test_links_handles_and_figures_are_no_words():
    assert words_of("$AAPL up 3.5% @someone https://t.co/Ab1 www.x.org Q3") == {"aapl", "up", "q"}


def test_a_reference_survives_the_card(reference):
    again = Reference.from_json(json.loads(json.dumps(reference.as_json())))

    assert again == reference
    assert len(reference.words) == WORD_BINS + 1
    assert sum(reference.topics) == sum(reference.topic_confidence) == ROWS


def test_a_reference_keeps_the_most_frequent_words_only():
    words = ["a" + "".join("abcdefghij"[int(d)] for d in str(i)) for i in range(VOCABULARY + 50)]
    texts = [*words, *words[:VOCABULARY]]
    rows = len(texts)

    made = make_reference(np.full((rows, 3), 1 / 3), np.full((rows, 3), 1 / 3), texts)

    assert set(made.vocabulary) == set(words[:VOCABULARY])
    assert made.words[-1] == 50


def test_confidence_that_is_always_the_same_makes_one_boundary():
    rows = 300
    same = np.tile([0.9, 0.06, 0.04], (rows, 1))
    made = make_reference(same, same, ["text"] * rows)

    assert made.topic_edges == (0.9,)
    assert made.topic_confidence == (0, rows)
    assert measure(made, LABELS, same, same, ["text"] * rows).verdict is Verdict.STABLE


@pytest.mark.parametrize("missing", [None, {}, {"documents": 3}, [], "text"])
def test_a_missing_or_damaged_reference_is_an_error_that_says_so(missing):
    with pytest.raises(DriftError, match=r"no drift reference|is damaged"):
        Reference.from_json(missing)


@pytest.mark.parametrize("name", ["words", "topic_confidence", "sentiment_edges"])
def test_bins_that_do_not_fit_are_damage(reference, name):
    plain = reference.as_json()

    with pytest.raises(DriftError, match="is damaged"):
        Reference.from_json(plain | {name: plain[name][1:]})


def test_a_reference_of_other_labels_is_not_compared_with(reference):
    with pytest.raises(DriftError, match=r"3 topics .* the model 2"):
        measure(reference, Labels(("Oil", "Gold")), *documents(300, 2))


def test_no_texts_make_no_reference_and_no_drift(reference):
    nothing = np.zeros((0, 3))
    with pytest.raises(DriftError, match="of no texts"):
        make_reference(nothing, nothing, [])

    report = measure(reference, LABELS, nothing, nothing, [])

    assert (report.verdict, report.documents) == (Verdict.TOO_FEW, 0)
    assert {part.verdict for part in report.parts} == {Verdict.TOO_FEW}
    plain = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert {part["psi"] for part in plain["parts"]} == {None}


def test_rows_and_texts_must_go_in_step():
    with pytest.raises(ValueError, match="one row of probabilities"):
        make_reference(np.zeros((2, 3)), np.zeros((3, 3)), ["a", "b"])


def test_a_report_is_plain_data(reference):
    plain = json.loads(json.dumps(measured(reference, topics=(0.1, 0.1, 0.8)).as_json()))

    assert plain["verdict"] == "drifted"
    assert Counter(part["verdict"] for part in plain["parts"])["drifted"] == 1
    assert plain["moved"][0]["name"] == "Banks"
    assert SENTIMENTS[0] not in {move["name"] for move in plain["moved"][:2]}
