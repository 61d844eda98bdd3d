"""The model: any causal language model as trunk, with a topic head and a sentiment head.

Texts are padded on the right and attention is causal, so the hidden state of the last real token
never sees padding: no attention mask is needed and one kernel path serves every batch. A folder
of weights holds the trunk as transformers saves it, the heads, the labels and the tokenizer.
Knows nothing of training, batches of documents or files of text.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from classifier.labels import UNLABELLED, Labels

HEADS_FILE = "heads.safetensors"
LABELS_FILE = "labels.json"


_UNREADABLE = (
    OSError, SafetensorError, RuntimeError, ValueError, TypeError, AttributeError, KeyError
)  # fmt: skip


class WeightsError(RuntimeError):
    """A folder of weights is missing, incomplete or damaged; the message says which and why."""


class TwoHeadedGPT(nn.Module):
    """A causal trunk and two linear heads that read the last token's hidden state."""

    def __init__(self, trunk: PreTrainedModel, labels: Labels, dropout: float = 0.1) -> None:
        super().__init__()
        self.trunk = trunk
        self.labels = labels
        width = int(trunk.config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.topic_head = nn.Linear(width, len(labels.topics))
        self.sentiment_head = nn.Linear(width, len(labels.sentiments))

    def logits(self, input_ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Topic logits (B, topics) and sentiment logits (B, sentiments).

        ``input_ids`` (B, T) are padded on the right, ``lengths`` (B,) count the real tokens.
        """
        hidden = self.trunk(input_ids=input_ids, use_cache=False).last_hidden_state  # (B, T, D)
        rows = torch.arange(input_ids.shape[0], device=input_ids.device)
        last = self.dropout(hidden[rows, lengths - 1])  # (B, D)
        return self.topic_head(last), self.sentiment_head(last)

    def forward(
        self, input_ids: Tensor, lengths: Tensor, topic: Tensor, sentiment: Tensor
    ) -> dict[str, Tensor]:
        """The training step: logits and the loss, in which a missing label counts for nothing."""
        topic_logits, sentiment_logits = self.logits(input_ids, lengths)
        loss = masked_loss(topic_logits, topic) + masked_loss(sentiment_logits, sentiment)
        return {"loss": loss, "topic": topic_logits, "sentiment": sentiment_logits}


def masked_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy summed over the labelled rows and divided by all rows, so heads share a scale.

    ``logits`` (B, C), ``target`` (B,) with ``UNLABELLED`` where there is no label -> scalar.
    """
    total = functional.cross_entropy(logits, target, ignore_index=UNLABELLED, reduction="sum")
    return total / len(target)


def load_trunk(base: str) -> PreTrainedModel:
    """The trunk of a local folder or a Hub name, in float32."""
    trunk: PreTrainedModel = AutoModel.from_pretrained(base, dtype=torch.float32)
    return trunk


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a local folder or a Hub name, padding on the right."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base)
    tokenizer.padding_side = "right"
    tokenizer.truncation_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def save_weights(
    model: TwoHeadedGPT,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Write trunk, heads, labels and tokenizer; rounds ``model`` itself to ``dtype``.

    The rounding happens in place so that what is evaluated afterwards is what was shipped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.to(dtype)
    model.trunk.save_pretrained(folder)
    heads = {k: v.contiguous() for k, v in model.state_dict().items() if not _of_trunk(k)}
    save_file(heads, folder / HEADS_FILE)
    (folder / LABELS_FILE).write_text(json.dumps(asdict(model.labels), indent=1) + "\n")
    tokenizer.save_pretrained(folder)
    model.float()


def load_weights(folder: Path) -> tuple[TwoHeadedGPT, PreTrainedTokenizerBase]:
    """The model in float32, in evaluation mode, and its tokenizer. Raises WeightsError."""
    labels_file = folder / LABELS_FILE
    if not labels_file.exists():
        raise WeightsError(
            f"no weights in {folder}: {LABELS_FILE} is missing; train some with "
            "`tapewatch train` or point TAPEWATCH_WEIGHTS at a folder that has them"
        )
    try:
        labels = Labels(**{k: tuple(v) for k, v in json.loads(labels_file.read_text()).items()})
        model = TwoHeadedGPT(load_trunk(str(folder)), labels)
        missing, unexpected = model.load_state_dict(load_file(folder / HEADS_FILE), strict=False)
        tokenizer = load_tokenizer(str(folder))
    except _UNREADABLE as error:
        raise WeightsError(f"the weights in {folder} cannot be read: {error}") from error
    absent = [name for name in missing if not _of_trunk(name)]
    if absent or unexpected:
        raise WeightsError(f"the heads in {folder} do not fit: {absent or unexpected}")
    model.eval()
    return model, tokenizer


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int
) -> list[list[int]]:
    """Token ids of each text: the first ``max_tokens - 1`` tokens, then the end token.

    The heads read the end token, so it is kept however long the text is.
    """
    ends: Any = tokenizer.eos_token_id
    encoded: Any = tokenizer(
        list(texts), add_special_tokens=False, truncation=True, max_length=max_tokens - 1
    )
    return [[*ids, ends] for ids in encoded["input_ids"]]


def _of_trunk(name: str) -> bool:
    return name.startswith("trunk.")
