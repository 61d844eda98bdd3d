"""The forward pass of any trunk over padded micro-batches, on any device.

What ``classifier.packed`` does not know is read so, and whatever is on a GPU. Out of memory, a
micro-batch is split and the token budget lowered for good. Knows no text, only ids.
"""

from collections.abc import Iterator, Sequence

import structlog
import torch
from torch import Tensor

from classifier.batching import plan
from classifier.model import TwoHeadedModel

log = structlog.get_logger(__name__)


class PaddedModel:
    """A model on its device, in its number format. ``padding`` is the id to fill up with."""

    def __init__(self, model: TwoHeadedModel, device: torch.device, padding: int) -> None:
        self._model = model
        self._device = device
        self._padding = padding
        self.padding_ratio = 0.0
        """Share of the tokens that went through the model last that were there to fill it up."""
        self._most: int | None = None
        """Tokens that fitted after memory once ran out."""

    @torch.inference_mode()
    def logits(self, texts: Sequence[Sequence[int]], token_budget: int) -> tuple[Tensor, Tensor]:
        """Topic logits (N, topics) and sentiment logits (N, sentiments), float32, on the processor.

        Raises torch.OutOfMemoryError where not even one text fits.
        """
        labels = self._model.labels
        topics = torch.empty(len(texts), len(labels.topics))
        sentiments = torch.empty(len(texts), len(labels.sentiments))
        waiting = list(range(len(texts)))
        filled = 0
        while waiting:
            budget = min(token_budget, self._most or token_budget)
            try:
                for indices, input_ids, lengths in self.batches(texts, budget, waiting):
                    topic, sentiment = self._model.logits(input_ids, lengths)
                    filled += input_ids.numel()
                    topics[indices] = topic[: len(indices)].float().cpu()
                    sentiments[indices] = sentiment[: len(indices)].float().cpu()
                    done = set(indices.tolist())
                    waiting = [index for index in waiting if index not in done]
            except torch.OutOfMemoryError:
                if budget <= max(len(texts[index]) for index in waiting):
                    raise
                self._halve(budget)
        self.padding_ratio = 1 - sum(map(len, texts)) / max(1, filled)
        return topics, sentiments

    def _halve(self, budget: int) -> None:
        self._most = budget // 2
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning("token_budget_lowered", to=self._most, was=budget, why="out of memory")

    def batches(
        self,
        texts: Sequence[Sequence[int]],
        token_budget: int,
        chosen: Sequence[int] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Micro-batches: which texts (n,), ``input_ids`` (B, T) and ``lengths`` (B,), n <= B.

        The last B - n rows of a batch are there for its shape only. ``chosen`` are the indices to
        go through; unset: all.
        """
        indices = range(len(texts)) if chosen is None else chosen
        for batch in plan([len(texts[index]) for index in indices], token_budget):
            input_ids = torch.full((batch.rows, batch.length), self._padding)
            lengths = torch.ones(batch.rows, dtype=torch.long)
            members = [indices[place] for place in batch.indices]
            for row, index in enumerate(members):
                input_ids[row, : len(texts[index])] = torch.tensor(texts[index])
                lengths[row] = len(texts[index])
            yield torch.tensor(members), input_ids.to(self._device), lengths.to(self._device)
