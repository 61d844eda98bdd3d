"""A linear probe: heads fitted to a trunk as it stands, by logistic regression on its vectors.

It says how good a base is before it is fine-tuned, and it is where fine-tuning starts: heads that
fit already do not tear at the trunk's features (Kumar et al. 2022, who probe and then fine-tune).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from classifier.batching import LENGTH_BUCKETS, plan
from classifier.data.datasets import Example, draw
from classifier.labels import SENTIMENTS, UNLABELLED
from classifier.model import TwoHeadedModel, encode

MOST_ROWS = 20_000
_DECAY = 1e-4
_STEPS = 60
_BATCH_TOKENS = 4096
_SURE = 9.0
"""The logit of a head that knows one answer only: all but three in ten thousand."""


def fit_heads(
    model: TwoHeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Example],
    context: int,
    heads: Sequence[str] = ("topic", "sentiment"),
) -> None:
    """Fit these heads of ``model`` to ``rows`` (``MOST_ROWS`` of them), in place."""
    rows = draw(rows, MOST_ROWS)
    texts = [row.text for row in rows]
    vectors = _vectors(model, encode(tokenizer, texts, context, encoder=model.encoder))  # (N, D)
    for head in heads:
        targets = torch.tensor([getattr(row, head) for row in rows])
        labelled = targets != UNLABELLED
        if labelled.any():
            _fit(
                getattr(model, f"{head}_head"),
                vectors[labelled],
                targets[labelled],
                model.dropout.p,
            )


@torch.no_grad()
def silence(model: TwoHeadedModel, heads: Sequence[str]) -> None:
    """Make these new heads say the same of every text, since no row tells them anything.

    Sentiment is then neutral, so that nobody is alarmed; topics are all as likely.
    """
    for head in heads:
        linear = getattr(model, f"{head}_head")
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        if head == "sentiment":
            linear.bias[SENTIMENTS.index("neutral")] = _SURE


@torch.no_grad()
def _vectors(model: TwoHeadedModel, tokens: Sequence[Sequence[int]]) -> Tensor:
    model.eval()
    vectors = torch.empty(len(tokens), model.topic_head.in_features)
    bounded = [min(len(ids), LENGTH_BUCKETS[-1]) for ids in tokens]
    for batch in plan(bounded, _BATCH_TOKENS):
        members = [tokens[index] for index in batch.indices]
        input_ids = torch.zeros(len(members), max(map(len, members)), dtype=torch.long)
        for row, ids in enumerate(members):
            input_ids[row, : len(ids)] = torch.tensor(ids)
        lengths = torch.tensor([len(ids) for ids in members])
        vectors[torch.tensor(batch.indices)] = model.read(input_ids, lengths).float()
    return vectors


def _fit(head: nn.Linear, vectors: Tensor, targets: Tensor, dropout: float) -> None:
    """Logistic regression on standardised vectors; the scaling is folded back into the head.

    Last tokens' vectors are alike: their mean is far larger than what tells texts apart, so free
    weights would be huge, cancel each other, and come to nothing under the dropout of training. The
    penalty is what dropout amounts to (Wager, Wang and Liang 2013): each weight's square by the
    second moment of its input, here with the variance of a class at its upper bound.
    """
    mean, deviation = vectors.mean(dim=0), vectors.std(dim=0, correction=0).clamp(min=1e-6)
    inputs = (vectors - mean) / deviation
    weight = torch.zeros(head.out_features, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(head.out_features, requires_grad=True)
    noise = dropout / (1 - dropout) * vectors.square().mean(dim=0) / deviation.square() / 8  # (D,)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = functional.linear(inputs, weight, bias)
        penalty = (weight.square() * (noise + _DECAY)).sum()
        value = functional.cross_entropy(logits, targets) + penalty
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.copy_(weight / deviation)
        head.bias.copy_(bias - (weight / deviation) @ mean)
