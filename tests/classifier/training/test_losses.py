import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity, cross_entropy, softmax

from classifier.labels import UNLABELLED
from classifier.training.losses import balanced_weights, direction_loss, masked_loss, soft_loss

NONE = UNLABELLED
LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
TEACHER = torch.randn(4, 3, generator=torch.Generator().manual_seed(3)).log_softmax(dim=-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 3.0])])
@pytest.mark.parametrize(
    "target", [[0, 2, 1, 1], [NONE, 2, 1, 0], [0, NONE, NONE, NONE], [NONE, NONE, NONE, NONE]]
)
def test_hard_labels_cost_their_cross_entropy_over_all_rows(target, weights, smoothing):
    labelled = [row for row, label in enumerate(target) if label != NONE]
    expected = sum(
        cross_entropy(
            LOGITS[row : row + 1], torch.tensor([target[row]]), weight=weights,
            label_smoothing=smoothing, reduction="sum",
        ).item()
        for row in labelled
    )  # fmt: skip

    loss = masked_loss(LOGITS, torch.tensor(target), smoothing, weights)

    assert loss.item() == pytest.approx(expected / 4, abs=1e-6)


def test_a_row_without_a_label_has_no_gradient():
    logits = LOGITS.clone().requires_grad_()

    masked_loss(logits, torch.tensor([NONE, 2, NONE, 1]), 0.1).backward()

    assert logits.grad[[0, 2]].abs().sum() == 0
    assert (logits.grad[[1, 3]].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 5.0])
def test_a_student_that_says_what_the_teacher_says_costs_nothing(temperature):
    assert soft_loss(TEACHER + 4.0, TEACHER, temperature).item() == pytest.approx(0, abs=1e-6)
    assert soft_loss(LOGITS, TEACHER, temperature).item() > 0


def test_at_temperature_one_the_gradient_leads_from_the_student_to_the_teacher():
    logits = LOGITS.clone().requires_grad_()

    soft_loss(logits, TEACHER, 1.0).backward()

    expected = (softmax(LOGITS, dim=-1) - TEACHER.exp()) / len(LOGITS)
    torch.testing.assert_close(logits.grad, expected)


def test_a_step_against_the_gradient_brings_the_student_nearer():
    logits = LOGITS.clone().requires_grad_()
    before = soft_loss(logits, TEACHER, 2.0)
    before.backward()

    assert soft_loss(LOGITS - logits.grad, TEACHER, 2.0) < before


def test_the_temperature_leaves_the_size_of_the_gradients_about_as_it_is():
    """For small logits the softened gradient is 1/T of 1/T, so the square makes up for both."""
    small, teacher = LOGITS / 100, (LOGITS.flip(0) / 100).log_softmax(dim=-1)
    sizes = []
    for temperature in (1.0, 4.0):
        logits = small.clone().requires_grad_()
        soft_loss(logits, teacher, temperature).backward()
        sizes.append(logits.grad.norm().item())

    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_only_the_direction_of_vectors_counts():
    vectors, teacher = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(4))

    assert direction_loss(3 * teacher, teacher).item() == pytest.approx(0, abs=1e-6)
    assert direction_loss(-teacher, teacher).item() == pytest.approx(2)
    expected = 1 - cosine_similarity(vectors, teacher, dim=-1).mean().item()
    assert direction_loss(vectors, teacher).item() == pytest.approx(expected)


targets = st.lists(st.sampled_from([NONE, 0, 1, 2, 3]), min_size=1, max_size=60)


@given(targets)
def test_class_weights_have_the_mean_one_over_labelled_rows(values):
    weights = balanced_weights(torch.tensor(values), 5)
    labelled = [value for value in values if value != NONE]

    assert weights[4] == 1
    assert weights.isfinite().all()
    assert (weights > 0).all()
    if labelled:
        assert weights[labelled].mean().item() == pytest.approx(1, rel=1e-5)


def test_rare_classes_weigh_more_by_the_root_of_their_rarity():
    weights = balanced_weights(torch.tensor([0] * 16 + [1] * 4 + [NONE] * 9), 3)

    assert (weights[1] / weights[0]).item() == pytest.approx(2)
    assert weights[2] == 1
