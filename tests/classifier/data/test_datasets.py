import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.data.datasets import (
    DatasetError,
    Example,
    check_trainable,
    distinct,
    draw,
    make_splits,
    normal_form,
    share_of,
)
from classifier.labels import UNLABELLED, Labels

LABELS = Labels(("Oil", "Gold"))
NONE = UNLABELLED


def texts(count, name="text"):
    return [f"The {name} with number {i}" for i in range(count)]


def rows(count, name="text"):
    return [
        Example(text, topic=i % 2, sentiment=i % 3) for i, text in enumerate(texts(count, name))
    ]


def forms(examples):
    return {normal_form(example.text) for example in examples}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Oil  FALLS\n", "oil falls"),
        ("Oil falls https://t.co/abc", "oil falls"),
        ("http://x.test oil www.example.test falls", "oil falls"),
        ("oil\u00a0falls", "oil falls"),
        ("https://t.co/abc", ""),
        ("", ""),
    ],
)
def test_two_texts_count_as_the_same_in_their_normal_form(text, form):
    assert normal_form(text) == form


def test_a_share_depends_on_the_normal_form_and_the_salt():
    assert share_of("Oil  FALLS https://t.co/x") == share_of("oil falls")
    assert share_of("oil falls") != share_of("oil falls", "development")
    shares = [share_of(text) for text in texts(1000)]
    assert 0 <= min(shares) < max(shares) < 1
    assert 150 < sum(share < 0.2 for share in shares) < 250


spellings = st.sampled_from(["{}", " {} ", "{} https://t.co/a"])
labels = st.sampled_from([NONE, 0, 1])
examples = st.lists(
    st.builds(
        lambda number, spelling, topic, sentiment: Example(
            spelling.format(f"Text {number}"), topic, sentiment
        ),
        st.integers(0, 30), spellings, labels, labels,
    ),
    max_size=40,
)  # fmt: skip


@given(examples, examples, examples, st.sampled_from([0.0, 0.3, 1.0]))
def test_no_text_is_in_two_splits(training, tested, excluded, share):
    splits = make_splits(training, {"a test": tested}, share, excluded)

    train, development = forms(splits.train), forms(splits.development)
    assert len(train) == len(splits.train)
    assert len(development) == len(splits.development)
    assert not train & development
    assert not (train | development) & (forms(tested) | forms(excluded))
    assert splits.held_out == forms(tested) | forms(excluded) | development
    assert all((e.topic, e.sentiment) != (NONE, NONE) for e in splits.train + splits.development)


@given(examples, examples)
def test_the_split_does_not_move_when_rows_are_added(training, added):
    before, after = (make_splits(some, {}, 0.3) for some in (training, training + added))
    conflicts = forms(before.train + before.development) - forms(after.train + after.development)

    assert forms(before.train) - conflicts <= forms(after.train)
    assert forms(before.development) - conflicts <= forms(after.development)
    assert conflicts <= forms(added)


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.3, 0.2, 0.4), (1.0, 1, 1)])
def test_the_share_of_development_is_what_was_asked_for(share, least, most):
    splits = make_splits(rows(300), {}, share)

    assert least <= len(splits.development) / 300 <= most
    assert len(splits.development) + len(splits.train) == 300


@pytest.mark.parametrize(
    ("given_labels", "joined"),
    [
        ([(1, NONE), (NONE, 2)], (1, 2)),
        ([(1, 2), (1, 2)], (1, 2)),
        ([(1, NONE), (0, 2)], (NONE, 2)),
        ([(1, NONE), (0, NONE), (1, NONE)], None),
        ([(NONE, NONE)], None),
    ],
)
def test_labels_of_one_text_are_joined_where_they_agree(given_labels, joined):
    found = distinct([Example("Oil falls", *pair) for pair in given_labels], set())

    assert found == ([] if joined is None else [Example("Oil falls", *joined)])


def test_the_first_spelling_of_a_text_is_kept_and_links_alone_are_no_text():
    found = distinct([Example(text, 1) for text in ("Oil", "OIL", "https://t.co/x", "")], set())

    assert [example.text for example in found] == ["Oil"]


def test_a_source_says_where_a_row_is_from_and_not_what_it_is():
    one, other = (Example("Oil falls", 1, 2, source) for source in ("tweets", "headlines"))

    assert Example("Oil falls").source == ""
    assert one == other
    assert hash(one) == hash(other)
    assert (one.source, other.source) == ("tweets", "headlines")


def test_a_text_keeps_its_source_through_every_split():
    given = [Example(e.text, e.topic, e.sentiment, f"set {i % 3}") for i, e in enumerate(rows(99))]
    again = [Example(e.text.upper(), e.topic, e.sentiment, e.source) for e in given]
    test = [Example("A tested text", 1, 1, "the test")]

    splits = make_splits([*given, *again], {"a test": test}, 0.3)

    sources = {e.text: e.source for e in given}
    found = [*splits.train, *splits.development]
    assert {e.text: e.source for e in found} == sources
    assert [e.source for e in splits.tests["a test"]] == ["the test"]
    assert {e.source for e in draw(found, 20)} == {"set 0", "set 1", "set 2"}


def test_a_text_of_several_sets_is_of_none_of_them():
    given = [
        Example("Oil falls", topic=1, source="tweets"),
        Example("OIL FALLS", sentiment=2, source="headlines"),
        Example("Tin falls", topic=1, source="tweets"),
    ]

    found = {e.text: (e.topic, e.sentiment, e.source) for e in distinct(given, set())}

    assert found == {"Oil falls": (1, 2, ""), "Tin falls": (1, UNLABELLED, "tweets")}


def test_what_is_drawn_does_not_hang_on_the_order():
    every = rows(100)
    drawn = draw(every, 10)

    assert len(drawn) == 10
    assert draw(every[::-1], 10) == drawn
    assert set(drawn) <= set(draw(every, 20))
    assert drawn != every[:10]
    assert draw(every, 100) == draw(every, 1000) == every


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ([], "no labelled rows are left"),
        ([Example("a", NONE, 1), Example("b", NONE, 1)], "every sentiment label is 'neutral'"),
        ([Example("a", 1, NONE), Example("b", 1, 0)], "every topic label is 'Gold'"),
        ([Example("a"), Example("b")], "no row carries a label"),
    ],
)
def test_what_cannot_be_learned_is_told_before_training(train, says):
    with pytest.raises(DatasetError, match=says):
        check_trainable(train, LABELS)


def test_a_topic_without_rows_is_told_by_its_name():
    train = [Example("a", 0), Example("b", 2)]

    with pytest.raises(DatasetError, match="no training row has the topic 'Gold', 'Tin': add rows"):
        check_trainable(train, Labels(("Oil", "Gold", "Wheat", "Tin")))


@pytest.mark.parametrize(
    "train",
    [
        [Example("a", 0), Example("b", 1)],
        [Example("a", NONE, 0), Example("b", NONE, 2)],
        [Example("a", 0, 0), Example("b", 1, 2), Example("c")],
    ],
)
def test_two_classes_of_one_head_are_enough(train):
    check_trainable(train, LABELS)
    assert len({example.text for example in train}) == len(train)
