"""What teachers are asked, and what becomes of their answers."""

import random
from dataclasses import replace

import numpy as np
import pytest
from support.tiny_weights import write_weights

from classifier.data.datasets import DatasetError, Example, Splits, distinct, normal_form
from classifier.engine import Engine
from classifier.labels import SENTIMENTS, UNLABELLED, UNSORTED, Labels
from classifier.recipe import DistilRecipe, Teacher
from classifier.training.distillation import TeacherError, ask_teachers, gather_texts
from classifier.training.writing import write_sentences

WORDS = {"Oil": "barrel", "Bank": "loan"}
FEELINGS = {"negative": "falls", "positive": "rises"}
LABELS = Labels(tuple(WORDS), SENTIMENTS)
EXAMPLES = [Example(f"the {w} {f} today") for w in WORDS.values() for f in FEELINGS.values()]
TRAIN = [
    Example(f"the report of week {i} says that Big Oil falls today", topic=0, source="tweets")
    for i in range(9)
]
HELD_OUT = "people at the market hold loans in every week of the year"


def gathered(texts=(), train=TRAIN, **given):
    splits = Splits(list(train), [], {}, frozenset({normal_form(HELD_OUT)}))
    chosen = {"augmented": 0, "written": 0, **given}
    unlabelled = [text if isinstance(text, Example) else Example(text) for text in texts]
    return gather_texts(splits, unlabelled, DistilRecipe(teachers=("t",), **chosen))


OTHER_WORDS = {"Oil": "loan", "Bank": "barrel"}
OTHER_FEELINGS = {"negative": "rises", "positive": "falls"}
CALM_FEELINGS = {"neutral": "falls", "positive": "rises"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Weights that learned different things: two for everything, the third for some sets."""
    folder = tmp_path_factory.mktemp("teachers")
    learned = ((WORDS, FEELINGS), (OTHER_WORDS, OTHER_FEELINGS), (OTHER_WORDS, CALM_FEELINGS))
    return [
        write_weights(folder / str(number), *words, seed=number)
        for number, words in enumerate(learned, start=1)
    ]


@pytest.fixture(scope="module")
def teachers(folders):
    return [Teacher(weights=folder) for folder in folders[:2]]


@pytest.fixture(scope="module")
def unsorted(tmp_path_factory):
    """Weights that were told no topic."""
    folder = tmp_path_factory.mktemp("unsorted") / "weights"
    return write_weights(folder, {UNSORTED: "week"}, CALM_FEELINGS, 4)


def test_labelled_rows_come_first_and_as_often_as_told():
    assert gathered(labelled_repeats=2) == [*TRAIN, *TRAIN]


def test_unlabelled_texts_join_once_and_none_that_is_known_or_held_out():
    known = TRAIN[0].text.upper() + " https://t.co/x"

    found = gathered(["new text", "New  text", known, HELD_OUT, "http://only.link", "other text"])

    assert found == [*TRAIN, Example("new text"), Example("other text")]


def test_unlabelled_texts_keep_their_sources():
    found = gathered([Example("new text", source="tweets"), Example("other", source="stocknet")])

    assert [e.source for e in found] == ["tweets"] * len(TRAIN) + ["tweets", "stocknet"]


def test_so_many_unlabelled_texts_are_drawn():
    texts = [f"text {i}" for i in range(30)]

    drawn = [e.text for e in gathered(texts, unlabelled=7)[len(TRAIN) :]]

    assert len(set(drawn)) == 7
    assert set(drawn) < set(texts)
    assert drawn == [e.text for e in gathered(texts, unlabelled=7)[len(TRAIN) :]]


def test_made_and_written_texts_are_new_and_say_where_they_are_from():
    found = gathered(augmented=12, written=40)[len(TRAIN) :]

    forms = [normal_form(example.text) for example in found]
    assert len(set(forms)) == len(forms) > 40
    assert not {*forms} & {normal_form(e.text) for e in TRAIN}
    assert {e.source for e in found} == {"tweets", "written"}


def test_made_texts_are_unlabelled_and_written_ones_carry_the_label_they_were_written_with():
    found = gathered(augmented=12, written=400)[len(TRAIN) :]

    made = [e for e in found if e.source == "tweets"]
    written = [e for e in found if e.source == "written"]
    assert {(e.topic, e.sentiment) for e in made} == {(UNLABELLED, UNLABELLED)}
    assert {e.topic for e in written} == {UNLABELLED}
    assert {e.sentiment for e in written} == {0, 1, 2, UNLABELLED}


def test_a_written_text_that_is_known_or_held_out_is_left_out():
    forms = {normal_form(e.text) for e in gathered(written=400)[len(TRAIN) :]}
    short = [e.text for e in write_sentences(400, random.Random(1)) if len(e.text) < 60]
    known = next(text for text in short if normal_form(text) in forms)

    again = gathered([known], written=400)

    assert sum(normal_form(e.text) == normal_form(known) for e in again) == 1
    assert next(e for e in again if normal_form(e.text) == normal_form(known)).source == ""


HEADLINES = [
    Example(f"Profit of Small Bank rises in quarter {i}", sentiment=2, source="headlines")
    for i in range(9)
]


@pytest.mark.parametrize(
    ("made_from", "sources"),
    [
        ((), {"tweets", "headlines"}),
        (("headlines",), {"headlines"}),
        (("tweets",), {"tweets"}),
        (("headlines", "tweets"), {"tweets", "headlines"}),
    ],
)
def test_texts_are_made_from_the_rows_of_the_sets_that_are_named(made_from, sources):
    train = [*TRAIN, *HEADLINES]

    made = gathered(train=train, augmented=30, made_from=made_from)[len(train) :]

    assert {e.source for e in made} == sources
    if "tweets" not in sources:
        assert not [e.text for e in made if {"Big", "Oil", "falls"} & set(e.text.split())]


def test_a_text_made_from_one_set_repeats_none_of_another():
    twins = [Example(row.text, topic=0, source="twins") for row in HEADLINES]
    short = [Example("Profit of Small Bank rises", sentiment=2, source="headlines")]

    made = gathered(train=[*HEADLINES, *short], augmented=60, made_from=["headlines"])
    assert "profit of small bank" in {normal_form(e.text) for e in made}
    others = [Example("Profit of Small Bank", topic=0, source="tweets"), *twins]
    again = gathered(train=[*HEADLINES, *short, *others], augmented=60, made_from=["headlines"])

    forms = [normal_form(e.text) for e in again[len(HEADLINES) + 1 + len(others) :]]
    assert forms
    assert "profit of small bank" not in forms


def test_made_from_that_names_no_row_is_told_with_those_there_are():
    with pytest.raises(DatasetError) as error:
        gathered(train=[*TRAIN, *HEADLINES], augmented=1, made_from=("headline", "tweet"))

    assert str(error.value) == (
        "no training row is of headline, tweet; there are those of headlines, tweets: name some in "
        "made_from"
    )


def test_made_from_does_not_matter_where_no_text_is_made():
    assert gathered(augmented=0, made_from=("headlines",)) == TRAIN


def test_plain_texts_come_last_and_are_as_many_as_told():
    posts = [Example(f"Big Oil falls by {i} today $OIL", source="stocknet") for i in range(20)]

    found = gathered(posts, unlabelled=3, plain=7)[len(TRAIN) + 3 :]

    assert len({e.text for e in found}) == len(found) == 7
    assert {e.text for e in found} < {f"Big Oil falls by {i} today" for i in range(20)}
    assert {(e.source, e.topic, e.sentiment) for e in found} == {("plain", UNLABELLED, UNLABELLED)}
    assert gathered(posts, plain=0) == gathered(posts)


def test_posts_with_topics_are_written_plain_and_rows_with_a_sentiment_keep_to_it():
    train = [
        Example("$OIL Big Oil falls again today https://t.co/x", topic=0, source="tweets"),
        Example("$OIL Small Bank rises once more", sentiment=2, source="notes"),
        Example("Old Bank rises once more", sentiment=2, source="notes"),
    ]
    posts = [replace(row, topic=UNLABELLED, sentiment=UNLABELLED) for row in train]

    found = gathered([*posts, Example("RT @desk: Old Bank rises once more")], train, plain=9)

    assert [e.text for e in found if e.source == "plain"] == ["Big Oil falls again today"]


@pytest.mark.parametrize("post", [f"$OIL {HELD_OUT.capitalize()}", f"{HELD_OUT.upper()} http://x"])
def test_no_plain_text_is_held_out_before_or_after(post):
    others = [Example("People at the market hold loans $OIL")]

    found = gathered([Example(post), *others], plain=9)

    plain = [e.text for e in found if e.source == "plain"]
    assert plain == ["People at the market hold loans"]


def test_the_answer_of_one_teacher_is_its_probabilities(teachers, tmp_path):
    soft = ask_teachers(teachers[:1], EXAMPLES, LABELS, tmp_path)

    topic, sentiment = Engine(teachers[0].weights).probabilities([e.text for e in EXAMPLES])
    assert np.exp(soft.topic.astype(float)) == pytest.approx(topic, abs=5e-3)
    assert np.exp(soft.sentiment.astype(float)) == pytest.approx(sentiment, abs=5e-3)


def test_the_answer_of_two_is_the_mean_and_the_vectors_are_the_firsts(teachers, tmp_path):
    texts = [e.text for e in EXAMPLES]
    each = [Engine(teacher.weights).probabilities(texts)[0] for teacher in teachers]

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


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (Labels(("Oil", "Gold"), SENTIMENTS), "topics than the student: Oil, Bank, not Oil, Gold"),
        (Labels(("Bank", "Oil"), SENTIMENTS), "topics than the student: Oil, Bank, not Bank, Oil"),
        (
            Labels(tuple(WORDS), SENTIMENTS[::-1]),
            "sentiments than the student: negative, neutral, positive, not positive, neutral, "
            "negative",
        ),
    ],
)
def test_a_teacher_of_other_labels_is_told(teachers, tmp_path, labels, says):
    with pytest.raises(TeacherError) as error:
        ask_teachers(teachers, EXAMPLES, labels, tmp_path)

    folder = teachers[0].weights
    assert str(error.value) == f"the teacher in {folder} knows other {says}"
    assert not [*tmp_path.glob("teacher-*")], "it is told before it is asked"


def texts_of(source, ending, **label):
    """Texts of one set, the first with a label and the second without."""
    first, second = (f"the {word} falls {ending}" for word in WORDS.values())
    return [Example(first, source=source, **label), Example(second, source=source)]


TOPICAL = texts_of("tweets", "today", topic=0)
MOODY = texts_of("headlines", "that week", sentiment=0)
BOTH = texts_of("notes", "people say", topic=0, sentiment=0)
BARE = texts_of("stocknet", "at market")
NOWHERE = texts_of("", "of the week", topic=1, sentiment=2)
ALL = [*MOODY, *TOPICAL, *NOWHERE, *BOTH, *BARE]


def shares(soft):
    """Topics and sentiments, as probabilities."""
    return [np.exp(values.astype(float)) for values in (soft.topic, soft.sentiment)]


def said_by(folder, examples=ALL):
    return Engine(folder).probabilities([example.text for example in examples])


def rows_of(*sets):
    """Which of all texts are of these sets, (N, 1)."""
    return np.array([[any(example in of_set for of_set in sets)] for example in ALL])


def special(folder, *sets):
    return Teacher(weights=folder, of=sets)


def agrees(found, expected):
    for head, ours, theirs in zip(("topic", "sentiment"), found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=5e-3), head


def test_the_teachers_of_these_tests_say_different_things(folders, unsorted):
    one, two, three = (said_by(folder) for folder in folders)

    for head in (0, 1):
        mean = (one[head] + two[head]) / 2
        assert np.abs(one[head] - two[head]).max(axis=1).min() > 0.1, "on every text"
        assert np.abs(one[head] - three[head]).max(axis=1).min() > 0.1
        assert np.abs(mean - three[head]).max(axis=1).min() > 0.1
    assert np.abs(two[1] - three[1]).max(axis=1).min() > 0.1
    assert np.abs(one[1] - said_by(unsorted)[1]).max(axis=1).min() > 0.1


@pytest.mark.parametrize(
    ("of", "topics_of", "sentiments_of"),
    [
        (("headlines",), (), (MOODY,)),
        (("tweets",), (TOPICAL,), ()),
        (("notes",), (BOTH,), (BOTH,)),
        (("headlines", "tweets"), (TOPICAL,), (MOODY,)),
        (("headlines", "notes", "tweets"), (TOPICAL, BOTH), (MOODY, BOTH)),
        (("stocknet", "notes"), (BOTH,), (BOTH,)),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_teacher_of_some_sets_answers_in_place_of_the_others_with_the_heads_they_know(
    folders, tmp_path, of, topics_of, sentiments_of, place
):
    general = [Teacher(weights=folder) for folder in folders[:2]]
    asked = [*general[:place], special(folders[2], *of), *general[place:]]

    found = shares(ask_teachers(asked, ALL, LABELS, tmp_path))

    one, two, three = (said_by(folder) for folder in folders)
    means = [(first + second) / 2 for first, second in zip(one, two, strict=True)]
    agrees(found, [
        np.where(rows_of(*topics_of), three[0], means[0]),
        np.where(rows_of(*sentiments_of), three[1], means[1]),
    ])  # fmt: skip
    assert all(values.sum(axis=1) == pytest.approx(np.ones(len(ALL)), abs=5e-3) for values in found)


def test_two_teachers_of_one_set_are_a_mean_and_each_keeps_its_own(folders, tmp_path):
    asked = [
        Teacher(weights=folders[0]),
        special(folders[1], "headlines", "notes"),
        special(folders[2], "headlines"),
    ]

    _, sentiment = shares(ask_teachers(asked, ALL, LABELS, tmp_path))

    one, two, three = (said_by(folder)[1] for folder in folders)
    wanted = np.where(rows_of(MOODY), (two + three) / 2, np.where(rows_of(BOTH), two, one))
    assert sentiment == pytest.approx(wanted, abs=5e-3)


def test_what_was_made_of_a_set_is_asked_like_its_rows(folders, tmp_path):
    made = Example("the barrel rises", source="headlines")
    asked = [Teacher(weights=folders[0]), special(folders[2], "headlines")]

    topic, sentiment = shares(ask_teachers(asked, [*ALL, made], LABELS, tmp_path))

    assert topic[-1] == pytest.approx(said_by(folders[0], [made])[0][0], abs=5e-3)
    assert sentiment[-1] == pytest.approx(said_by(folders[2], [made])[1][0], abs=5e-3)


def test_invented_sentences_have_a_teacher_of_their_own_for_sentiment_alone(folders, tmp_path):
    invented = gathered(written=400)[len(TRAIN) :]
    texts = [*ALL, invented[0], *(e for e in invented if e.sentiment == UNLABELLED)]
    assert invented[0].sentiment != UNLABELLED
    assert len(texts) > len(ALL) + 5
    asked = [Teacher(weights=folders[0]), special(folders[2], "written")]

    topic, sentiment = shares(ask_teachers(asked, texts, LABELS, tmp_path))

    general, own = said_by(folders[0], texts), said_by(folders[2], texts)
    assert topic == pytest.approx(general[0], abs=5e-3)
    assert sentiment[: len(ALL)] == pytest.approx(general[1][: len(ALL)], abs=5e-3)
    assert sentiment[len(ALL) + 1 :] == pytest.approx(own[1][len(ALL) + 1 :], abs=5e-3)


def test_a_teacher_of_plain_texts_is_heard_about_their_sentiment_alone(folders, tmp_path):
    plain = [replace(example, source="plain") for example in BARE]
    texts = [*ALL, *plain]
    asked = [Teacher(weights=folders[0]), special(folders[2], "headlines", "plain")]

    topic, sentiment = shares(ask_teachers(asked, texts, LABELS, tmp_path))

    general, own = said_by(folders[0], texts), said_by(folders[2], texts)
    assert topic == pytest.approx(general[0], abs=5e-3)
    theirs = np.array([[e.source in {"headlines", "plain"}] for e in texts])
    assert sentiment == pytest.approx(np.where(theirs, own[1], general[1]), abs=5e-3)


def test_no_teacher_talks_an_invented_sentence_out_of_its_label(folders, tmp_path):
    sure = [Example("the barrel falls", sentiment=i, source="written") for i in range(3)]
    asked = [Teacher(weights=folders[0]), special(folders[2], "written")]

    topic, sentiment = shares(ask_teachers(asked, [*sure, *ALL], LABELS, tmp_path))

    assert sentiment[:3] == pytest.approx(np.full((3, 3), 0.02) + 0.94 * np.eye(3), abs=5e-3)
    assert topic[:3] == pytest.approx(said_by(folders[0], sure)[0], abs=5e-3)
    assert sentiment[3:] == pytest.approx(said_by(folders[0])[1], abs=5e-3)


def test_directions_are_those_of_the_first_teacher_of_everything(folders, tmp_path):
    alone = ask_teachers([Teacher(weights=folders[1])], ALL, LABELS, tmp_path)
    asked = [
        special(folders[2], "headlines"), Teacher(weights=folders[1]), Teacher(weights=folders[0])
    ]  # fmt: skip

    assert np.array_equal(ask_teachers(asked, ALL, LABELS, tmp_path).vectors, alone.vectors)


def test_a_teacher_of_some_sets_is_asked_about_their_texts_alone(folders, tmp_path):
    told = []
    asked = [Teacher(weights=folders[0]), special(folders[2], "headlines", "notes")]

    ask_teachers(asked, ALL, LABELS, tmp_path, lambda *step: told.append(step))

    assert told[-1] == (14, 14)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    answers = [np.load(path)["topic"] for path in tmp_path.glob("teacher-*.npz")]
    assert sorted(len(answer) for answer in answers) == [len(MOODY) + len(BOTH), len(ALL)]


def test_a_teacher_of_some_sets_needs_only_the_labels_that_it_is_heard_with(
    folders, unsorted, tmp_path
):
    asked = [Teacher(weights=folders[0]), special(unsorted, "headlines")]

    topic, sentiment = shares(ask_teachers(asked, ALL, LABELS, tmp_path))

    assert topic == pytest.approx(said_by(folders[0])[0], abs=5e-3)
    wanted = np.where(rows_of(MOODY), said_by(unsorted)[1], said_by(folders[0])[1])
    assert sentiment == pytest.approx(wanted, abs=5e-3)


@pytest.mark.parametrize("of", [("tweets",), ("headlines", "notes"), ()])
def test_a_teacher_without_the_topics_that_it_would_be_heard_with_is_told(
    folders, unsorted, tmp_path, of
):
    asked = [Teacher(weights=folders[0]), special(unsorted, *of)]

    with pytest.raises(TeacherError, match="other topics than the student: Unsorted, not Oil, Ba"):
        ask_teachers(asked, ALL, LABELS, tmp_path)


def test_a_teacher_of_everything_that_is_never_heard_about_topics_need_not_know_them(
    folders, unsorted, tmp_path
):
    texts = [*TOPICAL, *BOTH]
    asked = [Teacher(weights=unsorted), special(folders[2], "tweets", "notes")]

    topic, sentiment = shares(ask_teachers(asked, texts, LABELS, tmp_path))

    assert topic == pytest.approx(said_by(folders[2], texts)[0], abs=5e-3)
    wanted = [*said_by(unsorted, TOPICAL)[1], *said_by(folders[2], BOTH)[1]]
    assert sentiment == pytest.approx(np.array(wanted), abs=5e-3)


def test_sets_without_a_text_are_told_with_those_there_are(folders, tmp_path):
    asked = [Teacher(weights=folders[0]), special(folders[2], "headline", "tweet")]

    with pytest.raises(TeacherError) as error:
        ask_teachers(asked, ALL, LABELS, tmp_path)

    assert str(error.value) == (
        f"no text is of headline, tweet, which {folders[2]} teaches; there are texts of headlines, "
        "notes, stocknet, tweets"
    )
    assert not [*tmp_path.glob("teacher-*")], "it is told before anyone is asked"


def test_a_row_that_two_sets_label_does_not_make_a_teacher_of_one_heard_about_the_others_head(
    folders, tmp_path
):
    rows = [
        *(Example(f"the {word} falls today", topic=0, source="tweets") for word in WORDS.values()),
        Example("the loan rises today", topic=1, source="tweets"),
        Example("the loan rises today", sentiment=2, source="headlines"),
        *MOODY,
    ]
    texts = distinct(rows, set())
    asked = [Teacher(weights=folders[0]), special(folders[2], "tweets")]

    _, sentiment = shares(ask_teachers(asked, texts, LABELS, tmp_path))

    assert sentiment == pytest.approx(said_by(folders[0], texts)[1], abs=5e-3)
