"""What a user would pick instead of the engine: transformers' pipeline, and ONNX Runtime.

The same weights: a causal model for classification of transformers, with both heads' rows as one.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import OpenAIGPTForSequenceClassification, pipeline

from classifier.engine import Engine
from classifier.model import load_weights

Score = Callable[[Sequence[str]], int]


def pipeline_of(engine: Engine, weights: Path, batch_size: int, dtype: torch.dtype) -> Score:
    """`pipeline("text-classification")` over the texts as they come, padded batch by batch."""
    ours, tokenizer = load_weights(weights)
    config = ours.trunk.config
    config.num_labels = sum(map(len, (ours.labels.topics, ours.labels.sentiments)))
    model = OpenAIGPTForSequenceClassification(config)
    model.transformer = ours.trunk
    with torch.no_grad():
        model.score.weight.copy_(torch.cat([ours.topic_head.weight, ours.sentiment_head.weight]))
    classify: Any = pipeline(
        "text-classification", model=model.eval().to(engine.device, dtype), tokenizer=tokenizer,
        device=engine.device, top_k=None,
    )  # fmt: skip

    def score(texts: Sequence[str]) -> int:
        found = classify(
            list(texts), batch_size=batch_size, truncation=True, max_length=engine.context
        )
        return len(found)

    return score


class _Logits(nn.Module):
    """The model as a graph: ids (B, T), padded on the right, and lengths (B,) to logits (B, 23)."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.model = load_weights(weights)[0]

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        hidden = self.model.trunk(input_ids=input_ids, use_cache=False).last_hidden_state
        place = (lengths - 1)[:, None, None].expand(-1, 1, hidden.shape[-1])
        vector = hidden.gather(1, place)[:, 0]
        return torch.cat([self.model.topic_head(vector), self.model.sentiment_head(vector)], dim=1)


class OnnxModel:
    """ONNX Runtime on processors, over batches sorted by length and padded to the longest text."""

    def __init__(self, engine: Engine, weights: Path, *, int8: bool) -> None:
        import onnxruntime  # noqa: PLC0415 - of the benchmarks alone
        from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

        self._engine = engine
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory() as folder:
            graph = Path(folder) / "model.onnx"
            _export(weights, graph)
            if int8:
                narrow = graph.with_name("int8.onnx")
                logging.disable(logging.WARNING)  # it advises what changes nothing here
                quantize_dynamic(graph, narrow, weight_type=QuantType.QInt8)
                logging.disable(logging.NOTSET)
                graph = narrow
            self._session = onnxruntime.InferenceSession(
                graph.read_bytes(), options, providers=["CPUExecutionProvider"]
            )

    def logits(self, texts: Sequence[str], rows: int = 32) -> NDArray[np.float32]:
        """Topic and sentiment logits (N, 23), in batches of ``rows`` texts."""
        tokens = self._engine.encode(texts)
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
        found = []
        for first in range(0, len(order), rows):
            chosen = [tokens[index] for index in order[first : first + rows]]
            lengths = np.array([len(ids) for ids in chosen])
            input_ids = np.ones((len(chosen), lengths.max()), np.int64)
            for row, ids in enumerate(chosen):
                input_ids[row, : len(ids)] = ids
            given = {"input_ids": input_ids, "lengths": lengths}
            found.append(self._session.run(None, given)[0])
        logits: NDArray[np.float32] = np.empty((len(tokens), found[0].shape[1]), np.float32)
        logits[order] = np.concatenate(found)
        return logits

    def score(self, texts: Sequence[str]) -> int:
        """Score them and say how many there were."""
        return len(self.logits(texts))


def _export(weights: Path, graph: Path) -> None:
    example = (torch.ones(4, 16, dtype=torch.long), torch.full((4,), 16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Logits(weights).eval(), example, str(graph), dynamo=False, opset_version=18,
            input_names=["input_ids", "lengths"], output_names=["logits"],
            dynamic_axes={"input_ids": {0: "rows", 1: "tokens"}, "lengths": {0: "rows"}},
        )  # fmt: skip
