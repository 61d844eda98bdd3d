"""The Trainer of two heads: rows and their padding, the loss, the measures on development rows.

transformers' Trainer drives it, so accelerate and torchrun scale it out; ours is only what two
heads with missing labels, and teachers with soft ones, need. Knows no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import EvalPrediction, Trainer
from typing_extensions import override

from classifier.data.datasets import Example
from classifier.evaluation.scores import macro_f1
from classifier.labels import UNLABELLED
from classifier.training.losses import direction_loss, masked_loss, soft_loss

HEADS = ("topic", "sentiment")


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """What teachers say of N texts: log-probabilities a head, and one vector a text.

    None where they say nothing.
    """

    topic: NDArray[np.float16] | None  # (N, topics)
    sentiment: NDArray[np.float16] | None  # (N, sentiments)
    vectors: NDArray[np.float16] | None = None  # (N, D)

    @property
    def by_name(self) -> dict[str, NDArray[np.float16]]:
        """What there is, by what it is about: topic, sentiment, vector."""
        given = {"topic": self.topic, "sentiment": self.sentiment, "vector": self.vectors}
        return {name: values for name, values in given.items() if values is not None}


@dataclass(frozen=True, slots=True)
class LossSettings:
    """How the parts of the loss are weighed.

    ``hard_share`` is the weight of hard labels beside soft ones, where a row has both.
    """

    smoothing: float = 0.0
    hard_share: float = 0.3
    temperature: float = 2.0
    direction: float = 0.0
    topic_weights: Tensor | None = None
    sentiment_weights: Tensor | None = None


class EncodedExamples(Dataset[dict[str, Any]]):
    """Token ids and labels of each example, and what teachers say of it."""

    def __init__(
        self,
        ids: Sequence[Sequence[int]],
        examples: Sequence[Example],
        soft: SoftLabels | None = None,
    ) -> None:
        self.ids = ids
        self.examples = examples
        self.soft = soft

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example, ids = self.examples[index], self.ids[index]
        row = {
            "input_ids": ids,
            "length": len(ids),
            "topic": example.topic,
            "sentiment": example.sentiment,
        }
        if self.soft is not None:
            for name, values in self.soft.by_name.items():
                row[f"soft_{name}"] = values[index]
        return row


@dataclass(frozen=True, slots=True)
class RightPadding:
    """Puts examples into one batch, padded on the right to the longest of them."""

    padding: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Tensors ``input_ids`` (B, T), ``lengths`` and labels (B,), soft labels (B, C)."""
        longest = max(row["length"] for row in rows)
        input_ids = torch.full((len(rows), longest), self.padding)
        for index, row in enumerate(rows):
            input_ids[index, : row["length"]] = torch.tensor(row["input_ids"])
        batch = {
            "input_ids": input_ids,
            "lengths": torch.tensor([row["length"] for row in rows]),
            "topic": torch.tensor([row["topic"] for row in rows]),
            "sentiment": torch.tensor([row["sentiment"] for row in rows]),
        }
        soft = [name for name in rows[0] if name.startswith("soft_")]
        for name in soft:
            batch[name] = torch.from_numpy(np.stack([row[name] for row in rows])).float()
        return batch


class TwoHeadedTrainer(Trainer):
    """A Trainer whose loss is that of both heads; ``losses`` weighs its parts."""

    def __init__(self, *args: Any, losses: LossSettings, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.losses = losses
        # The loss is a mean over the rows of a batch, so accumulated batches must be averaged.
        self.model_accepts_loss_kwargs = False

    @override
    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch (a scalar), with the logits of both heads when asked for."""
        outputs = model(inputs["input_ids"], inputs["lengths"])
        topic, sentiment = (self._head(head, outputs, inputs) for head in HEADS)
        loss = topic + sentiment
        if "soft_vector" in inputs and self.losses.direction:
            loss += self.losses.direction * direction_loss(
                outputs["vector"].float(), inputs["soft_vector"]
            )
        logits = {"loss": loss, **{head: outputs[head] for head in HEADS}}
        return (loss, logits) if return_outputs else loss

    def _head(self, head: str, outputs: dict[str, Tensor], inputs: dict[str, Tensor]) -> Tensor:
        given = self.losses
        weights = given.topic_weights if head == "topic" else given.sentiment_weights
        logits = outputs[head].float()
        if weights is not None:
            weights = weights.to(logits.device)
        hard = masked_loss(logits, inputs[head], given.smoothing, weights)
        if f"soft_{head}" not in inputs:
            return hard
        soft = soft_loss(logits, inputs[f"soft_{head}"], given.temperature)
        return given.hard_share * hard + (1 - given.hard_share) * soft


def measure(outcome: EvalPrediction) -> dict[str, float]:
    """Accuracy and macro F1 of each head, and ``macro_f1``: the mean over the heads."""
    metrics = {}
    outputs: Any = outcome.predictions
    targets: Any = outcome.label_ids
    for name, logits, target in zip(HEADS, outputs, targets, strict=True):
        labelled = target != UNLABELLED
        if not labelled.any():
            continue
        predicted = logits[labelled].argmax(axis=-1)
        metrics[f"{name}_macro_f1"] = macro_f1(target[labelled], predicted)
        metrics[f"{name}_accuracy"] = float((predicted == target[labelled]).mean())
    for measured in ("macro_f1", "accuracy"):
        values = [value for name, value in metrics.items() if name.endswith(f"_{measured}")]
        metrics[measured] = sum(values) / max(1, len(values))
    return metrics
