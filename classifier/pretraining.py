"""Language-model pre-training from scratch: unlabelled texts in, a base for fine-tuning out.

Texts are joined by the end token and cut into blocks of equal length. transformers' Trainer does
the work, so accelerate and torchrun scale it. Knows no labels.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

from classifier.datasets import DatasetError
from classifier.tokenizer import train_tokenizer

BASE_RECORD = "pretraining.json"
"""Beside a base: how it was made, for the card of what is fine-tuned from it."""


@dataclass(frozen=True, slots=True)
class PretrainingSettings:
    """The shape of the GPT and the course of its pre-training."""

    layers: int = 4
    width: int = 192
    heads: int = 3
    vocabulary: int = 8192
    context: int = 128
    epochs: float = 2.5
    batch_blocks: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    dropout: float = 0.05
    seed: int = 7


class Blocks(Dataset[dict[str, torch.Tensor]]):
    """``texts`` as one stream of tokens in blocks of ``context`` tokens; the rest is dropped."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], context: int
    ) -> None:
        encoded: Any = tokenizer(list(texts), add_special_tokens=False)
        end: Any = tokenizer.eos_token_id
        stream = torch.tensor(
            list(chain.from_iterable([*ids, end] for ids in encoded["input_ids"]))
        )
        usable = len(stream) // context * context
        self.blocks = stream[:usable].view(-1, context)  # (N, T)

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.blocks[index], "labels": self.blocks[index]}


def pretrain(
    corpus: Sequence[str], output: Path, settings: PretrainingSettings | None = None
) -> float:
    """Train a tokenizer and a GPT-2 on ``corpus`` and save both in ``output``.

    Returns the loss on the last hundredth of the texts, in nats a token.
    """
    settings = settings or PretrainingSettings()
    tokenizer = train_tokenizer(corpus, settings.vocabulary, settings.context)
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
    torch.manual_seed(settings.seed)
    model = GPT2LMHeadModel(_shape(settings, tokenizer))
    trainer = Trainer(
        model=model,
        args=_arguments(output, settings),
        train_dataset=train,
        eval_dataset=test,
    )
    trainer.train()
    loss = float(trainer.evaluate()["eval_loss"])
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    record = {"texts": len(corpus), "nats_per_token": round(loss, 4), **asdict(settings)}
    (output / BASE_RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return loss


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
    return TrainingArguments(
        output_dir=str(output / "steps"),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_blocks,
        per_device_eval_batch_size=settings.batch_blocks,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=100,
        logging_steps=50,
        eval_strategy="steps",
        eval_steps=200,
        save_steps=200,
        save_total_limit=1,
        report_to="none",
        seed=settings.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
