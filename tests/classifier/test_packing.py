import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.packing import Pack, Run, pack


@pytest.mark.parametrize(
    ("lengths", "budget", "expected"),
    [
        ([], 8, []),
        ([3], 8, [Pack((0,), (Run(0, 0, 1, 3),), 3)]),
        ([3, 3], 8, [Pack((0, 1), (Run(0, 0, 2, 3),), 6)]),
        ([5, 3], 8, [Pack((1, 0), (Run(0, 0, 1, 3), Run(1, 3, 1, 5)), 8)]),
        ([5, 3], 7, [Pack((1,), (Run(0, 0, 1, 3),), 3), Pack((0,), (Run(0, 0, 1, 5),), 5)]),
        ([9], 8, [Pack((0,), (Run(0, 0, 1, 9),), 9)]),
        (
            [2, 9, 2, 4],
            8,
            [
                Pack((0, 2, 3), (Run(0, 0, 2, 2), Run(2, 4, 1, 4)), 8),
                Pack((1,), (Run(0, 0, 1, 9),), 9),
            ],
        ),
    ],
)
def test_texts_lie_end_to_end_the_short_ones_first_up_to_the_budget(lengths, budget, expected):
    assert pack(lengths, budget) == expected


@given(st.lists(st.integers(1, 200), max_size=80), st.integers(1, 2048))
@settings(max_examples=100, deadline=None)
def test_every_text_has_one_place_and_no_token_is_padding(lengths, budget):
    packs = pack(lengths, budget)

    assert sorted(i for laid in packs for i in laid.indices) == list(range(len(lengths)))
    for laid in packs:
        assert laid.tokens == sum(lengths[i] for i in laid.indices)
        assert laid.tokens <= budget or len(laid.indices) == 1
        places = [i for run in laid.runs for i in range(run.tokens.start, run.tokens.stop)]
        assert places == list(range(laid.tokens))
        for run in laid.runs:
            assert {lengths[i] for i in laid.indices[run.texts]} == {run.length}


@given(st.lists(st.integers(1, 200), min_size=1, max_size=80), st.integers(200, 2048))
@settings(max_examples=100, deadline=None)
def test_packs_are_full_but_for_less_than_a_text(lengths, budget):
    packs = pack(lengths, budget)

    for laid, following in itertools.pairwise(packs):
        assert laid.tokens + lengths[following.indices[0]] > budget
