"""Our byte-level BPE: how it is trained and what it does to a text before it is cut up.

The cleaning (Unicode NFKC, links and handles replaced, lower case, white space folded) lives in
the tokenizer's own normalizer, so it travels with the weights and runs in Rust, and training
and serving can never disagree about it. Knows no model; tokenizers of Hub models bring their own
cleaning and do not pass through here.
"""

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
from transformers import PreTrainedTokenizerFast

END = "<|end|>"
PAD = "<|pad|>"
URL = "<url>"
USER = "<user>"


def train_tokenizer(
    texts: Iterable[str], vocabulary: int, max_tokens: int
) -> PreTrainedTokenizerFast:
    """Byte-level BPE (Sennrich et al. 2016, in the byte form of GPT-2) of ``vocabulary`` tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Replace(Regex(r"(https?://|www\.)\S+"), URL),
            normalizers.Replace(Regex(r"(?<!\w)@\w{2,}"), USER),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"[\s\p{Cc}\p{Cf}]+"), " "),
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
