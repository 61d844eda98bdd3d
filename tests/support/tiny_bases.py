"""Tiny language models with random weights, of each kind that a user may bring."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from classifier.tokenizer import train_tokenizer

CAUSAL = ("gpt2", "openai-gpt", "llama", "qwen2")
KINDS = (*CAUSAL, "bert")


def write_base(
    folder: Path,
    kind: str,
    texts: Iterable[str],
    *,
    width: int = 16,
    layers: int = 2,
    context: int = 32,
    dropout: float = 0.0,
    units: int | None = None,
) -> Path:
    """A base of random weights in `folder`, with a tokenizer for `texts`."""
    tokenizer = _words(texts) if kind == "bert" else train_tokenizer(texts, 320, context)
    torch.manual_seed(5)
    model = _model(kind, tokenizer, width, layers, context, dropout, units or width)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _model(
    kind: str,
    tokenizer: PreTrainedTokenizerBase,
    width: int,
    layers: int,
    context: int,
    dropout: float,
    units: int,
) -> PreTrainedModel:
    shape = {
        "vocab_size": len(tokenizer), "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": 2, "max_position_embeddings": context,
        "pad_token_id": tokenizer.pad_token_id, "initializer_range": 0.2,
    }  # fmt: skip
    if kind == "bert":
        config = BertConfig(
            **shape, intermediate_size=units, hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=0.0,
        )  # fmt: skip
        return BertModel(config, add_pooling_layer=False)
    shape |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    if kind == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(**shape, resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=0.0)
        )
    if kind == "openai-gpt":
        return OpenAIGPTLMHeadModel(
            OpenAIGPTConfig(**shape, resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=0.0)
        )
    shape |= {"intermediate_size": 2 * width, "num_key_value_heads": 1}
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**shape))
    return Qwen2ForCausalLM(Qwen2Config(**shape, tie_word_embeddings=True))


def _words(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words that frames a text as BERT's does."""
    known = sorted({word for text in texts for word in text.split()})
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *known]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]",
    )  # fmt: skip
