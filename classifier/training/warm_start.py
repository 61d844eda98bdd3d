"""A GPT that starts from the first blocks and the word embeddings of an encoder.

The block of the first GPT (Radford et al. 2018: attention, addition, norm; feed-forward, addition,
norm) is that of BERT, so an encoder's weights fit it as they are; what changes is that a token no
longer sees those after it. Students that start from layers of a larger model learn more from the
same texts (Sanh et al. 2019; Sajjad et al. 2023, who find the lower layers the ones to keep). Our
tokens are not the encoder's: each starts from the mean of those that its text has there. Knows no
texts and trains nothing.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import (
    BertModel,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
    PreTrainedTokenizerBase,
)

from classifier.errors import ClassifierError
from classifier.model import load_tokenizer, load_trunk, reading_base

_Part = Any
"""A part of a model of transformers: mypy takes its attributes for tensors."""


class WarmStartError(ClassifierError, ValueError):
    """The encoder cannot give its blocks; the message says why."""


def gpt_from_encoder(
    encoder: str,
    tokenizer: PreTrainedTokenizerBase,
    layers: int,
    context: int,
    dropout: float,
) -> OpenAIGPTLMHeadModel:
    """A GPT of ``layers`` blocks, as wide as ``encoder`` (folder or Hub name, a BERT).

    Raises WarmStartError, or WeightsError if the encoder cannot be read.
    """
    with reading_base(encoder):
        bert: _Part = load_trunk(encoder)
        theirs = load_tokenizer(encoder)
    if not isinstance(bert, BertModel):
        raise WarmStartError(
            f"{encoder} is a {type(bert).__name__}: only a BERT's blocks fit a GPT"
        )
    shape = bert.config
    if layers > shape.num_hidden_layers or shape.intermediate_size != 4 * shape.hidden_size:
        raise WarmStartError(
            f"{encoder} has {shape.num_hidden_layers} blocks of {shape.hidden_size} and "
            f"{shape.intermediate_size} units: a GPT of {layers} blocks takes at most as many, and "
            "four units to one"
        )
    if context >= shape.max_position_embeddings:
        raise WarmStartError(f"{encoder} knows {shape.max_position_embeddings} positions: too few")
    model = OpenAIGPTLMHeadModel(_config(bert, tokenizer, layers, context, dropout))
    with torch.no_grad():
        _take_embeddings(model.transformer, bert, tokenizer, theirs)
        for block, layer in zip(model.transformer.h, bert.encoder.layer, strict=False):
            _take_block(block, layer)
    return model


def _config(
    bert: _Part, tokenizer: PreTrainedTokenizerBase, layers: int, context: int, dropout: float
) -> OpenAIGPTConfig:
    return OpenAIGPTConfig(
        vocab_size=len(tokenizer),
        n_positions=context,
        n_embd=bert.config.hidden_size,
        n_layer=layers,
        n_head=bert.config.num_attention_heads,
        layer_norm_epsilon=bert.config.layer_norm_eps,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _take_embeddings(
    trunk: _Part,
    bert: _Part,
    ours: PreTrainedTokenizerBase,
    theirs: PreTrainedTokenizerBase,
) -> None:
    """Token and position embeddings, with the norm that BERT has after their sum worked in.

    A GPT has no such norm. A token's is taken at the mean position, and the positions are scaled
    by the mean deviation: close, since positions move the sum little.
    """
    given = bert.embeddings
    words = _means_of_pieces(given.word_embeddings.weight, ours, theirs)  # (V, D)
    context = len(trunk.positions_embed.weight)
    positions = given.position_embeddings.weight[1 : context + 1]  # (T, D); 0 is the frame's
    middle = positions.mean(dim=0)
    sums = words + middle + given.token_type_embeddings.weight[0]
    trunk.tokens_embed.weight.copy_(given.LayerNorm(sums))
    deviation = sums.std(dim=1, correction=0).mean()
    moves = positions - middle
    moves -= moves.mean(dim=1, keepdim=True)
    trunk.positions_embed.weight.copy_(moves / deviation * given.LayerNorm.weight)


def _means_of_pieces(
    words: Tensor, ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase
) -> Tensor:
    known = theirs.get_vocab()
    special = {ours.eos_token: theirs.sep_token, ours.pad_token: theirs.pad_token}
    rows = []
    for index, token in enumerate(ours.convert_ids_to_tokens(list(range(len(ours))))):
        text = str(ours.decode([index])).strip()
        within = f"##{text}"
        if special.get(token) in known:
            pieces = [known[special[token]]]
        elif not token.startswith("Ġ") and within in known:  # "Ġ" is the space before a word
            pieces = [known[within]]
        else:
            pieces = theirs(text, add_special_tokens=False)["input_ids"]
        rows.append(words[pieces].mean(dim=0) if pieces else words.mean(dim=0))
    return torch.stack(rows)


def _take_block(block: _Part, layer: _Part) -> None:
    """One block's weights; GPT's matrices are kept the other way round (``Conv1D``)."""
    within, attention = layer.attention.self, block.attn
    parts = (within.query, within.key, within.value)
    attention.c_attn.weight.copy_(torch.cat([part.weight for part in parts]).T)
    attention.c_attn.bias.copy_(torch.cat([part.bias for part in parts]))
    for ours, theirs in (
        (attention.c_proj, layer.attention.output.dense),
        (block.mlp.c_fc, layer.intermediate.dense),
        (block.mlp.c_proj, layer.output.dense),
    ):
        ours.weight.copy_(theirs.weight.T)
        ours.bias.copy_(theirs.bias)
    block.ln_1.load_state_dict(layer.attention.output.LayerNorm.state_dict())
    block.ln_2.load_state_dict(layer.output.LayerNorm.state_dict())
