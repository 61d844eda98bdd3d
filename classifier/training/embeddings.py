"""Word embeddings to start from: what an encoder makes of each token of our vocabulary.

Every token's text goes through the encoder by itself and the vectors are reduced to the width
asked for by their principal components, as static embeddings are distilled in Model2Vec (van
Dongen and Tulkens 2024). Words that are rare in the texts at hand so start with a meaning.
"""

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from classifier.errors import ClassifierError
from classifier.model import is_encoder, load_tokenizer, load_trunk, reading_base

_BATCH = 256


class EmbeddingsError(ClassifierError, ValueError):
    """The encoder cannot give word embeddings; the message says why."""


def token_embeddings(encoder: str, tokenizer: PreTrainedTokenizerBase, width: int) -> Tensor:
    """One vector (V, width) for each token of ``tokenizer``, with mean 0 and deviation 1 over all.

    ``encoder`` is a folder or a Hub name. Raises EmbeddingsError, or WeightsError if it cannot be
    read.
    """
    with reading_base(encoder):
        trunk, theirs = load_trunk(encoder), load_tokenizer(encoder)
    if not is_encoder(trunk.config.model_type):
        raise EmbeddingsError(f"{encoder} is no encoder: its first word never sees the second")
    if trunk.config.hidden_size < width:
        raise EmbeddingsError(
            f"{encoder} is {trunk.config.hidden_size} wide, and {width} is asked for"
        )
    if len(tokenizer) < width:
        raise EmbeddingsError(f"{len(tokenizer)} tokens cannot fill {width} directions")
    trunk.eval()
    words = [str(tokenizer.decode([index])).strip() or "." for index in range(len(tokenizer))]
    vectors = torch.cat(
        [
            _means(trunk, theirs, words[first : first + _BATCH])
            for first in range(0, len(words), _BATCH)
        ]
    )
    return _principal(vectors, width)


@torch.inference_mode()
def _means(trunk: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, words: list[str]) -> Tensor:
    batch = tokenizer(words, padding=True, truncation=True, max_length=16, return_tensors="pt")
    seen = batch["attention_mask"]
    hidden = trunk(input_ids=batch["input_ids"], attention_mask=seen).last_hidden_state  # (B, T, D)
    mask = seen[..., None]
    means: Tensor = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
    return means


def _principal(vectors: Tensor, width: int) -> Tensor:
    centred = vectors - vectors.mean(dim=0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    reduced: Tensor = centred @ directions[:width].T
    return (reduced - reduced.mean()) / reduced.std()
