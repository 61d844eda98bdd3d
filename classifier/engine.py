"""The engine: texts in, predictions out, on one device, with one set of weights.

A document's numbers depend on its text and the weights alone: not on its neighbours, the batch
size or the padding (``classifier.batching`` has the reason, a test the proof). Long texts are
truncated by one stated rule: the first ``context - 1`` tokens of title and text, then the end
token. Knows no documents, no clock and no files but the folder of weights.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from transformers.utils import logging as hf_logging

from classifier.batching import LENGTH_BUCKETS, MicroBatch, plan
from classifier.labels import Labels
from classifier.model import encode, load_weights
from classifier.prediction import SCALE, Prediction

TOKEN_BUDGET = 1024
"""Tokens of one micro-batch on a processor; a GPU takes ``GPU_TOKEN_BUDGET``."""

GPU_TOKEN_BUDGET = 32_768
CHARACTERS_READ = 16_384
"""Characters of a text that are tokenized at all: far more than the context holds."""


class Engine:
    """Weights on a device, ready to score. ``device``: auto, cpu, cuda or cuda:N."""

    def __init__(self, weights: Path, device: str = "auto", threads: int = 0) -> None:
        # transformers warns of the missing attention mask, which right padding makes needless.
        hf_logging.set_verbosity_error()
        hf_logging.disable_progress_bar()
        if threads:
            torch.set_num_threads(threads)
        self.device = torch.device(_resolve(device))
        on_gpu = self.device.type == "cuda"
        self.token_budget = GPU_TOKEN_BUDGET if on_gpu else TOKEN_BUDGET
        model, self._tokenizer = load_weights(weights)
        self._tokenizer.split_special_tokens = True
        self._model = model.to(self.device, torch.bfloat16 if on_gpu else torch.float32)
        context = int(getattr(model.trunk.config, "max_position_embeddings", LENGTH_BUCKETS[-1]))
        self.context = min(context, LENGTH_BUCKETS[-1])
        self._weights = weights

    @property
    def labels(self) -> Labels:
        """The names of the model's topics and sentiments."""
        return self._model.labels

    @cached_property
    def version(self) -> str:
        """The model's shape and a hash of every file that has a part in a prediction."""
        state = hashlib.sha256()
        for pattern in ("*.safetensors", "tokenizer.json", "labels.json", "config.json"):
            for path in sorted(self._weights.glob(pattern)):
                state.update(path.read_bytes())
        config = self._model.trunk.config
        shape = f"{config.model_type}-{config.num_hidden_layers}x{config.hidden_size}"
        return f"{shape}-{state.hexdigest()[:8]}"

    def score(self, texts: Sequence[str]) -> list[Prediction]:
        """The predictions of ``texts``, in their order."""
        if not texts:
            return []
        # One token more than fits tells a truncated text from one that just fits.
        heads = [text[:CHARACTERS_READ] for text in texts]
        longer = encode(self._tokenizer, heads, self.context + 1)
        cut = [len(ids) > self.context for ids in longer]
        tokens = [
            [*ids[: self.context - 1], ids[-1]] if too_long else ids
            for ids, too_long in zip(longer, cut, strict=True)
        ]
        predictions: list[Prediction | None] = [None] * len(texts)
        for batch in plan([len(ids) for ids in tokens], self.token_budget):
            topics, sentiments = self._probabilities(batch, tokens)
            for row, index in enumerate(batch.indices):
                predictions[index] = Prediction(
                    dict(zip(self.labels.topics, topics[row], strict=True)),
                    dict(zip(self.labels.sentiments, sentiments[row], strict=True)),
                    self.version,
                    len(tokens[index]),
                    cut[index] or len(texts[index]) > CHARACTERS_READ,
                )
        return [prediction for prediction in predictions if prediction is not None]

    def _probabilities(
        self, batch: MicroBatch, tokens: Sequence[Sequence[int]]
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Topic and sentiment probabilities of each row of the batch, in units of 1e-4."""
        padding = int(self._tokenizer.pad_token_id or 0)
        input_ids = torch.full((batch.rows, batch.length), padding)
        lengths = torch.ones(batch.rows, dtype=torch.long)
        for row, index in enumerate(batch.indices):
            ids = tokens[index]
            input_ids[row, : len(ids)] = torch.tensor(ids)
            lengths[row] = len(ids)
        with torch.inference_mode():
            topic, sentiment = self._model.logits(
                input_ids.to(self.device), lengths.to(self.device)
            )
        used = len(batch.indices)
        return _scaled(topic[:used]), _scaled(sentiment[:used])


def _scaled(logits: Tensor) -> list[list[int]]:
    probabilities = logits.double().softmax(dim=-1)
    scaled: list[list[int]] = (probabilities * SCALE).round().to(torch.int64).tolist()
    return scaled


def _resolve(device: str) -> str:
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
