"""The engine: texts in, predictions out, on one device, with one set of weights.

A document's numbers depend on its text and the weights alone: not on its neighbours, the batch
size or the padding (``classifier.packed`` and ``classifier.batching`` have the reasons, tests the
proof). Long texts are truncated by one stated rule: the first ``context - 1`` tokens of title and
text, then the end token. Knows no documents, no clock and no files but the folder of weights.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils import logging as hf_logging

from classifier.batching import LENGTH_BUCKETS
from classifier.hardware import exact_int8, fast_bf16, resolve_device
from classifier.labels import Labels
from classifier.linear import FloatLayers, Make
from classifier.model import WeightsError, encode, load_weights
from classifier.packed import ROWS, PackedModel, can_pack
from classifier.padded import PaddedModel
from classifier.prediction import SCALE, Prediction
from classifier.quantization import RANGES_FILE, Int8Ranges, int8_layers, read_ranges

Probabilities = NDArray[np.float64]

PRECISIONS = ("fp32", "bf16", "int8")

TOKEN_BUDGET, PACKED_TOKEN_BUDGET, GPU_TOKEN_BUDGET = 1024, 2048, 32_768
"""Tokens of one micro-batch: on a processor padded, or packed; on a GPU."""

CHARACTERS_READ = 16_384
"""Characters of a text that are tokenized at all: far more than the context holds."""


_OF_VERSION = ("*.safetensors", "tokenizer.json", "labels.json", "config.json", RANGES_FILE)


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """A text as one version of the weights reads it; ``len`` counts its tokens."""

    text: str
    ids: Sequence[int]
    truncated: bool
    model: str

    def __len__(self) -> int:
        return len(self.ids)


class Engine:
    """Weights on a device, ready to score.

    ``device``: auto, cpu, cuda or cuda:N. ``precision``: fp32, bf16, int8, or auto for the fastest
    that the device multiplies in hardware; int8 is for processors, and for weights that know the
    ranges of their activations.
    """

    def __init__(
        self, weights: Path, device: str = "auto", threads: int = 0, precision: str = "auto"
    ) -> None:
        # transformers warns of the missing attention mask, which right padding makes needless.
        hf_logging.set_verbosity_error()
        hf_logging.disable_progress_bar()
        if threads:
            torch.set_num_threads(threads)
        self.device = resolve_device(device)
        self._weights = weights
        model, self.tokenizer = load_weights(weights)
        self.tokenizer.split_special_tokens = True
        ranges = read_ranges(weights)
        self.precision = self._resolve(precision, ranges)
        context = int(getattr(model.trunk.config, "max_position_embeddings", LENGTH_BUCKETS[-1]))
        self.context = min(context, LENGTH_BUCKETS[-1])
        self.packed: PackedModel | None = None
        if self.device.type == "cpu" and can_pack(model.trunk):
            layers = self._layers(ranges)
            self.packed = PackedModel(model, layers, threads=threads or torch.get_num_threads())
        narrow = self.precision == "bf16"
        self.model = model.to(self.device, torch.bfloat16 if narrow else torch.float32)
        self.padded = PaddedModel(model, self.device, int(self.tokenizer.pad_token_id or 0))
        self.token_budget = GPU_TOKEN_BUDGET
        if self.device.type == "cpu":
            self.token_budget = PACKED_TOKEN_BUDGET if self.packed else TOKEN_BUDGET

    def _resolve(self, precision: str, ranges: Int8Ranges | None) -> str:
        if precision == "auto":
            if self.device.type == "cpu" and ranges is not None and exact_int8():
                return "int8"
            return "bf16" if fast_bf16(self.device) else "fp32"
        if precision not in PRECISIONS:
            raise ValueError(f"{precision!r} is no precision: {', '.join(PRECISIONS)} or auto are")
        if precision == "int8" and (self.device.type != "cpu" or ranges is None):
            raise WeightsError(
                f"the weights in {self._weights} cannot serve in int8 on {self.device}: that is "
                f"for processors, and rests on {RANGES_FILE}, which `tapewatch train` writes"
            )
        return precision

    def _layers(self, ranges: Int8Ranges | None) -> Make:
        if self.precision == "int8" and ranges is not None:
            return int8_layers(ranges)
        return FloatLayers(torch.bfloat16 if self.precision == "bf16" else torch.float32)

    @property
    def labels(self) -> Labels:
        """The names of the model's topics and sentiments."""
        return self.model.labels

    @property
    def padding_ratio(self) -> float:
        """Share of the tokens that went through the model last that were there to fill it up."""
        return (self.packed or self.padded).padding_ratio

    @cached_property
    def version(self) -> str:
        """The model's shape and a hash of every file that has a part in a prediction."""
        state = hashlib.sha256()
        for pattern in _OF_VERSION:
            for path in sorted(self._weights.glob(pattern)):
                state.update(path.read_bytes())
        config = self.model.trunk.config
        shape = f"{config.model_type}-{config.num_hidden_layers}x{config.hidden_size}"
        return f"{shape}-{state.hexdigest()[:8]}"

    def score(self, texts: Sequence[str]) -> list[Prediction]:
        """The predictions of ``texts``, in their order."""
        return self.predict(self.tokenize(texts))

    def warm_up(self) -> None:
        """Meet every shape of batch once, so that no document waits while kernels are made."""
        end = [int(self.tokenizer.eos_token_id or 0)]
        if self.packed is not None:
            length = min(ROWS, 1 << (self.context.bit_length() - 1))
            for rows in range(ROWS, self.token_budget + 1, ROWS):
                texts = self.packed.threads * rows // length
                self.packed.logits([end * length] * texts, self.token_budget)
            return
        for length in (bucket for bucket in LENGTH_BUCKETS if bucket <= self.context):
            self.padded.logits([end * length], self.token_budget)

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """The first half of ``score``, on the processor: may go on another thread."""
        tokens, cut = self._tokenize(texts)
        return [
            TokenizedText(text, ids, short, self.version)
            for text, ids, short in zip(texts, tokens, cut, strict=True)
        ]

    def predict(self, tokenized: Sequence[TokenizedText]) -> list[Prediction]:
        """The second half of ``score``, on the device; ``tokenized`` by this same engine."""
        logits = self._forward([text.ids for text in tokenized])
        topics, sentiments = (_scaled(of_head) for of_head in logits)
        return [
            Prediction(
                dict(zip(self.labels.topics, topics[index], strict=True)),
                dict(zip(self.labels.sentiments, sentiments[index], strict=True)),
                self.version,
                len(text),
                text.truncated,
            )
            for index, text in enumerate(tokenized)
        ]

    def logits(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Topic logits (N, topics) and sentiment logits (N, 3), float32 on the processor."""
        return self._forward(self.encode(texts))

    def probabilities(self, texts: Sequence[str]) -> tuple[Probabilities, Probabilities]:
        """Topic probabilities (N, topics) and sentiment probabilities (N, 3), unrounded."""
        topic, sentiment = self.logits(texts)
        return topic.double().softmax(dim=-1).numpy(), sentiment.double().softmax(dim=-1).numpy()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text as the model sees them, cut to the context."""
        return self._tokenize(texts)[0]

    def _tokenize(self, texts: Sequence[str]) -> tuple[list[list[int]], list[bool]]:
        """Token ids of each text, and whether something of it was cut off."""
        if not texts:
            return [], []
        # One token more than fits tells a truncated text from one that just fits.
        heads = [text[:CHARACTERS_READ] for text in texts]
        longer = encode(self.tokenizer, heads, self.context + 1, encoder=self.model.encoder)
        cut = [
            len(ids) > self.context or len(text) > CHARACTERS_READ
            for ids, text in zip(longer, texts, strict=True)
        ]
        tokens = [
            [*ids[: self.context - 1], ids[-1]] if len(ids) > self.context else ids
            for ids in longer
        ]
        return tokens, cut

    def _forward(self, tokens: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Both heads' logits of every text, in order, in float32 on the processor.

        What is the same text twice, a news item that many repeat, goes through the model once.
        """
        places: dict[tuple[int, ...], int] = {}
        rows = [places.setdefault(tuple(ids), len(places)) for ids in tokens]
        reader = self.packed or self.padded
        topics, sentiments = reader.logits(list(places), self.token_budget)
        return topics[rows], sentiments[rows]


def _scaled(logits: Tensor) -> list[list[int]]:
    probabilities = logits.double().softmax(dim=-1)
    scaled: list[list[int]] = (probabilities * SCALE).round().to(torch.int64).tolist()
    return scaled
