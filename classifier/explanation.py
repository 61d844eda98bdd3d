"""Which words of a text moved a probability: integrated gradients over the token embeddings.

The method is that of Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks",
in captum's form for a layer: gradients of the probability along the straight line from the
embeddings of a baseline to those of the text. By the axiom of completeness the weights sum to
what the text changed; what the numerical integral misses of it is reported, not hidden.

The baseline is a text of the same length that says nothing: the end token in every place. It is
the token that stands for "no text" everywhere in training, while a pad token's embedding is never
trained, since padding comes behind what is read. The last token is an end token in both, so
nothing falls to it: it asks for the answer and says nothing. An encoder, which has been trained
with padding and frames its texts, gets pad tokens between its own special tokens.
Knows engines and texts; classifier.attribution knows words.
"""

import copy
import math
from typing import Any

import torch
from captum.attr import LayerIntegratedGradients
from torch import Tensor, nn

from classifier.attribution import Explanation, ExplanationError, Span, class_of, words_of
from classifier.engine import CHARACTERS_READ, Engine
from classifier.model import TwoHeadedModel

STEPS = 32
"""Points of the integral at first; they are doubled while the error is too large."""

MOST_STEPS = 512
ERROR_LIMIT = 0.005
"""The error of completeness that is small enough, as a probability."""

_TOKENS_AT_ONCE = 2048
"""Tokens of the points that go through the model together; it bounds the memory needed."""


def explain(engine: Engine, text: str, target: str = "negative", steps: int = STEPS) -> Explanation:
    """How much each word of ``text`` moved P(``target``), a sentiment or a topic by its name.

    Computed in float32 whatever the engine serves in, without padding: ``output`` may differ from
    a served probability by the rounding of the engine's own precision. A long text is explained
    as far as it is read. Raises ExplanationError for an unknown class or a tokenizer that cannot
    say where its tokens are in the text.
    """
    head, index = class_of(engine.labels, target)
    tokens = _Tokens(engine, text)
    probability = Probability(engine.model, head, index)
    baseline, output = probability.of(torch.stack([tokens.blank, tokens.ids])).tolist()
    while True:
        weights = attributions(probability, tokens.ids, tokens.blank, steps).tolist()
        words = words_of(text, tokens.spans, weights[: len(tokens.spans)], tokens.read)
        error = output - baseline - math.fsum(word.weight for word in words)
        if abs(error) <= ERROR_LIMIT or 2 * steps > MOST_STEPS:
            return Explanation(words, target, baseline, output, error)
        steps *= 2


class Probability(nn.Module):
    """P(one class) of token ids (B, T) without padding, in float32 on the model's device."""

    def __init__(self, model: TwoHeadedModel, head: str, index: int) -> None:
        super().__init__()
        self.model = _in_float32(model)
        self._output = ("topic", "sentiment").index(head)
        self._index = index

    @property
    def embedding(self) -> nn.Module:
        """The layer whose output is one vector a token."""
        layer: nn.Module = self.model.trunk.get_input_embeddings()
        return layer

    @property
    def device(self) -> torch.device:
        """Where the token ids have to be."""
        return self.model.topic_head.weight.device

    def forward(self, input_ids: Tensor) -> Tensor:
        """The probabilities (B,), in float64 from logits in float32."""
        rows, length = input_ids.shape
        lengths = torch.full((rows,), length, device=input_ids.device)
        logits = self.model.logits(input_ids, lengths)[self._output]
        return logits.double().softmax(dim=-1)[:, self._index]

    def of(self, input_ids: Tensor) -> Tensor:
        """The probabilities (B,) without gradients, on the processor."""
        with torch.no_grad():
            found: Tensor = self(input_ids.to(self.device))
        return found.cpu()


def attributions(probability: Probability, ids: Tensor, blank: Tensor, steps: int) -> Tensor:
    """What each token of ``ids`` (T,) adds to the probability of ``blank`` (T,): (T,), float64.

    ``steps`` points of Gauss-Legendre quadrature.
    """
    gradients: Any = LayerIntegratedGradients(probability, probability.embedding)
    vectors: Tensor = gradients.attribute(
        ids[None].to(probability.device),
        baselines=blank[None].to(probability.device),
        n_steps=steps,
        internal_batch_size=max(1, _TOKENS_AT_ONCE // len(ids)),
    )  # (1, T, D)
    return vectors[0].detach().cpu().double().sum(dim=-1)


class _Tokens:
    """A text as the engine reads it: ids and baseline (T,), and where the tokens are in it."""

    def __init__(self, engine: Engine, text: str) -> None:
        tokenizer, encoder = engine.tokenizer, engine.model.encoder
        if not tokenizer.is_fast:
            raise ExplanationError(
                f"{type(tokenizer).__name__} does not say which characters a token stands for; "
                "explanations need weights with a fast tokenizer (a tokenizer.json)"
            )
        (ids,) = engine.encode([text])
        found: Any = tokenizer(
            text[:CHARACTERS_READ],
            add_special_tokens=encoder,
            truncation=True,
            max_length=engine.context + 1,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        # The last token is the end token, or an encoder's last special one: it has no place.
        inner = len(ids) - 1
        self.spans: list[Span] = [tuple(span) for span in found["offset_mapping"][:inner]]
        special = torch.tensor([*found["special_tokens_mask"][:inner], 1], dtype=torch.bool)
        self.ids = torch.tensor(ids)
        blank = tokenizer.pad_token_id if encoder else tokenizer.eos_token_id
        self.blank = torch.where(special, self.ids, torch.tensor(blank))
        cut = len(found["input_ids"]) > (len(ids) if encoder else inner)
        whole = not cut and len(text) <= CHARACTERS_READ
        self.read = len(text) if whole else max((end for _, end in self.spans), default=0)


def _in_float32(model: TwoHeadedModel) -> TwoHeadedModel:
    """A copy of the modules in evaluation mode; parameters are shared if they are float32 already.

    captum hangs hooks on the modules, which must not be met by a text that is scored meanwhile.
    """
    shared: dict[int, Any] = {
        id(parameter): nn.Parameter(parameter.detach().float(), requires_grad=False)
        for parameter in model.parameters()
    }
    return copy.deepcopy(model, shared).float().eval()
