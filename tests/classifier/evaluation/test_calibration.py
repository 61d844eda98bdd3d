import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.evaluation.calibration import (
    COLDEST,
    FEWEST_ROWS,
    HOTTEST,
    calibrate,
    fit_temperature,
    reliability,
    softmax,
)
from classifier.labels import UNLABELLED


def drawn(rows, classes, temperature, seed=0):
    """Logits and targets; the targets are drawn from the logits divided by ``temperature``."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(size=(rows, classes)) * 2 * temperature
    shares = softmax(logits / temperature)
    targets = (shares.cumsum(axis=1) < chance.random((rows, 1))).sum(axis=1)
    return logits, targets.clip(0, classes - 1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
@pytest.mark.parametrize("classes", [2, 3, 20])
def test_the_temperature_that_spoiled_the_logits_is_found(classes, temperature):
    logits, targets = drawn(6000, classes, temperature)

    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=0.08)


def test_no_other_temperature_makes_the_targets_likelier():
    logits, targets = drawn(500, 4, 1.7)
    found = fit_temperature(logits, targets)

    def likelihood(temperature):
        shares = softmax(logits / temperature)
        return np.log(shares[np.arange(500), targets]).mean()

    best = max(likelihood(t) for t in np.geomspace(0.2, 10, 400))
    assert likelihood(found) == pytest.approx(best, abs=1e-4)


def test_logits_may_be_tensors():
    logits, targets = drawn(200, 3, 2.0)

    found = fit_temperature(torch.tensor(logits).float(), torch.tensor(targets))

    assert found == pytest.approx(fit_temperature(logits, targets), rel=1e-3)


def test_rows_without_a_label_do_not_count():
    logits, targets = drawn(300, 3, 2.0)
    more = np.vstack([logits, np.full((50, 3), 9.0)])

    found = fit_temperature(more, [*targets, *[UNLABELLED] * 50])

    assert found == fit_temperature(logits, targets)


@pytest.mark.parametrize(
    ("logits", "targets"),
    [
        (np.empty((0, 3)), []),
        (np.ones((1, 3)), [0]),
        (np.eye(3)[[0] * 50], [0] * 50),
        (np.eye(3)[[0, 1] * 20][: FEWEST_ROWS - 1], [0, 1] * 20),
        (np.zeros((60, 3)), [0, 1, 2] * 20),
        (np.eye(3)[[0] * 90], [UNLABELLED] * 90),
    ],
    ids=["no rows", "one row", "one class", "too few", "all alike", "no label"],
)
def test_nothing_changes_where_nothing_can_be_learned(logits, targets):
    assert fit_temperature(logits, targets[: len(logits)]) == 1.0


def test_rows_that_are_all_right_or_all_wrong_have_a_finite_temperature():
    targets = np.arange(300) % 3
    logits = 4 * np.eye(3)[targets]

    assert COLDEST < fit_temperature(logits, targets) < 1
    assert 1 < fit_temperature(logits, (targets + 1) % 3) <= HOTTEST * 1.001


def test_logits_that_are_not_numbers_are_an_error():
    with pytest.raises(ValueError, match="finite"):
        fit_temperature(np.full((60, 2), np.nan), [0, 1] * 30)


def test_calibration_mends_what_is_too_sure():
    logits, targets = drawn(8000, 5, 3.0)
    temperature = fit_temperature(logits[:4000], targets[:4000])

    found = calibrate("topic", temperature, logits[4000:], targets[4000:])

    assert found.before.ece > 0.1
    assert found.after.ece < 0.03
    assert (found.head, found.temperature, found.after.rows) == ("topic", temperature, 4000)


def test_the_bins_and_the_error_are_those_worked_out_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.3, 0.7]])
    targets = [0, 1, 0, 0, 1]

    found = reliability(probabilities, targets, bins=5)

    # Two rows at 0.9 with one right, two at 0.6 with both right, one at 0.7 that is right.
    assert [(b.rows, b.accuracy) for b in found.bins] == [(2, 1.0), (1, 1.0), (2, 0.5)]
    assert [b.confidence for b in found.bins] == pytest.approx([0.6, 0.7, 0.9])
    assert found.ece == pytest.approx((2 * 0.4 + 1 * 0.3 + 2 * 0.4) / 5)


@pytest.mark.parametrize(("probability", "bin_above"), [(0.6, False), (0.6 + 1e-9, True)])
def test_a_bin_holds_its_upper_edge(probability, bin_above):
    probabilities = np.array([[probability, 1 - probability], [0.7, 0.3]])

    assert len(reliability(probabilities, [0, 0], bins=5).bins) == (1 if bin_above else 2)


def test_bins_of_equally_many_rows_split_what_one_bin_of_equal_width_hides():
    # All lie in one bin of equal width; the less sure are always right, the surer never.
    top = np.array([0.94] * 50 + [0.99] * 50)
    probabilities = np.stack([top, 1 - top], axis=1)
    targets = [0] * 50 + [1] * 50

    found = reliability(probabilities, targets)

    assert found.ece == pytest.approx(0.965 - 0.5)
    assert found.adaptive_ece == pytest.approx((0.06 + 0.99) / 2)


def test_without_rows_there_is_no_error():
    found = reliability(np.empty((0, 3)), [])

    assert (found.rows, found.ece, found.adaptive_ece, found.bins) == (0, 0.0, 0.0, ())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-8, 8), st.floats(-8, 8), st.floats(-8, 8), st.integers(0, 2)),
        min_size=1,
        max_size=60,
    )
)
def test_the_errors_are_shares_and_the_temperature_is_in_its_range(rows):
    logits = np.array([row[:3] for row in rows])
    targets = np.array([row[3] for row in rows])

    found = reliability(softmax(logits), targets)

    assert 0 <= found.ece <= 1
    assert 0 <= found.adaptive_ece <= 1
    assert sum(b.rows for b in found.bins) == len(rows)
    assert COLDEST * 0.999 <= fit_temperature(logits, targets) <= HOTTEST * 1.001
