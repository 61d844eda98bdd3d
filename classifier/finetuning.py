"""Fine-tuning: labelled texts and a base in, a two-headed classifier out.

Both heads are trained together; a document that carries one label counts nothing for the other
head. transformers' Trainer does the work, so accelerate and torchrun scale it; the epoch with the
best mean of the two macro F1 scores on the development rows is kept. Test rows are not known
here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import EvalPrediction, PreTrainedTokenizerBase, Trainer, TrainingArguments

from classifier.datasets import Example
from classifier.evaluation import macro_f1
from classifier.labels import UNLABELLED, Labels
from classifier.model import TwoHeadedGPT, encode, load_tokenizer, load_trunk


@dataclass(frozen=True, slots=True)
class FinetuningSettings:
    """The course of a fine-tune."""

    epochs: float = 5.0
    batch_texts: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    dropout: float = 0.1
    seed: int = 7


class EncodedExamples(Dataset[dict[str, Any]]):
    """Token ids, topic and sentiment of each example."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], context: int
    ) -> None:
        self.ids = encode(tokenizer, [example.text for example in examples], context)
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example = self.examples[index]
        ids = self.ids[index]
        return {
            "input_ids": ids,
            "length": len(ids),
            "topic": example.topic,
            "sentiment": example.sentiment,
        }


@dataclass(frozen=True, slots=True)
class RightPadding:
    """Puts examples into one batch, padded on the right to the longest of them."""

    padding: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Tensors ``input_ids`` (B, T), ``lengths``, ``topic`` and ``sentiment`` (B,)."""
        longest = max(row["length"] for row in rows)
        input_ids = torch.full((len(rows), longest), self.padding)
        for index, row in enumerate(rows):
            input_ids[index, : row["length"]] = torch.tensor(row["input_ids"])
        return {
            "input_ids": input_ids,
            "lengths": torch.tensor([row["length"] for row in rows]),
            "topic": torch.tensor([row["topic"] for row in rows]),
            "sentiment": torch.tensor([row["sentiment"] for row in rows]),
        }


def finetune(  # noqa: PLR0913 - what goes in, what comes out, and how
    base: str,
    train: Sequence[Example],
    development: Sequence[Example],
    output: Path,
    labels: Labels | None = None,
    settings: FinetuningSettings | None = None,
) -> tuple[TwoHeadedGPT, PreTrainedTokenizerBase]:
    """Fine-tune ``base`` (a folder or a Hub name) whole, both heads at once.

    ``output`` takes the Trainer's working files only; save the result with ``save_weights``.
    """
    settings = settings or FinetuningSettings()
    torch.manual_seed(settings.seed)
    tokenizer = load_tokenizer(base)
    trunk = load_trunk(base)
    model = TwoHeadedGPT(trunk, labels or Labels(), settings.dropout)
    context = min(int(getattr(trunk.config, "max_position_embeddings", 512)), 512)
    padding: Any = tokenizer.pad_token_id
    trainer = Trainer(
        model=model,
        args=_arguments(output, settings),
        train_dataset=EncodedExamples(tokenizer, train, context),
        eval_dataset=EncodedExamples(tokenizer, development, context),
        data_collator=RightPadding(padding),
        compute_metrics=_metrics,
    )
    trainer.train()
    model.eval()
    return model, tokenizer


def _metrics(outcome: EvalPrediction) -> dict[str, float]:
    metrics = {}
    outputs: Any = outcome.predictions
    targets: Any = outcome.label_ids
    for name, logits, target in zip(("topic", "sentiment"), outputs, targets, strict=True):
        labelled = target != UNLABELLED
        if not labelled.any():
            continue
        predicted = logits[labelled].argmax(axis=-1)
        metrics[f"{name}_macro_f1"] = macro_f1(target[labelled], predicted)
        metrics[f"{name}_accuracy"] = float((predicted == target[labelled]).mean())
    measured = [value for name, value in metrics.items() if name.endswith("macro_f1")]
    metrics["macro_f1"] = sum(measured) / max(1, len(measured))
    return metrics


def _arguments(output: Path, settings: FinetuningSettings) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(output),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_texts,
        per_device_eval_batch_size=64,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=100,
        logging_steps=50,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        label_names=["topic", "sentiment"],
        remove_unused_columns=False,
        report_to="none",
        seed=settings.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
