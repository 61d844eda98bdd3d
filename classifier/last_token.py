"""The hidden state of each text's last token, and nothing that nobody reads.

The heads read one token. In the last block only that token's query, feed-forward and norms are
computed; of all others just the keys and values, a sixth of the block's work. For the first kind of
GPT, the one that ships; the numbers are those of transformers' own forward pass but for rounding.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import OpenAIGPTModel


def last_hidden(trunk: OpenAIGPTModel, input_ids: Tensor, lengths: Tensor) -> Tensor:
    """The last block's output at token ``lengths - 1`` of each row: (B, D).

    ``input_ids`` (B, T) are padded on the right, ``lengths`` (B,) count the real tokens.
    """
    parts: Any = trunk
    positions = torch.arange(input_ids.shape[1], device=input_ids.device)
    hidden = parts.drop(parts.tokens_embed(input_ids) + parts.positions_embed(positions))
    *blocks, last = parts.h
    for block in blocks:
        hidden = block(hidden)[0]  # (B, T, D)
    rows = torch.arange(len(lengths), device=input_ids.device)
    own = hidden[rows, lengths - 1]  # (B, D)
    seen = positions < lengths[:, None]  # (B, T)
    own = last.ln_1(own + _attend(last.attn, hidden, own, seen))
    result: Tensor = last.ln_2(own + last.mlp(own))
    return result


def _attend(attention: Any, hidden: Tensor, own: Tensor, seen: Tensor) -> Tensor:  # noqa: ANN401
    """What ``own`` (B, D) takes from the tokens ``hidden`` (B, T, D) that are ``seen`` (B, T)."""
    count, length, width = hidden.shape
    weight, bias = attention.c_attn.weight, attention.c_attn.bias  # (D, 3D), (3D,)
    query = torch.addmm(bias[:width], own, weight[:, :width])
    both = torch.addmm(bias[width:], hidden.reshape(-1, width), weight[:, width:])
    key, value = both.view(count, length, 2, attention.n_head, -1).permute(2, 0, 3, 1, 4)
    mixed = functional.scaled_dot_product_attention(
        query.view(count, attention.n_head, 1, -1), key, value, attn_mask=seen[:, None, None]
    )  # (B, H, 1, D / H)
    found: Tensor = attention.resid_dropout(attention.c_proj(mixed.reshape(count, width)))
    return found
