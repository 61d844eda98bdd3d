import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.batching import LENGTH_BUCKETS, MicroBatch, bucket_of, plan

LONGEST = LENGTH_BUCKETS[-1]


@pytest.mark.parametrize(
    ("length", "bucket"),
    [(1, 16), (15, 16), (16, 16), (17, 24), (32, 32), (33, 48), (768, 768), (769, LONGEST)],
)
def test_a_text_is_padded_to_the_shortest_bucket_that_holds_it(length, bucket):
    assert bucket_of(length) == bucket


@pytest.mark.parametrize("length", [LONGEST + 1, 10**6])
def test_a_text_beyond_the_largest_bucket_is_refused(length):
    with pytest.raises(ValueError, match=f"a text of {length} tokens is longer than any"):
        bucket_of(length)
    with pytest.raises(ValueError, match="truncate it"):
        plan([5, length], 1024)


@pytest.mark.parametrize(
    ("lengths", "budget", "expected"),
    [
        ([], 64, []),
        ([3], 64, [MicroBatch((0,), 16, 4)]),
        ([3, 4, 5, 6], 64, [MicroBatch((0, 1, 2, 3), 16, 4)]),
        ([3, 4, 5, 6, 7], 64, [MicroBatch((0, 1, 2, 3), 16, 4), MicroBatch((4,), 16, 4)]),
        (
            [40, 3, 17, 4],
            64,
            [MicroBatch((1, 3), 16, 4), MicroBatch((2,), 24, 2), MicroBatch((0,), 48, 1)],
        ),
        ([3, 3], 31, [MicroBatch((0,), 16, 1), MicroBatch((1,), 16, 1)]),
        ([3, 3], 32, [MicroBatch((0, 1), 16, 2)]),
        ([100], 16, [MicroBatch((0,), 128, 1)]),
    ],
)
def test_texts_of_one_bucket_go_together_up_to_the_budget(lengths, budget, expected):
    assert plan(lengths, budget) == expected


@given(st.lists(st.integers(1, LONGEST), max_size=80), st.integers(1, 8192))
@settings(max_examples=100, deadline=None)
def test_every_text_is_in_one_micro_batch_that_holds_it(lengths, budget):
    batches = plan(lengths, budget)

    assert sorted(i for batch in batches for i in batch.indices) == list(range(len(lengths)))
    for batch in batches:
        assert 0 < len(batch.indices) <= batch.rows
        assert all(bucket_of(lengths[i]) == batch.length for i in batch.indices)
        assert batch.rows * batch.length <= max(budget, batch.length)
    assert [b.length for b in batches] == sorted(b.length for b in batches)


@given(st.lists(st.integers(1, LONGEST), min_size=1, max_size=30), st.randoms())
@settings(max_examples=100, deadline=None)
def test_a_texts_shape_does_not_depend_on_its_neighbours(lengths, chance):
    others = chance.sample(lengths, len(lengths)) + lengths[:3]

    assert shapes(lengths, 1024).items() <= shapes(lengths + others, 1024).items()


def shapes(lengths, budget):
    """The padded shape that each length meets; a length met with two shapes fails the test."""
    met = {}
    for batch in plan(lengths, budget):
        for index in batch.indices:
            shape = (batch.rows, batch.length)
            assert met.setdefault(lengths[index], shape) == shape
    return met
