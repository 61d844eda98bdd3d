"""More text of the kind there is, written by a language model that has read it.

After He et al. 2022, "Generate, Annotate, and Learn": a causal language model is tuned on the
texts, its last blocks only, and then writes others one word after another, each drawn from the
likeliest that make up nine tenths (nucleus sampling, Holtzman et al. 2020). What it writes has the
words and turns of the kind, if not always sense; teachers say what they make of it. What was
written is kept in the working folder, so that a killed run goes on. Knows no labels.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    DataCollatorForSeq2Seq,
    DynamicCache,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
)

from classifier.data.datasets import DatasetError, Example, Splits, normal_form
from classifier.hardware import resolve_device, wants_bf16
from classifier.recipe import DistilRecipe
from classifier.training.arguments import training_arguments
from classifier.training.pretraining import open_language_model
from classifier.training.progress import Progress, Told, forget_other_run, last_state
from classifier.training.strategies import freeze_all_but_last

_TUNED_SHARE = 0.4
"""Of the blocks, the last: the first know the language already, and their gradients cost time."""

_EPOCHS, _LEARNING_RATE, _BATCH = 3, 1e-4, 48
_LONGEST = 128
"""Tokens of a text at most, read or written."""

_AT_ONCE = 256
_NUCLEUS, _LIKELIEST = 0.9, 400
_LEAST_WORDS = 4
_SHARE_LEFT = 0.08
"""Once no more than these of a round have no end, they are dropped: they would hold it up."""

_IDLE_ROUNDS = 20
"""Rounds without a new text after which it stays at what there is."""


def generate_like(  # noqa: PLR0913 - like what, by which recipe, where, and who is told
    splits: Splits,
    recipe: DistilRecipe,
    excluded: Collection[str],
    work: Path,
    tell_tuning: Told = lambda *_: None,
    tell_writing: Told = lambda *_: None,
) -> list[Example]:
    """Up to ``recipe.generated`` new texts like the training rows of ``recipe.generated_from``.

    They have its name as their source, and no labels. None has the normal form of a text that is
    held out, ``excluded``, or there already; there are fewer where the model only repeats itself.
    Raises DatasetError without such rows, WeightsError if the generator cannot be read.
    """
    rows = [row for row in splits.train if row.source == recipe.generated_from]
    if not rows:
        raise DatasetError(
            f"no training row is of {recipe.generated_from}; there are those of "
            f"{', '.join(sorted({row.source for row in splits.train}))}: name one in generated_from"
        )
    forget_other_run(work, (recipe.generator, recipe.seed, [row.text for row in rows]))
    known = {*splits.held_out, *excluded, *(normal_form(row.text) for row in rows)}
    kept = work / "texts.jsonl"
    texts = [text for text in _resume(kept) if normal_form(text) not in known]
    if len(texts) < recipe.generated:
        model, tokenizer = open_language_model(str(recipe.generator))
        _tune(model, tokenizer, rows, work / "steps", recipe, tell_tuning)
        rounds = _rounds(model, tokenizer, recipe.precision, recipe.seed + len(texts))
        texts = _gather(rounds, texts, recipe.generated, known, kept, tell_writing)
    return [Example(text, source=rows[0].source) for text in texts[: recipe.generated]]


def _resume(kept: Path) -> list[str]:
    """The texts that were kept; what a kill left of a line at the end is cut off the file."""
    if not kept.exists():
        return []
    whole = kept.read_bytes().rpartition(b"\n")[0]
    kept.write_bytes(whole + b"\n" if whole else b"")
    return [json.loads(line) for line in whole.splitlines()]


class _Texts(Dataset[dict[str, Any]]):
    """Each text between two end tokens, which is where writing begins and ends."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Example], longest: int
    ) -> None:
        texts = [row.text for row in rows]
        encoded: Any = tokenizer(
            texts, add_special_tokens=False, truncation=True, max_length=longest
        )
        end = tokenizer.eos_token_id
        self._ids = [[end, *ids, end] for ids in encoded["input_ids"]]

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids = self._ids[index]
        return {"input_ids": ids, "labels": ids, "length": len(ids)}


def _tune(  # noqa: PLR0913 - what is trained, on what, where, and who is told
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Example],
    steps: Path,
    recipe: DistilRecipe,
    tell: Told,
) -> None:
    """Train the last blocks of ``model`` on the rows, in place."""
    freeze_all_but_last(model, _TUNED_SHARE)
    trainer = Trainer(
        model=model,
        args=training_arguments(
            steps,
            precision=recipe.precision,
            seed=recipe.seed,
            num_train_epochs=_EPOCHS,
            per_device_train_batch_size=_BATCH,
            learning_rate=_LEARNING_RATE,
            lr_scheduler_type="linear",
            warmup_steps=0.05,
            optim="adamw_torch_fused",
            logging_steps=10,
            save_strategy="epoch",
            train_sampling_strategy="group_by_length",
            length_column_name="length",
            remove_unused_columns=False,
        ),
        train_dataset=_Texts(tokenizer, rows, _longest(model)),
        data_collator=DataCollatorForSeq2Seq(tokenizer),  # which gives the padding no label
        callbacks=[Progress(tell)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_state(steps))


def _gather(  # noqa: PLR0913 - who writes, what there is, how many, where, and who is told
    rounds: Iterator[list[str]],
    texts: list[str],
    count: int,
    known: set[str],
    kept: Path,
    tell: Told,
) -> list[str]:
    """``texts`` and what is new in ``rounds``, until there are ``count``."""
    known = known | set(map(normal_form, texts))
    idle = 0
    with kept.open("a", encoding="utf-8") as stream:
        while len(texts) < count and idle < _IDLE_ROUNDS:
            before = len(texts)
            for text in next(rounds):
                form = normal_form(text)
                if len(form.split()) >= _LEAST_WORDS and form not in known:
                    known.add(form)
                    texts.append(text)
                    stream.write(json.dumps(text) + "\n")
            stream.flush()
            idle = 0 if len(texts) > before else idle + 1
            tell(min(len(texts), count), count, {})
    return texts


def _rounds(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, precision: str, seed: int
) -> Iterator[list[str]]:
    """Texts without end, at most ``_AT_ONCE`` a round."""
    device = resolve_device()
    model.to(device, torch.bfloat16 if wants_bf16(precision) else torch.float32).eval()  # type: ignore[arg-type]
    generator = torch.Generator(device).manual_seed(seed)
    end: Any = tokenizer.eos_token_id
    while True:
        written = _write(model, int(end), generator)
        texts = (str(tokenizer.decode(ids, skip_special_tokens=True)) for ids in written)
        yield [" ".join(text.split()) for text in texts]


@torch.inference_mode()
def _write(model: PreTrainedModel, end: int, generator: torch.Generator) -> list[list[int]]:
    """Tokens of the texts of one round that came to their end."""
    cache = DynamicCache(config=model.config)
    begun = torch.full((_AT_ONCE, 1), end, device=generator.device)  # (B, T)
    ended: list[list[int]] = []
    for _ in range(_longest(model) + 1):
        unread = begun[:, cache.get_seq_length() :]  # all of it, where a model keeps no cache
        logits = model(input_ids=unread, cache=cache, use_cache=True).logits[:, -1]
        begun = torch.cat([begun, _draw(logits.float(), generator)[:, None]], dim=1)
        open_ones = begun[:, -1] != end  # (B,)
        ended += begun[~open_ones, 1:-1].tolist()
        if open_ones.sum() < _SHARE_LEFT * _AT_ONCE:
            break
        kept = open_ones.nonzero()[:, 0]
        begun = begun[kept]
        cache.batch_select_indices(kept)
    return ended


def _draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One token a row (B,) of ``logits`` (B, V): of the likeliest that make up the nucleus."""
    top, tokens = logits.topk(min(_LIKELIEST, logits.shape[-1]))
    shares = (top - logits.logsumexp(-1, keepdim=True)).exp()
    before = shares.cumsum(-1) - shares
    shares = shares.masked_fill(before > _NUCLEUS, 0)
    return tokens.gather(1, torch.multinomial(shares, 1, generator=generator))[:, 0]


def _longest(model: PreTrainedModel) -> int:
    """Tokens of a text at most, so that it fits in between two ends."""
    return min(_LONGEST, int(getattr(model.config, "max_position_embeddings", _LONGEST)) - 2)
