"""Language-model pre-training: unlabelled texts in, a base for fine-tuning out.

From scratch it trains a tokenizer and a small GPT-2, whose word embeddings may start from those
of an encoder; with the first blocks of an encoder it is a GPT of the first kind
(``classifier.training.warm_start``); from a base that is there already it goes on with the user's
texts (domain adaptation). Texts are joined by the end token and cut into blocks of equal length.
transformers' Trainer does the work, so accelerate and torchrun scale it. Knows no labels.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from classifier.data.datasets import DatasetError
from classifier.model import WeightsError, is_encoder, load_tokenizer, reading_base
from classifier.recipe import RecipeError
from classifier.tokenizer import train_tokenizer
from classifier.training.arguments import training_arguments
from classifier.training.embeddings import token_embeddings
from classifier.training.progress import Callbacks, forget_other_run, last_state
from classifier.training.warm_start import gpt_from_encoder

BASE_RECORD = "pretraining.json"
"""Beside a base: how it was made, for the card of what is fine-tuned from it."""


@dataclass(frozen=True, slots=True)
class PretrainingSettings:
    """The shape of the GPT and the course of its pre-training.

    ``base`` goes on from a causal language model instead of from scratch: shape and vocabulary
    are then its own, and its context where that is shorter. ``embeddings`` names an encoder
    (folder or Hub name) that the word embeddings start from, ``blocks_from`` one that the blocks
    start from too; the width and the heads are then its own. No ``epochs``: it is left as it
    starts. Raises RecipeError.
    """

    layers: int = 6
    width: int = 256
    heads: int = 4
    vocabulary: int = 10_240
    context: int = 128
    epochs: float = 2.0
    batch_blocks: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    dropout: float = 0.05
    base: str | None = None
    embeddings: str | None = None
    blocks_from: str | None = None
    precision: str = "auto"
    seed: int = 7

    def __post_init__(self) -> None:
        starts = [name for name in ("base", "embeddings", "blocks_from") if getattr(self, name)]
        if len(starts) > 1:
            raise RecipeError(f"{' and '.join(starts)} exclude each other: give one")
        if not self.epochs and not starts:
            raise RecipeError("without epochs a base from scratch knows nothing: give some")
        shaped = self.base is None and self.blocks_from is None
        if shaped and self.width % self.heads:
            raise RecipeError(
                f"a width of {self.width} cannot be shared out among {self.heads} heads: give a "
                "multiple"
            )


class Blocks(Dataset[dict[str, torch.Tensor]]):
    """``texts`` as one stream of tokens in blocks of ``context`` tokens; the rest is dropped."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], context: int
    ) -> None:
        encoded: Any = tokenizer(list(texts), add_special_tokens=False) if texts else {}
        end: Any = tokenizer.eos_token_id
        stream = torch.tensor(
            list(chain.from_iterable([*ids, end] for ids in encoded.get("input_ids", ())))
        )
        usable = len(stream) // context * context
        self.blocks = stream[:usable].view(-1, context)  # (N, T)

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.blocks[index], "labels": self.blocks[index]}


def pretrain(
    corpus: Sequence[str],
    output: Path,
    settings: PretrainingSettings | None = None,
    callbacks: Callbacks = (),
    command: str | None = None,
) -> float | None:
    """Train a tokenizer and a GPT-2 on ``corpus``, or go on from a base; save both in ``output``.

    Returns the loss on a hundredth of the texts, in nats a token; None without epochs. A run that
    was killed goes on from its last saved step when called again in the same way. Raises
    DatasetError, WeightsError, EmbeddingsError or WarmStartError before training.
    """
    settings = settings or PretrainingSettings()
    torch.manual_seed(settings.seed)
    model, tokenizer = _start(corpus, settings)
    longest = int(getattr(model.config, "max_position_embeddings", settings.context))
    settings = replace(settings, context=min(settings.context, longest))
    loss = None
    if settings.epochs:
        loss = _train(model, tokenizer, corpus, output, settings, callbacks)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    record = {
        **({"command": command} if command else {}),
        "texts": len(corpus),
        **({"nats_per_token": round(loss, 4)} if loss is not None else {}),
        **asdict(settings),
        "layers": model.config.num_hidden_layers,
        "width": model.config.hidden_size,
        "heads": model.config.num_attention_heads,
    }
    (output / BASE_RECORD).write_text(json.dumps(record, indent=1) + "\n")
    shutil.rmtree(output / "steps", ignore_errors=True)
    return loss


def _train(  # noqa: PLR0913 - what goes in, what comes out, and how
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Sequence[str],
    output: Path,
    settings: PretrainingSettings,
    callbacks: Callbacks,
) -> float:
    train, test = _blocks(corpus, tokenizer, settings)
    steps = output / "steps"
    forget_other_run(steps, (settings, list(corpus)))
    trainer = Trainer(
        model=model,
        args=_arguments(output, settings),
        train_dataset=train,
        eval_dataset=test,
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_state(steps))
    return float(trainer.evaluate()["eval_loss"])


def _start(
    corpus: Sequence[str], settings: PretrainingSettings
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if settings.base is not None:
        return open_language_model(settings.base)
    tokenizer = train_tokenizer(corpus, settings.vocabulary, settings.context)
    if settings.blocks_from is not None:
        encoder, context = settings.blocks_from, settings.context
        return gpt_from_encoder(
            encoder, tokenizer, settings.layers, context, settings.dropout
        ), tokenizer
    model = GPT2LMHeadModel(_shape(settings, tokenizer))
    if settings.embeddings is not None:
        weights = model.transformer.wte.weight
        started = token_embeddings(settings.embeddings, tokenizer, settings.width)
        with torch.no_grad():
            weights.copy_(started * weights.std())
    return model, tokenizer


def open_language_model(base: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model to go on from, folder or Hub name. Raises WeightsError."""
    with reading_base(base):
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        tokenizer = load_tokenizer(base)
    if is_encoder(model.config.model_type):
        raise WeightsError(f"{base} is an encoder: it sees the very token that it would predict")
    return model, tokenizer


def _blocks(
    corpus: Sequence[str], tokenizer: PreTrainedTokenizerBase, settings: PretrainingSettings
) -> tuple[Blocks, Blocks]:
    generator = torch.Generator().manual_seed(settings.seed)
    order = torch.randperm(len(corpus), generator=generator).tolist()
    texts = [corpus[index] for index in order]
    held_out = max(1, len(texts) // 100)
    train = Blocks(tokenizer, texts[:-held_out], settings.context)
    test = Blocks(tokenizer, texts[-held_out:], settings.context)
    if not (len(train) and len(test)):
        raise DatasetError(
            f"{len(texts)} texts are too few: a hundredth of them, held out, must fill a block of "
            f"{settings.context} tokens"
        )
    return train, test


def _shape(settings: PretrainingSettings, tokenizer: PreTrainedTokenizerBase) -> GPT2Config:
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=settings.context,
        n_embd=settings.width,
        n_layer=settings.layers,
        n_head=settings.heads,
        # The same function as GPT-2's own "gelu_new", in one kernel instead of seven.
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=settings.dropout,
        embd_pdrop=settings.dropout,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _arguments(output: Path, settings: PretrainingSettings) -> TrainingArguments:
    return training_arguments(
        output / "steps",
        precision=settings.precision,
        seed=settings.seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_blocks,
        per_device_eval_batch_size=settings.batch_blocks,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adam_beta2=0.98,
        optim="adamw_torch_fused",
        lr_scheduler_type="cosine",
        warmup_steps=100,
        logging_steps=50,
        eval_strategy="steps",
        eval_steps=500,
        save_steps=500,
    )
