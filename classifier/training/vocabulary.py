"""A larger vocabulary for weights that are there: what was learned stays, more words are whole.

Byte-level BPE is trained anew on the texts at hand. A token that the old vocabulary has keeps its
embedding; a new one starts from the mean of the pieces that the old vocabulary cuts it into. Where
an encoder knows it as a word, it starts from what a linear map, fitted by ridge regression to the
tokens that both know, makes of the encoder's embedding, as word vectors of two spaces are mapped
(Mikolov et al. 2013, "Exploiting Similarities among Languages"). Texts take fewer tokens then, and
a shallow model need not put common words together first. Knows no labels and trains no weights.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from classifier.errors import ClassifierError
from classifier.model import TwoHeadedModel, load_tokenizer, load_trunk, reading_base
from classifier.tokenizer import URL, train_tokenizer

_RIDGE = 0.03
"""The penalty of the map, as a share of the mean square that it is fitted to."""


class VocabularyError(ClassifierError, ValueError):
    """The vocabulary cannot grow; the message says why."""


def grow_vocabulary(
    model: TwoHeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    size: int,
    words_from: str | None = None,
) -> PreTrainedTokenizerBase:
    """The tokenizer of ``size`` tokens that ``model`` reads from now on, learned from ``texts``.

    ``words_from`` is an encoder, folder or Hub name. Raises VocabularyError, or WeightsError if
    the encoder cannot be read.
    """
    known = tokenizer.get_vocab()
    if URL not in known:
        raise VocabularyError(
            "the vocabulary of this base is not ours, and cannot grow: leave `vocabulary` at 0, or "
            "start from `shipped` or from a base that `tapewatch pretrain` made from scratch"
        )
    if size <= len(known):
        raise VocabularyError(
            f"the base has {len(known):,} tokens: it can only grow to more, not to {size:,}"
        )
    grown = train_tokenizer(texts, size, int(tokenizer.model_max_length))
    if len(grown) <= len(known):
        raise VocabularyError(
            f"the texts at hand hold {len(grown):,} tokens that occur often enough, no more than "
            f"the {len(known):,} that the base has: give more texts, or leave `vocabulary` at 0"
        )
    trunk: Any = model.trunk
    old = trunk.get_input_embeddings().weight.detach().float()  # (V, D)
    names = [str(name) for name in grown.convert_ids_to_tokens(list(range(len(grown))))]
    rows = _from_pieces(old, names, tokenizer)
    if words_from is not None:
        _take_words(rows, names, known, words_from)
    embeddings = trunk.resize_token_embeddings(len(grown), mean_resizing=False)
    with torch.no_grad():
        embeddings.weight.copy_(rows)
    return grown


def _from_pieces(old: Tensor, names: list[str], tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """Embeddings (N, D) of tokens by name: their own, or the mean of the old pieces in them."""
    known = tokenizer.get_vocab()
    cutter: Any = tokenizer.backend_tokenizer.model
    pieces = [
        [known[name]] if name in known else [piece.id for piece in cutter.tokenize(name)]
        for name in names
    ]
    return torch.stack([old[within].mean(dim=0) for within in pieces])


def _take_words(rows: Tensor, names: list[str], known: dict[str, int], encoder: str) -> None:
    """Put mapped embeddings of ``encoder`` into those ``rows`` that are new and words of it."""
    with reading_base(encoder):
        theirs = load_tokenizer(encoder).get_vocab()
        given: Any = load_trunk(encoder).get_input_embeddings()
    words = given.weight.detach().float()
    pieces = enumerate(map(_as_piece, names))
    places = [(place, theirs[piece]) for place, piece in pieces if piece in theirs]
    shared = [(ours, word) for ours, word in places if names[ours] in known]
    if not shared:
        raise VocabularyError(
            f"{encoder} shares no word with the base: words_from is for a BERT of the same language"
        )
    mapped = _mapping(words[[word for _, word in shared]], rows[[ours for ours, _ in shared]])
    new = [(ours, word) for ours, word in places if names[ours] not in known]
    if new:
        rows[[ours for ours, _ in new]] = mapped(words[[word for _, word in new]])


def _as_piece(name: str) -> str:
    """A token of ours as WordPiece would write it: with no mark where a word begins."""
    return name[1:] if name.startswith("Ġ") else f"##{name}"


def _mapping(theirs: Tensor, ours: Tensor) -> Callable[[Tensor], Tensor]:
    """The map from theirs (N, E) to ours (N, D) that ridge regression finds."""
    their_mean, our_mean = theirs.mean(dim=0), ours.mean(dim=0)
    centred = (theirs - their_mean).double()
    square = centred.T @ centred
    penalty = _RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
    found = torch.linalg.solve(square + penalty, centred.T @ (ours - our_mean).double()).float()
    return lambda vectors: (vectors - their_mean) @ found + our_mean
