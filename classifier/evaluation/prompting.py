"""Prompting a causal language model as a classifier: no training, no generation, no parsing.

Each class is scored by the likelihood of its name as the prompt's continuation, so the answer is
always one of the classes and always a probability. Without examples in the prompt this is
zero-shot, with some it is few-shot prompting (Brown et al. 2020). The common beginning of all
prompts goes through the model once; rows of equal length go through together, so nothing is ever
padded and a model without a padding token will do.
"""

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.utils import logging as hf_logging

from classifier.data.datasets import Example
from classifier.errors import ClassifierError
from classifier.evaluation.calibration import softmax
from classifier.evaluation.confusion import Floats
from classifier.evaluation.prompts import CONTENT_FREE, Prompt, Tokens, make_prompt
from classifier.hardware import fast_bf16, resolve_device
from classifier.labels import Labels
from classifier.model import HEADS_FILE, is_encoder

LONGEST_CONTEXT = 2048
"""Tokens of a prompt at most, however long the model's context is."""

BATCH_TOKENS = 2048
"""Tokens of the rows that go through together, the common beginning of each counted."""


class PromptingError(ClassifierError, ValueError):
    """A language model cannot be prompted; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A causal language model on a device, with its tokenizer and context in tokens."""

    name: str
    model: Any
    tokenizer: Any
    context: int

    def tokens(self, text: str) -> Tokens:
        """The token ids of ``text``, without special tokens."""
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """How to prompt. ``shots`` is the number of examples for each head; 0 is zero-shot.

    ``normalise`` divides the log-likelihood of a class's name by its tokens, so that long names
    are not less likely for being long. ``calibrate`` divides by the probabilities of inputs
    without content (Zhao et al. 2021, "Calibrate Before Use"), so that common names are not
    likelier for being common.
    """

    shots: int = 0
    normalise: bool = True
    calibrate: bool = True
    seed: int = 7


def load_language_model(name: str, device: str = "auto") -> LanguageModel:
    """Load a folder or a Hub name. Raises PromptingError."""
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    on = resolve_device(device)
    dtype = torch.bfloat16 if on.type == "cuda" and fast_bf16(on) else torch.float32
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name, dtype=dtype, output_loading_info=True
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise PromptingError(f"the language model {name!r} cannot be read: {error}") from error
    model, info = loaded
    tokenizer.split_special_tokens = True  # a text may spell them, but cannot use them
    if why := _no_language_model(name, model.config.model_type, sorted(info["missing_keys"])):
        raise PromptingError(
            f"{name!r} is no causal language model: {why}; name one such as gpt2, or a folder "
            "that `tapewatch pretrain` wrote"
        )
    context = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
    shown = name.rstrip("/").rsplit("/", maxsplit=1)[-1]
    return LanguageModel(shown, model.to(on).eval(), tokenizer, min(context, LONGEST_CONTEXT))


def _no_language_model(name: str, kind: str, absent: Sequence[str]) -> str | None:
    """Why what was loaded says nothing of next words; None where it does."""
    if (Path(name) / HEADS_FILE).is_file():  # its trunk would load, its last layer is the heads'
        return "its weights are a classifier's"
    if absent:
        return f"it lacks {absent[0]}"
    return "it is an encoder" if is_encoder(kind) else None


class PromptedClassifier:
    """A language model that is prompted with a text and asked for its topic and its sentiment."""

    def __init__(  # noqa: PLR0913 - the model, the question and how it is asked
        self,
        lm: LanguageModel,
        labels: Labels,
        settings: PromptSettings | None = None,
        examples: Sequence[Example] = (),
        heads: Collection[str] = ("topic", "sentiment"),
        advance: Callable[[int], None] | None = None,
    ) -> None:
        """Ask for ``heads`` only; others are NaN. Few-shot examples are drawn from ``examples``.

        ``advance`` hears how many texts more are done for a head. Raises PromptingError if the
        model's context is too short for a prompt, or a head has no example to show.
        """
        settings = settings or PromptSettings()
        self.labels = labels
        self._names = {"topic": labels.topics, "sentiment": labels.sentiments}
        self._heads = {
            head: _PromptedHead(
                lm, _prompt(lm, head, self._names[head], settings, examples), settings, advance
            )
            for head in self._names
            if head in heads
        }
        self.shots = {head: prompted.prompt.shots for head, prompted in self._heads.items()}
        self.version = f"{lm.name}, {_told(self.shots)}"

    def probabilities(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Topics (N, topics) and sentiments (N, sentiments)."""
        return self.of_head("topic", texts), self.of_head("sentiment", texts)

    def of_head(self, head: str, texts: Sequence[str]) -> Floats:
        """The probabilities (N, C) of one head."""
        if head not in self._heads:
            return np.full((len(texts), len(self._names[head])), np.nan)
        return self._heads[head].probabilities(texts)


class _PromptedHead:
    """One head: its prompt, and the cache of the prompt's common beginning."""

    def __init__(
        self,
        lm: LanguageModel,
        prompt: Prompt,
        settings: PromptSettings,
        advance: Callable[[int], None] | None,
    ) -> None:
        self.prompt = prompt
        self._model = lm.model
        self._tokens = lm.tokens
        self._settings = settings
        self._advance = advance
        self._beginning = DynamicCache(config=lm.model.config)
        if prompt.beginning:
            with torch.inference_mode():
                self._forward([prompt.beginning], self._beginning)
        self._prior: Floats | None = None
        if settings.calibrate:
            self._prior = softmax(self._score(CONTENT_FREE)).mean(axis=0)

    def probabilities(self, texts: Sequence[str]) -> Floats:
        shares = softmax(self._score(texts, self._advance))
        if self._prior is None:
            return shares
        shares = shares / self._prior
        return shares / shares.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def _score(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> Floats:
        """The log-likelihood (N, C) of each class's name after each text's prompt."""
        rows = [self.prompt.row(self._tokens, text) for text in texts]
        scores = np.empty((len(rows), len(self.prompt.answers)))
        for batch in _batches([len(row) for row in rows], len(self.prompt.beginning)):
            with torch.inference_mode():
                scores[batch] = self._run([rows[i] for i in batch])
            if advance:
                advance(len(batch))
        return scores

    def _run(self, rows: Sequence[Tokens]) -> Floats:
        """Scores (B, C) of rows of one length: the rows once, then each answer after them."""
        cache = copy.deepcopy(self._beginning)
        if self.prompt.beginning:
            cache.batch_repeat_interleave(len(rows))
        first = self._forward(rows, cache)[:, -1]  # (B, V)
        scores = []
        for answer in self.prompt.answers:
            score = first[:, answer[0]]
            if len(answer) > 1:
                # The cache grows in place; not every kind of layer can be cut back.
                after = self._forward([answer[:-1]] * len(rows), copy.deepcopy(cache))
                following = torch.tensor(answer[1:], device=after.device)
                wanted = following.expand(len(rows), -1)[..., None]  # (B, L - 1, 1)
                score = score + after.gather(2, wanted).sum(dim=(1, 2))
            scores.append(score / (len(answer) if self._settings.normalise else 1))
        return torch.stack(scores, dim=1).double().cpu().numpy()

    def _forward(self, rows: Sequence[Tokens], cache: DynamicCache) -> Tensor:
        """Log-probabilities (B, T, V) of the token after each of ``rows`` (B, T)."""
        ids = torch.tensor(rows, device=self._model.device)
        logits = self._model(input_ids=ids, cache=cache, use_cache=True).logits
        return torch.log_softmax(logits.float(), dim=-1)


def draw_shots(examples: Sequence[Example], head: str, count: int, seed: int) -> list[Example]:
    """``count`` examples with a label of ``head``, in turn from each class, so that they balance.

    The order is that of their worth: where only some fit, the first should be taken.
    """
    order = np.random.default_rng(seed).permutation(len(examples))
    by_class: dict[int, list[Example]] = {}
    for index in order:
        label = getattr(examples[index], head)
        if label >= 0:
            by_class.setdefault(label, []).append(examples[index])
    turns = max((len(of_class) for of_class in by_class.values()), default=0)
    classes = [of_class for _, of_class in sorted(by_class.items())]
    drawn = (of_class[t] for t in range(turns) for of_class in classes if t < len(of_class))
    return [example for example, _ in zip(drawn, range(count), strict=False)]


def _prompt(
    lm: LanguageModel,
    head: str,
    names: Sequence[str],
    settings: PromptSettings,
    examples: Sequence[Example],
) -> Prompt:
    shots = draw_shots(examples, head, settings.shots, settings.seed)
    if settings.shots and not shots:
        raise PromptingError(
            f"no row with a {head} is there to show in a few-shot prompt; give rows that have one"
        )
    prompt = make_prompt(lm.tokens, lm.context, head, names, shots, _begin(lm.tokenizer))
    if prompt is None:
        example = "an example and " if shots else ""
        raise PromptingError(
            f"the context of {lm.name}, {lm.context} tokens, is too short for {example}a text "
            f"and a {head}; take a model with a longer one"
        )
    return prompt


def _batches(lengths: Sequence[int], beginning: int) -> Iterator[list[int]]:
    """Indices of rows of equal length, the shortest first, by ``BATCH_TOKENS``."""
    by_length: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        by_length.setdefault(length, []).append(index)
    for length, indices in sorted(by_length.items()):
        size = max(1, BATCH_TOKENS // (length + beginning))
        for first in range(0, len(indices), size):
            yield indices[first : first + size]


def _begin(tokenizer: Any) -> Tokens:  # noqa: ANN401 - transformers' tokenizers
    """The token that texts begin with in this model's training, if it has one."""
    return () if tokenizer.bos_token_id is None else (tokenizer.bos_token_id,)


def _told(shots: dict[str, int]) -> str:
    if not any(shots.values()):
        return "zero-shot"
    return "few-shot (" + ", ".join(f"{head} {count}" for head, count in shots.items()) + ")"
