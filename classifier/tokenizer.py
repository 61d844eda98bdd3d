"""Our byte-level BPE: how it is trained and what it does to a text before it is cut up.

The cleaning (Unicode NFKC, links and handles replaced, tickers and hashtags read as the words they
are, figures reduced to their shape, lower case, white space folded) lives in the tokenizer's own
normalizer, so it travels with the weights and runs in Rust, and training
and serving can never disagree about it. Tokenizers of other models keep their own ways, but links
and handles are taken out of their texts too. Knows no model.
"""

import json
from collections.abc import Iterable

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

END = "<|end|>"
PAD = "<|pad|>"
URL = "<url>"
USER = "<user>"

_LINK = r"(https?://|www\.)\S+"
_HANDLE = r"(?<!\w)@\w{2,}"
_CLEANING = (
    (r"&amp;", "&"),
    (r"&[lg]t;", " "),
    (_LINK, URL),
    (_HANDLE, USER),
    # "$AAPL" and "#oil" share the tokens of the words themselves
    (r"\$(?=\p{L})", "$ "),
    (r"#(?=\p{L})", "# "),
    # "13.1" and "1,250" say no more than that they are figures, "2022" how long it is
    (r"\d+(?:[.,]\d+)+", "0"),
    (r"(?<=\d)\d|\d(?=\d)", "0"),
    (r"[\s\p{Cc}\p{Cf}]+", " "),
)
"""What is replaced before a text is cut up, in this order."""


def train_tokenizer(
    texts: Iterable[str], vocabulary: int, max_tokens: int
) -> PreTrainedTokenizerFast:
    """Byte-level BPE (Sennrich et al. 2016, in the byte form of GPT-2) of ``vocabulary`` tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            *(normalizers.Replace(Regex(old), new) for old, new in _CLEANING),
            normalizers.Lowercase(),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2,
        min_frequency=3,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(name, normalized=True, lstrip=True) for name in (URL, USER)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=PAD,
        model_max_length=max_tokens,
        padding_side="right",
        truncation_side="right",
    )


def _takes_out_links(backend: Tokenizer) -> bool:
    steps = json.dumps(json.loads(backend.to_str())["normalizer"])
    return json.dumps(_LINK) in steps


def without_links(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Another model's ``tokenizer``, taking out links and handles first, if it does not yet.

    Their random letters say nothing and take up to half of a post's tokens. Tokenizers that are
    not of the fast kind come back as they are.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or _takes_out_links(backend):
        return tokenizer
    theirs = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(_LINK), " "),
            normalizers.Replace(Regex(_HANDLE), "@user"),
            *theirs,
        ]
    )
    # A class of the model's own would put its normalizer back in place when it is loaded again.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        padding_side="right",
        truncation_side="right",
        **tokenizer.special_tokens_map,
    )
