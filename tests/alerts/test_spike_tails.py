"""Tail probabilities beside exact sums, and what a past makes of a surprise."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.spikes import tails
from alerts.spikes.extremes import OwnTail
from alerts.spikes.ring import Ring
from alerts.spikes.season import winsorised


def exact(low, high, mean, dispersion):
    """-log10 of the probability of a negative binomial from low to high, term by term."""
    size = 1 / dispersion
    chance = mean / (size + mean)
    logs = [
        math.lgamma(k + size) - math.lgamma(size) - math.lgamma(k + 1)
        + size * math.log1p(-chance) + k * math.log(chance)
        for k in range(low, high + 1)
    ]  # fmt: skip
    top = max(logs)
    return -(top + math.log(sum(math.exp(log - top) for log in logs))) / math.log(10)


@pytest.mark.parametrize("dispersion", [1e-6, 0.05, 0.3, 2.0])
@pytest.mark.parametrize("mean", [0.3, 2.0, 20.0, 300.0])
def test_tails_of_counts_are_those_of_exact_sums(mean, dispersion):
    spread = math.sqrt(mean + dispersion * mean**2)
    for distance in (1.5, 3, 6, 12):
        count = math.ceil(mean + distance * spread)
        upper = exact(count, count + int(40 * spread) + 200, mean, dispersion)
        assert tails.count_upper(count, mean, dispersion) == pytest.approx(upper, rel=0.02)
        count = math.floor(mean - distance * spread)
        if count >= 0:
            lower = exact(0, count, mean, dispersion)
            assert tails.count_lower(count, mean, dispersion) == pytest.approx(lower, rel=0.02)


@given(st.floats(0.02, 5000), st.floats(0, 3), st.floats(2, 200), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_tails_are_monotone_and_bounded_and_bands_invert_them(mean, dispersion, surprise, a, b):
    less, more = sorted((mean * (1 + 9 * a), mean * (1 + 9 * b)))
    assert (
        0
        <= tails.count_upper(less, mean, dispersion)
        <= tails.count_upper(more, mean, dispersion) + 1e-9
        <= tails.MOST + 1e-9
    )
    high = tails.count_bound(surprise, mean, dispersion)
    assert tails.count_upper(high, mean, dispersion) == pytest.approx(surprise, abs=0.05)
    low = tails.count_floor(surprise, mean, dispersion)
    assert 0 <= low < mean < high
    if low > 1:
        assert tails.count_lower(low, mean, dispersion) == pytest.approx(surprise, abs=0.05)


@pytest.mark.parametrize("share", [0.02, 0.25, 0.9])
def test_shares_without_dispersion_are_binomial(share):
    for count in range(51):
        terms = [math.comb(50, k) * share**k * (1 - share) ** (50 - k) for k in range(51)]
        if count > 50 * share:
            wanted = -math.log10(sum(terms[count:]))
            assert tails.share_upper(count, 50, share, 1e-6) == pytest.approx(wanted, rel=0.01)
        if count < 50 * share:
            wanted = -math.log10(sum(terms[: count + 1]))
            assert tails.share_lower(count, 50, share, 1e-6) == pytest.approx(wanted, rel=0.01)


def test_more_dispersion_is_less_surprise():
    found = [tails.share_upper(40, 50, 0.3, d) for d in (0.0, 0.02, 0.1, 0.5)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 2
    assert found[0] > 10


@given(st.floats(0, 250))
def test_the_band_of_a_residual_inverts_its_tail(surprise):
    back = tails.residual(tails.residual_bound(surprise))
    assert back == pytest.approx(surprise, abs=1e-6) or surprise < 0.31


def past(surprises):
    own = OwnTail(len(surprises))
    for surprise in surprises:
        own.push(surprise)
    own.refresh()
    return own


def test_a_noisy_past_tempers_more_than_a_calm_one():
    chance = np.random.default_rng(1)
    honest = chance.exponential(1 / math.log(10), 5000)
    calm, noisy = past(honest), past(honest * 5)

    assert noisy.temper(6) < 2 < calm.temper(6) <= 6
    # In a past that is five times as surprising, five times the surprise is worth the same.
    assert noisy.temper(20) == pytest.approx(calm.temper(4), abs=0.3)


@given(st.floats(0, 200), st.floats(0, 200))
def test_tempering_keeps_the_order_never_adds_and_is_inverted_by_its_bound(one, other):
    own = past(np.random.default_rng(2).pareto(1.5, 3000))
    less, more = sorted((one, other))

    assert own.temper(less) <= own.temper(more)
    assert own.temper(more) <= more
    assert own.temper(own.bound(min(more, 5))) == pytest.approx(min(more, 5))


def test_a_few_anomalies_do_not_move_the_tail():
    plain = np.random.default_rng(3).exponential(0.43, 4000)
    hit = plain.copy()
    hit[1000:1005] = 250

    assert past(hit).temper(12) == pytest.approx(past(plain).temper(12), rel=0.15)


@given(st.integers(1, 20), st.lists(st.floats(-5, 5), max_size=60), st.integers(0, 30))
def test_a_ring_is_the_end_of_all_that_was_pushed(capacity, numbers, k):
    ring = Ring(capacity)
    for number in numbers:
        ring.push(number)

    kept = numbers[-capacity:]
    assert ring.last(k).tolist() == (kept[-k:] if k else [])
    assert ring.count == len(kept)


@pytest.mark.parametrize(("sample", "unit", "mean"), [
    ([1, 2, 3, 4, 1000], 0, (1 + 2 + 3 + 4 + 7) / 5),
    ([0, 0, 0, 0, 1], 0, 0), ([0, 0, 0, 0, 1], 1, 0.2), ([0, 0, 0, 0, 50], 1, 0.4),
    ([math.nan, 4, math.nan], 0, 4), ([math.nan], 1, math.nan),
])  # fmt: skip
def test_a_winsorised_mean_pulls_in_what_lies_far_outside(sample, unit, mean):
    found = winsorised(np.array([sample], float), 2.0, unit)
    assert found.tolist() == pytest.approx([mean], nan_ok=True)
