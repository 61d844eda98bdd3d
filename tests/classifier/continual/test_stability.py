import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.continual.stability import (
    DRIFTED,
    MODERATE,
    Verdict,
    compare,
    contributions,
    expected_psi,
    judge,
    overall,
)


def psi(before, now):
    return float(contributions(np.array(before), np.array(now)).sum())


def test_the_index_is_that_of_a_worked_example():
    exact = (0.5 - 0.6) * math.log(0.5 / 0.6) + (0.5 - 0.4) * math.log(0.5 / 0.4)

    assert psi([6_000_000, 4_000_000], [500_000, 500_000]) == pytest.approx(exact, abs=1e-5)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=30), st.integers(1, 9))
def test_the_index_of_the_same_shares_is_zero(counts, times):
    assert psi(counts, [times * count for count in counts]) == pytest.approx(0, abs=1e-12)


counts = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=30)


@given(counts)
def test_the_index_is_finite_never_negative_and_the_same_both_ways(pairs):
    before, now = zip(*pairs, strict=True)

    assert 0 <= psi(before, now) < 100
    assert psi(before, now) == pytest.approx(psi(now, before))


def test_one_stray_document_of_a_new_class_is_no_drift():
    assert psi([20_000, 10_000, 0], [133, 66, 1]) < 0.01


def test_a_new_class_of_many_documents_is():
    assert psi([20_000, 10_000, 0], [100, 40, 60]) > 1


def test_bins_that_are_empty_on_both_sides_count_for_nothing():
    without = compare("x", [30, 70], [40, 60])
    among = compare("x", [30, 70, *[0] * 50], [40, 60, *[0] * 50])

    assert (among.bins, among.expected) == (2, without.expected)
    assert among.psi < without.psi + 1e-9


def test_without_observations_nothing_is_judged():
    part = compare("x", [30, 70], [0, 0])

    assert (part.psi, part.expected, part.verdict) == (0, math.inf, Verdict.TOO_FEW)


@pytest.mark.parametrize(
    ("bins", "before", "now", "expected"),
    [
        (20, 30_000, 200, 19 / 30_000 + 19 / 200),
        (2, 10, 10, 0.2),
        (1, 5, 5, 0),
        (3, 0, 9, math.inf),
    ],
)
def test_what_chance_brings_on_average(bins, before, now, expected):
    assert expected_psi(bins, before, now) == pytest.approx(expected)


def test_that_average_is_what_draws_without_drift_give():
    chance = np.random.default_rng(4)
    shares = np.full(10, 0.1)
    drawn = [psi(chance.multinomial(5000, shares), chance.multinomial(400, shares))
             for _ in range(400)]  # fmt: skip

    assert np.mean(drawn) == pytest.approx(expected_psi(10, 5000, 400), rel=0.1)


@pytest.mark.parametrize(
    ("index", "expected", "verdict"),
    [
        (0.0999, 0.0, Verdict.STABLE),
        (MODERATE, 0.0, Verdict.MODERATE),
        (0.2499, 0.0, Verdict.MODERATE),
        (DRIFTED, 0.0, Verdict.DRIFTED),
        (0.149, 0.05, Verdict.STABLE),
        (0.151, 0.05, Verdict.MODERATE),
        (0.299, 0.05, Verdict.MODERATE),
        (0.301, 0.05, Verdict.DRIFTED),
        (9.0, 0.1, Verdict.DRIFTED),
        (9.0, 0.1001, Verdict.TOO_FEW),
        (9.0, math.inf, Verdict.TOO_FEW),
    ],
)
def test_an_index_is_judged_by_what_is_beyond_chance(index, expected, verdict):
    assert judge(index, expected) is verdict


@pytest.mark.parametrize(
    ("parts", "found", "verdict"),
    [
        ("stable stable", 200, Verdict.STABLE),
        ("stable moderate", 200, Verdict.MODERATE),
        ("drifted moderate", 200, Verdict.DRIFTED),
        ("drifted moderate", 199, Verdict.TOO_FEW),
        ("too-few stable", 200, Verdict.STABLE),
        ("too-few", 200, Verdict.TOO_FEW),
    ],
)
def test_the_worst_part_decides_where_there_are_documents_enough(parts, found, verdict):
    named = {"too-few": Verdict.TOO_FEW}
    verdicts = [named.get(name) or Verdict(name) for name in parts.split()]

    assert overall(verdicts, found, 200) is verdict
