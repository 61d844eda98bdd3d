"""What teachers are asked, and what becomes of their answers."""

import numpy as np
import pytest
from support.tiny_weights import write_weights

from classifier.data.datasets import Example, Splits, normal_form
from classifier.engine import Engine
from classifier.labels import SENTIMENTS, Labels
from classifier.recipe import DistilRecipe
from classifier.training.distillation import TeacherError, ask_teachers, gather_texts

WORDS = {"Oil": "barrel", "Bank": "loan"}
FEELINGS = {"negative": "falls", "positive": "rises"}
LABELS = Labels(tuple(WORDS), SENTIMENTS)
EXAMPLES = [Example(f"the {w} {f} today") for w in WORDS.values() for f in FEELINGS.values()]
TRAIN = [
    Example(f"the report of week {i} says that Big Oil falls today", topic=0) for i in range(9)
]
HELD_OUT = "people at the market hold loans in every week of the year"


def gathered(texts=(), **given):
    splits = Splits(TRAIN, [], {}, frozenset({normal_form(HELD_OUT)}))
    chosen = {"augmented": 0, "written": 0, **given}
    return gather_texts(splits, texts, DistilRecipe(teachers=("t",), **chosen))


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teachers")
    return [write_weights(folder / str(seed), WORDS, FEELINGS, seed) for seed in (1, 2)]


def test_labelled_rows_come_first_and_as_often_as_told():
    assert gathered(labelled_repeats=2) == [*TRAIN, *TRAIN]


def test_unlabelled_texts_join_once_and_none_that_is_known_or_held_out():
    known = TRAIN[0].text.upper() + " https://t.co/x"

    found = gathered(["new text", "New  text", known, HELD_OUT, "http://only.link", "other text"])

    assert found == [*TRAIN, Example("new text"), Example("other text")]


def test_so_many_unlabelled_texts_are_drawn():
    texts = [f"text {i}" for i in range(30)]

    drawn = [e.text for e in gathered(texts, unlabelled=7)[len(TRAIN) :]]

    assert len(set(drawn)) == 7
    assert set(drawn) < set(texts)
    assert drawn == [e.text for e in gathered(texts, unlabelled=7)[len(TRAIN) :]]


def test_made_and_written_texts_are_unlabelled_and_new():
    found = gathered(augmented=12, written=40)[len(TRAIN) :]

    forms = [normal_form(example.text) for example in found]
    assert len(set(forms)) == len(forms) > 40
    assert not {*forms} & {normal_form(e.text) for e in TRAIN}
    assert {(e.topic, e.sentiment) for e in found} == {(-100, -100)}


def test_the_answer_of_one_teacher_is_its_probabilities(teachers, tmp_path):
    soft = ask_teachers(teachers[:1], EXAMPLES, LABELS, tmp_path)

    topic, sentiment = Engine(teachers[0]).probabilities([e.text for e in EXAMPLES])
    assert np.exp(soft.topic.astype(float)) == pytest.approx(topic, abs=5e-3)
    assert np.exp(soft.sentiment.astype(float)) == pytest.approx(sentiment, abs=5e-3)


def test_the_answer_of_two_is_the_mean_and_the_vectors_are_the_firsts(teachers, tmp_path):
    texts = [e.text for e in EXAMPLES]
    each = [Engine(folder).probabilities(texts)[0] for folder in teachers]

    both = ask_teachers(teachers, EXAMPLES, LABELS, tmp_path)
    first = ask_teachers(teachers[:1], EXAMPLES, LABELS, tmp_path)

    assert np.exp(both.topic.astype(float)) == pytest.approx(np.mean(each, axis=0), abs=5e-3)
    assert np.array_equal(both.vectors, first.vectors)


def test_vectors_are_told_apart_by_their_difference_from_the_mean(teachers, tmp_path):
    vectors = ask_teachers(teachers[:1], EXAMPLES, LABELS, tmp_path).vectors.astype(float)

    assert vectors.shape == (len(EXAMPLES), 32)
    assert vectors.mean(axis=0) == pytest.approx(np.zeros(32), abs=2e-3)
    assert np.abs(vectors).max() > 0.1


def test_a_teacher_is_not_asked_again_after_a_kill(teachers, tmp_path):
    first = ask_teachers(teachers[:1], EXAMPLES, LABELS, tmp_path)
    (kept,) = tmp_path.glob("teacher-*.npz")
    written = kept.stat().st_mtime_ns

    again = ask_teachers(teachers[:1], EXAMPLES, LABELS, tmp_path)
    ask_teachers(teachers[:1], EXAMPLES[1:], LABELS, tmp_path)

    assert kept.stat().st_mtime_ns == written
    assert np.array_equal(first.topic, again.topic)
    assert len([*tmp_path.glob("teacher-*.npz")]) == 2, "other texts are another question"


def test_progress_counts_the_texts_of_all_teachers(teachers, tmp_path):
    told = []

    ask_teachers(teachers, EXAMPLES, LABELS, tmp_path, lambda *step: told.append(step))

    assert told[-1] == (8, 8)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_teacher_of_other_labels_is_told(teachers, tmp_path):
    with pytest.raises(TeacherError, match="knows other labels than the student"):
        ask_teachers(teachers, EXAMPLES, Labels(("Oil", "Gold"), SENTIMENTS), tmp_path)
