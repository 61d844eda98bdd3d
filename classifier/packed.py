"""The forward pass of the first kind of GPT over packs: no padding, nothing that nobody reads.

What ships is served by this on a processor. The heads read one token, so of the last block only
that token's query, feed-forward and norms are computed; of all others just keys and values. A
text's numbers do not depend on its neighbours: each row of a product is summed alike wherever it
stands, rows are filled up to fixed steps, and attention is one text's own. Knows no text, only ids.

Each thread takes a pack of its own, from beginning to end. Threads that share each product wait for
each other some fifty times a pack, and where anything else runs on the machine they mostly wait.
"""

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import OpenAIGPTModel

from classifier.linear import FloatLayers, Linear, Make
from classifier.model import TwoHeadedModel
from classifier.packing import Pack, Run, pack

ROWS = 64
"""Rows of a product are filled up to a multiple of this, so that few shapes occur."""

LEAST = 256
"""Tokens that are worth a thread's while."""


def can_pack(trunk: nn.Module) -> bool:
    """Whether this forward pass is that of ``trunk``."""
    return isinstance(trunk, OpenAIGPTModel) and trunk.config.afn == "gelu"


class PackedModel:
    """A trunk and its heads, their weights as ``make`` wants them."""

    def __init__(
        self, model: TwoHeadedModel, make: Make, rows: int = ROWS, threads: int = 1
    ) -> None:
        trunk: Any = model.trunk
        self.threads = threads
        self._pool = _pool_of(threads)
        self._rows = rows
        self.padding_ratio = 0.0
        """Share of the tokens that went through the model last that were there to fill it up."""
        self._topics = len(model.labels.topics)
        self._tokens = trunk.tokens_embed.weight.detach().to(make.dtype)
        self._positions = trunk.positions_embed.weight.detach().to(make.dtype)
        *blocks, last = trunk.h
        self._blocks = [_Block(str(number), block, make) for number, block in enumerate(blocks)]
        self._last = _LastBlock(str(len(blocks)), last, make)
        heads = (model.topic_head, model.sentiment_head)
        self._heads = torch.cat([head.weight.detach().float() for head in heads])
        self._bias = torch.cat([head.bias.detach().float() for head in heads])

    def logits(self, texts: Sequence[Sequence[int]], token_budget: int) -> tuple[Tensor, Tensor]:
        """Topic logits (N, topics) and sentiment logits (N, sentiments), float32."""
        found = torch.empty(len(texts), len(self._bias))
        share = -(-sum(map(len, texts)) // self.threads)
        packs = pack([len(ids) for ids in texts], min(token_budget, max(share, LEAST)))
        filled = sum(laid.tokens + -laid.tokens % self._rows for laid in packs)
        self.padding_ratio = 1 - sum(laid.tokens for laid in packs) / max(1, filled)
        ids = (torch.tensor(list(chain.from_iterable(texts[i] for i in p.indices))) for p in packs)
        for laid, logits in zip(packs, self._pool.map(self._pass, ids, packs), strict=True):
            found[list(laid.indices)] = logits
        return found[:, : self._topics], found[:, self._topics :]

    @torch.inference_mode()
    def _pass(self, ids: Tensor, laid: Pack) -> Tensor:
        places = torch.cat([torch.arange(r.length).repeat(r.count) for r in laid.runs])
        fill = -laid.tokens % self._rows
        ids, places = (functional.pad(each, (0, fill)) for each in (ids, places))
        hidden = self._tokens[ids] + self._positions[places]  # (M, D)
        for block in self._blocks:
            hidden = block(hidden, laid.runs)
        ends = torch.cat([
            torch.arange(r.count).add_(1).mul_(r.length).add_(r.first_token - 1) for r in laid.runs
        ])  # fmt: skip
        ends = functional.pad(ends, (0, -len(ends) % self._rows))
        vectors = self._last(hidden, hidden[ends], laid.runs).float()
        # Always as many rows: the product of each is then summed alike.
        pieces = torch.split(vectors, self._rows)
        heads = [functional.linear(piece, self._heads, self._bias) for piece in pieces]
        return torch.cat(heads)[: len(laid.indices)]


def _pool_of(threads: int) -> ThreadPoolExecutor:
    """So many threads, each of which computes by itself what it computes."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, "packs", initializer=torch.set_num_threads, initargs=(1,))
    together = threading.Barrier(threads)
    wait([pool.submit(together.wait) for _ in range(threads)])  # all of them are there now
    # What a thread sets, torch's matrix library and threads to come take for everybody's.
    torch.set_num_threads(before)
    return pool


class _Parts:
    """What both kinds of block do once attention has found what a token takes from others."""

    def __init__(self, name: str, block: Any, make: Make) -> None:  # noqa: ANN401
        self._heads = int(block.attn.n_head)
        self._project = _layer(f"{name}.project", block.attn.c_proj, make)
        self._widen = _layer(f"{name}.widen", block.mlp.c_fc, make, gelu=True)
        self._narrow = _layer(f"{name}.narrow", block.mlp.c_proj, make)
        self._norms = [_Norm(norm, make.dtype) for norm in (block.ln_1, block.ln_2)]

    def _add(self, hidden: Tensor, found: Tensor) -> Tensor:
        hidden = self._norms[0](self._project(found, hidden))
        return self._norms[1](self._narrow(self._widen(hidden), hidden))


class _Block(_Parts):
    def __init__(self, name: str, block: Any, make: Make) -> None:  # noqa: ANN401
        super().__init__(name, block, make)
        self._mix = _layer(f"{name}.mix", block.attn.c_attn, make)

    def __call__(self, hidden: Tensor, runs: Sequence[Run]) -> Tensor:
        """From the hidden states of all tokens (M, D) to those after this block."""
        mixed = self._mix(hidden)  # (M, 3D)
        found = torch.zeros_like(hidden)
        for run in runs:
            parts = mixed[run.tokens].view(run.count, run.length, 3, self._heads, -1)
            query, key, value = parts.permute(2, 0, 3, 1, 4)  # (n, H, T, D / H) each
            seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            place = found[run.tokens].view(run.count, run.length, self._heads, -1)
            place.copy_(seen.transpose(1, 2))
        return self._add(hidden, found)


class _LastBlock(_Parts):
    """The query's part of the mixing stands by itself: it is wanted of one token a text.

    What is of one token is little work, and what the heads read rests on it: always in floats.
    """

    def __init__(self, name: str, block: Any, make: Make) -> None:  # noqa: ANN401
        floats = FloatLayers(make.dtype)
        super().__init__(name, block, floats)
        weight, bias = (value.detach().float() for value in block.attn.c_attn.parameters())
        width = len(weight)
        self._query = floats(f"{name}.query", weight[:, :width].contiguous(), bias[:width])
        self._others = make(f"{name}.mix", weight[:, width:].contiguous(), bias[width:])

    def __call__(self, hidden: Tensor, own: Tensor, runs: Sequence[Run]) -> Tensor:
        """From the hidden states (M, D), of which ``own`` (N, D) are read, to the latter's next."""
        query, others = self._query(own), self._others(hidden)  # (N, D), (M, 2D)
        found = torch.zeros_like(own)
        for run in runs:
            parts = others[run.tokens].view(run.count, run.length, 2, self._heads, -1)
            key, value = parts.unbind(2)  # (n, T, H, D / H) each
            asked = query[run.texts].view(run.count, 1, self._heads, -1)
            # With one query, torch's own attention sums in another order for other batch sizes.
            shares = (key * asked).sum(-1).div_(math.sqrt(key.shape[-1])).softmax(1)  # (n, T, H)
            found[run.texts] = (value * shares[..., None]).sum(1).flatten(1)
        return self._add(own, found)


class _Norm:
    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype) -> None:
        self._weight, self._bias = norm.weight.detach().to(dtype), norm.bias.detach().to(dtype)
        self._eps = norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self._weight, self._bias, self._eps)


def _layer(name: str, layer: Any, make: Make, *, gelu: bool = False) -> Linear:  # noqa: ANN401
    return make(name, layer.weight.detach().float(), layer.bias.detach().float(), gelu=gelu)
