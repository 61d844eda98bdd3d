"""The model: any language model of transformers as trunk, with a topic and a sentiment head.

What is served is causal: texts are padded on the right, so the hidden state of the last real
token never sees padding, no attention mask is needed and one kernel path serves every batch.
Encoders, which serve as teachers in training only, are read by the mean over their real tokens.
A folder of weights holds the trunk as transformers saves it, the heads, the labels and the
tokenizer. Knows nothing of training, batches of documents or files of text.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoTokenizer,
    OpenAIGPTModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from classifier.errors import ClassifierError
from classifier.labels import Labels
from classifier.last_token import last_hidden
from classifier.tokenizer import without_links

HEADS_FILE = "heads.safetensors"
LABELS_FILE = "labels.json"


_UNREADABLE = (
    OSError, SafetensorError, RuntimeError, ValueError, TypeError, AttributeError, KeyError
)  # fmt: skip


class WeightsError(ClassifierError, RuntimeError):
    """A folder of weights is missing, incomplete or damaged; the message says which and why."""


class TwoHeadedModel(nn.Module):
    """A trunk and two linear heads that read one vector a text."""

    def __init__(self, trunk: PreTrainedModel, labels: Labels, dropout: float = 0.1) -> None:
        super().__init__()
        self.trunk = trunk
        self.labels = labels
        self.encoder = is_encoder(trunk.config.model_type)
        width = int(trunk.config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.topic_head = nn.Linear(width, len(labels.topics))
        self.sentiment_head = nn.Linear(width, len(labels.sentiments))
        self.projection: nn.Linear | None = None
        """While it is distilled: to the vector of its teacher. Never saved."""

    def forward(self, input_ids: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """The training step: logits of both heads, and the projected vector (B, teacher's D)."""
        vector = self.read(input_ids, lengths)
        dropped = self.dropout(vector)
        outputs = {"topic": self.topic_head(dropped), "sentiment": self.sentiment_head(dropped)}
        if self.projection is not None:
            outputs["vector"] = self.projection(vector)
        return outputs

    def read(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """One vector a text (B, D): the last token's hidden state, or an encoder's mean.

        ``input_ids`` (B, T) are padded on the right, ``lengths`` (B,) count the real tokens.
        """
        if self.encoder:
            positions = torch.arange(input_ids.shape[1], device=input_ids.device)
            mask = (positions < lengths[:, None]).long()  # (B, T)
            hidden = self.trunk(input_ids=input_ids, attention_mask=mask).last_hidden_state
            total: Tensor = (hidden * mask[..., None]).sum(dim=1)
            return total / lengths[:, None]
        if isinstance(self.trunk, OpenAIGPTModel):
            return last_hidden(self.trunk, input_ids, lengths)
        hidden = self.trunk(input_ids=input_ids, use_cache=False).last_hidden_state  # (B, T, D)
        rows = torch.arange(input_ids.shape[0], device=input_ids.device)
        return hidden[rows, lengths - 1]  # type: ignore[no-any-return]

    def logits(self, input_ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Topic logits (B, topics) and sentiment logits (B, sentiments); arguments as ``read``."""
        vector = self.dropout(self.read(input_ids, lengths))
        return self.topic_head(vector), self.sentiment_head(vector)

    def divide_heads(self, topic_temperature: float, sentiment_temperature: float) -> None:
        """Divide all logits of each head by its temperature, for good: calibration folded in."""
        with torch.no_grad():
            for head, temperature in (
                (self.topic_head, topic_temperature),
                (self.sentiment_head, sentiment_temperature),
            ):
                head.weight.div_(temperature)
                head.bias.div_(temperature)


def is_encoder(model_type: str) -> bool:
    """Whether models of this type see the whole text at once (BERT and its like)."""
    return model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def load_trunk(base: str) -> PreTrainedModel:
    """The trunk of a local folder or a Hub name, in float32."""
    trunk: PreTrainedModel = AutoModel.from_pretrained(base, dtype=torch.float32)
    if isinstance(trunk, OpenAIGPTModel) and trunk.config.afn == "gelu":
        blocks: Any = trunk.h
        for block in blocks:  # the same function in one kernel instead of seven
            block.mlp.act = nn.GELU(approximate="tanh")
    return trunk


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a local folder or a Hub name, padding on the right. Raises WeightsError.

    One without a padding token pads with its end token: what is padded is never read.
    """
    # For some types of trunk transformers would take a class that brings its own normalizer back.
    ours = all((Path(base) / name).is_file() for name in (LABELS_FILE, "tokenizer.json"))
    kind: Any = PreTrainedTokenizerFast if ours else AutoTokenizer
    tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(base)
    tokenizer.padding_side = "right"
    tokenizer.truncation_side = "right"
    if tokenizer.eos_token is None:
        tokenizer.eos_token = tokenizer.sep_token
    if tokenizer.eos_token is None:
        raise WeightsError(f"the tokenizer of {base} has no end token, which the heads must read")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def open_base(
    base: str, labels: Labels, dropout: float
) -> tuple[TwoHeadedModel, PreTrainedTokenizerBase, tuple[str, ...]]:
    """A model to be trained on ``labels``, its tokenizer, and the names of heads that are new.

    Where ``base`` holds weights of ours, each head whose names agree goes on from theirs; any
    other head starts anew. Raises WeightsError.
    """
    with reading_base(base):
        trunk, tokenizer = load_trunk(base), without_links(load_tokenizer(base))
        _check_tokens(trunk, tokenizer)
    model = TwoHeadedModel(trunk, labels, dropout)
    new = ["topic", "sentiment"]
    if (Path(base) / LABELS_FILE).is_file():
        known, _ = load_weights(Path(base))
        for head, theirs, ours in (
            ("topic", known.labels.topics, labels.topics),
            ("sentiment", known.labels.sentiments, labels.sentiments),
        ):
            if theirs == ours:
                new.remove(head)
                state = getattr(known, f"{head}_head").state_dict()
                getattr(model, f"{head}_head").load_state_dict(state)
    return model, tokenizer, tuple(new)


@contextmanager
def reading_base(base: str) -> Iterator[None]:
    """Raise WeightsError for whatever goes wrong while ``base``, folder or Hub name, is read."""
    try:
        yield
    except WeightsError:
        raise
    except _UNREADABLE as error:
        raise WeightsError(
            f"the base {base!r} cannot be read: {error}; give the folder of a language model, a "
            "name on the Hub that this machine can reach, or `shipped`"
        ) from error


def save_weights(
    model: TwoHeadedModel,
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


def load_weights(folder: Path) -> tuple[TwoHeadedModel, PreTrainedTokenizerBase]:
    """The model in float32, in evaluation mode, and its tokenizer. Raises WeightsError."""
    labels = read_labels(folder)
    try:
        model = TwoHeadedModel(load_trunk(str(folder)), labels)
        missing, unexpected = model.load_state_dict(load_file(folder / HEADS_FILE), strict=False)
        tokenizer = load_tokenizer(str(folder))
    except _UNREADABLE as error:
        raise WeightsError(f"the weights in {folder} cannot be read: {error}") from error
    absent = [name for name in missing if not _of_trunk(name)]
    if absent or unexpected:
        raise WeightsError(f"the heads in {folder} do not fit: {absent or unexpected}")
    model.eval()
    return model, tokenizer


def read_labels(folder: Path) -> Labels:
    """The labels of the weights in ``folder``, without loading them. Raises WeightsError."""
    labels_file = folder / LABELS_FILE
    if not labels_file.exists():
        raise WeightsError(
            f"no weights in {folder}: {LABELS_FILE} is missing; train some with "
            "`tapewatch train` or point TAPEWATCH_WEIGHTS at a folder that has them"
        )
    try:
        named = json.loads(labels_file.read_text())
        return Labels(**{head: tuple(names) for head, names in named.items()})
    except _UNREADABLE as error:
        raise WeightsError(f"{labels_file} cannot be read: {error}") from error


def encode(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_tokens: int,
    *,
    encoder: bool = False,
) -> list[list[int]]:
    """Token ids of each text: the first ``max_tokens - 1`` tokens, then the end token.

    The heads read the end token, so it is kept however long the text is. An encoder's texts get
    the special tokens of its own tokenizer instead.
    """
    if encoder:
        framed: Any = tokenizer(list(texts), truncation=True, max_length=max_tokens)
        return list(framed["input_ids"])
    ends: Any = tokenizer.eos_token_id
    encoded: Any = tokenizer(
        list(texts), add_special_tokens=False, truncation=True, max_length=max_tokens - 1
    )
    return [[*ids, ends] for ids in encoded["input_ids"]]


def _check_tokens(trunk: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise WeightsError if the end token has no embedding; pad with it if the padding has none."""
    embeddings: Any = trunk.get_input_embeddings()
    end: Any = tokenizer.eos_token_id
    padding: Any = tokenizer.pad_token_id
    if end >= embeddings.num_embeddings:
        raise WeightsError(
            f"the end token of the tokenizer has number {end}, but the base has embeddings of "
            f"{embeddings.num_embeddings} tokens: they do not belong together"
        )
    if padding >= embeddings.num_embeddings:
        tokenizer.pad_token = tokenizer.eos_token


def _of_trunk(name: str) -> bool:
    return name.startswith("trunk.")
