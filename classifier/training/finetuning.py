"""Fine-tuning: labelled texts and a base in, a two-headed classifier out.

Both heads are trained together; a document that carries one label counts nothing for the other
head. The epoch that does best on the development rows is kept. Test rows are not known here.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    EarlyStoppingCallback,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainingArguments,
)

from classifier.data.datasets import DatasetError, Example, check_trainable
from classifier.labels import UNLABELLED, Labels
from classifier.model import TwoHeadedModel, encode
from classifier.recipe import Recipe
from classifier.training.arguments import training_arguments
from classifier.training.losses import balanced_weights
from classifier.training.progress import Callbacks, last_state
from classifier.training.strategies import choose_trained, make_optimizer, merge_trained
from classifier.training.trainer import (
    HEADS,
    EncodedExamples,
    LossSettings,
    RightPadding,
    SoftLabels,
    TwoHeadedTrainer,
    measure,
)

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def finetune(  # noqa: PLR0913 - what goes in, what comes out, and how
    model: TwoHeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    train: Sequence[Example],
    development: Sequence[Example],
    output: Path,
    recipe: Recipe | None = None,
    *,
    soft: SoftLabels | None = None,
    losses: LossSettings | None = None,
    callbacks: Callbacks = (),
) -> None:
    """Fine-tune ``model`` in place.

    ``soft`` are teachers' labels of the training rows. ``output`` takes the Trainer's working
    files only, from which a killed run goes on; save the result with ``save_weights``. Raises
    DatasetError or StrategyError before anything is trained.
    """
    recipe = recipe or Recipe()
    labels = model.labels
    if soft is None:
        check_trainable(train, labels)
    _check_metric(recipe, development)
    torch.manual_seed(recipe.seed)
    if soft is not None and soft.vectors is not None:
        width = int(model.trunk.config.hidden_size)
        model.projection = nn.Linear(width, soft.vectors.shape[1])
    choose_trained(model, recipe)
    _set_dropout(model.trunk, recipe.trunk_dropout)
    trainer = TwoHeadedTrainer(
        model=model,
        args=_arguments(output, recipe),
        train_dataset=_encoded(model, tokenizer, train, soft, recipe),
        eval_dataset=_encoded(model, tokenizer, development, None, recipe),
        data_collator=RightPadding(_padding(tokenizer)),
        compute_metrics=measure,
        optimizers=(make_optimizer(model, recipe), None),
        callbacks=[*callbacks, *_stopping(recipe)],
        losses=_losses(losses or LossSettings(), recipe, train, labels),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_state(output))
    merge_trained(model)
    model.projection = None
    model.eval()


def _set_dropout(trunk: nn.Module, share: float | None) -> None:
    for module in trunk.modules():
        if share is not None and isinstance(module, nn.Dropout):
            module.p = share


def training_context(model: TwoHeadedModel, recipe: Recipe) -> int:
    """Tokens of a training text at most."""
    context = getattr(model.trunk.config, "max_position_embeddings", recipe.max_tokens)
    return min(int(context), recipe.max_tokens)


def _check_metric(recipe: Recipe, development: Sequence[Example]) -> None:
    """Raise DatasetError where no development row can say which epoch is best."""
    heads = [head for head in HEADS if recipe.metric.startswith(head)] or HEADS
    if not any(getattr(row, head) != UNLABELLED for row in development for head in heads):
        raise DatasetError(
            f"no development row has a {' or a '.join(heads)}, so {recipe.metric} cannot choose "
            "the best epoch: give more rows, or another metric"
        )


def _encoded(
    model: TwoHeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Example],
    soft: SoftLabels | None,
    recipe: Recipe,
) -> EncodedExamples:
    texts = [example.text for example in rows]
    ids = encode(tokenizer, texts, training_context(model, recipe), encoder=model.encoder)
    return EncodedExamples(ids, rows, soft)


def _padding(tokenizer: PreTrainedTokenizerBase) -> int:
    padding: Any = tokenizer.pad_token_id
    return int(padding)


def _stopping(recipe: Recipe) -> list[EarlyStoppingCallback]:
    return [EarlyStoppingCallback(recipe.patience)] if recipe.patience else []


def _losses(
    given: LossSettings, recipe: Recipe, train: Sequence[Example], labels: Labels
) -> LossSettings:
    given = replace(given, smoothing=recipe.label_smoothing)
    if not recipe.class_weights:
        return given
    topics = torch.tensor([example.topic for example in train])
    sentiments = torch.tensor([example.sentiment for example in train])
    return replace(
        given,
        topic_weights=balanced_weights(topics, len(labels.topics)),
        sentiment_weights=balanced_weights(sentiments, len(labels.sentiments)),
    )


def _arguments(output: Path, recipe: Recipe) -> TrainingArguments:
    return training_arguments(
        output,
        precision=recipe.precision,
        seed=recipe.seed,
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_texts,
        per_device_eval_batch_size=64,
        gradient_accumulation_steps=recipe.accumulate,
        lr_scheduler_type=_SCHEDULES[recipe.schedule],
        warmup_steps=recipe.warmup_share,
        logging_steps=50,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model=recipe.metric,
        greater_is_better=recipe.metric != "loss",
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        label_names=["topic", "sentiment"],
        remove_unused_columns=False,
    )
