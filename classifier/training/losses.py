"""Losses of the two heads: hard labels that may be missing, and the soft labels of teachers.

Every loss is summed over the rows it knows and divided by all rows of the batch, so that a head
with few labels is not heard louder than one with many. Pure; knows no model.
"""

import torch
from torch import Tensor
from torch.nn import functional

from classifier.labels import UNLABELLED


def masked_loss(
    logits: Tensor, target: Tensor, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Cross entropy of ``logits`` (B, C) against class indices ``target`` (B,), a scalar.

    Rows with ``UNLABELLED`` count nothing; ``weights`` (C,) weigh the classes.
    """
    total = functional.cross_entropy(
        logits,
        target,
        weight=weights,
        ignore_index=UNLABELLED,
        reduction="sum",
        label_smoothing=smoothing,
    )
    return total / len(target)


def soft_loss(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Distillation loss (Hinton, Vinyals and Dean 2015): cross entropy with softened teachers.

    ``logits`` (B, C) against ``teacher`` (B, C), the teacher's log-probabilities at temperature
    1; both are softened by ``temperature`` and the loss is scaled by its square, so that its
    gradients keep their size. The least value is the teacher's entropy, taken off: zero is perfect.
    """
    softened = functional.log_softmax(teacher / temperature, dim=-1)
    student = functional.log_softmax(logits / temperature, dim=-1)
    divergence = functional.kl_div(student, softened, reduction="batchmean", log_target=True)
    return divergence * temperature**2


def direction_loss(vectors: Tensor, teacher: Tensor) -> Tensor:
    """One minus the mean cosine between ``vectors`` (B, D) and ``teacher`` (B, D), a scalar."""
    return 1 - functional.cosine_similarity(vectors, teacher, dim=-1).mean()


def balanced_weights(targets: Tensor, classes: int) -> Tensor:
    """Class weights (C,) in inverse proportion to the root of the frequency, with mean 1 a row.

    ``targets`` (N,) may hold ``UNLABELLED``. The root, not the frequency itself: rare classes
    are helped without letting their few rows rule the loss. Classes without rows weigh 1.
    """
    counts = torch.bincount(targets[targets != UNLABELLED], minlength=classes).double()
    weights = counts.clamp(min=1).rsqrt()
    weights[counts == 0] = 0
    mean = (weights * counts).sum() / counts.sum().clamp(min=1)
    scaled = weights / mean.clamp(min=1e-12)
    scaled[counts == 0] = 1
    return scaled.float()
