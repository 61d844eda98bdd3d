"""Matrix products as processors do them best: weights reordered once, what follows fused in.

In floating point (float32 or bfloat16) by oneDNN; in 8-bit integers where the inputs' ranges are
known (``classifier.quantization``). Integers are added up exactly in any order, so an int8 product
gives a token the same numbers in whatever batch it lies. Knows no model.

The operators are those that torch's own compiler calls; torch is pinned to its minor version.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from classifier.hardware import fast_bf16, has_onednn

Range = tuple[float, float]
"""The least and the greatest value of a tensor."""

_LEVELS = 255
_GREATEST = 127
"""Weights are -127..127, activations 0..255: what processors multiply without overflow."""


_PostOp = tuple[str, list[float], str]
"""What follows a product, its scalars and its algorithm, as oneDNN's operators take it."""

_NOTHING: _PostOp = ("none", [], "")
_GELU: _PostOp = ("gelu", [], "tanh")


class Linear(Protocol):
    """x (M, in) -> x @ weight + bias (M, out), then GELU, or with ``added`` (M, out)."""

    def __call__(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """The product."""


class Make(Protocol):
    """What makes the linear layers of a model, in one number format."""

    dtype: torch.dtype
    """What goes in and comes out."""

    def __call__(self, name: str, weight: Tensor, bias: Tensor, *, gelu: bool = False) -> Linear:
        """The layer ``name`` of weight (in, out) and bias (out,)."""


class FloatLayers:
    """Linear layers in float32 or bfloat16."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __call__(self, name: str, weight: Tensor, bias: Tensor, *, gelu: bool = False) -> Linear:
        """The layer; its name does not matter."""
        del name
        fast = has_onednn() and (self.dtype != torch.bfloat16 or fast_bf16(weight.device))
        kind = _ReorderedLinear if fast else _PlainLinear
        return kind(weight.to(self.dtype), bias.to(self.dtype), gelu=gelu)


class Int8Layers:
    """Linear layers in 8-bit integers; float32 goes in and comes out.

    ``inputs`` are the ranges of each layer's input by the layer's name. A layer with GELU hands
    integers on to the layer of ``after``: the range is that one's.
    """

    dtype = torch.float32

    def __init__(self, inputs: Mapping[str, Range], after: Mapping[str, str]) -> None:
        self._inputs = inputs
        self._after = after

    def __call__(self, name: str, weight: Tensor, bias: Tensor, *, gelu: bool = False) -> Linear:
        """The layer; KeyError where no range is known for its name."""
        emitted = _Scale(self._inputs[self._after[name]]) if gelu else None
        return _Int8Linear(weight, bias, _Scale(self._inputs[name]), emitted)


class _PlainLinear:
    def __init__(self, weight: Tensor, bias: Tensor, *, gelu: bool) -> None:
        self._weight, self._bias, self._gelu = weight.t().contiguous(), bias, gelu

    def __call__(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        product = functional.linear(x, self._weight, self._bias)
        if self._gelu:
            product = functional.gelu(product, approximate="tanh")
        return product if added is None else product + added


class _ReorderedLinear:
    def __init__(self, weight: Tensor, bias: Tensor, *, gelu: bool) -> None:
        operators: Any = torch.ops.mkldnn
        self._product = operators._linear_pointwise  # noqa: SLF001 - torch's names for operators
        self._sum = self._product.binary
        reorder = operators._reorder_linear_weight  # noqa: SLF001
        self._weight = reorder(weight.t().contiguous())
        self._bias = bias.contiguous()
        self._then: _PostOp = _GELU if gelu else _NOTHING

    def __call__(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        if added is not None:
            summed: Tensor = self._sum(x, added, self._weight, self._bias, "add")
            return summed
        product: Tensor = self._product(x, self._weight, self._bias, *self._then)
        return product


class _Scale:
    """0..255 for a range that holds zero: x is about (q - zero) * step."""

    def __init__(self, values: Range) -> None:
        low, high = min(values[0], 0.0), max(values[1], 0.0)
        self.step = max(high - low, 1e-6) / _LEVELS
        self.zero = round(-low / self.step)

    def quantize(self, x: Tensor) -> Tensor:
        levels = x.mul(1 / self.step).add_(self.zero)
        return levels.round_().clamp_(0, _LEVELS).to(torch.uint8)


class _Int8Linear:
    def __init__(self, weight: Tensor, bias: Tensor, taken: _Scale, emitted: _Scale | None) -> None:
        operators: Any = torch.ops.onednn
        self._product = operators.qlinear_pointwise
        self._sum = operators.qlinear_pointwise.binary
        steps = weight.abs().amax(dim=0).clamp(min=1e-8) / _GREATEST  # (out,)
        levels = (weight / steps).round().clamp(-_GREATEST, _GREATEST).to(torch.int8)
        self._weight = (
            operators.qlinear_prepack(levels.t().contiguous(), None),
            steps.float(),
            torch.zeros(len(steps), dtype=torch.int32),
        )
        self._bias = bias.float().contiguous()
        self._taken = taken
        self._output: tuple[float, int, torch.dtype] = (1.0, 0, torch.float32)
        self._then = _NOTHING
        if emitted is not None:
            self._output = (emitted.step, emitted.zero, torch.uint8)
            self._then = _GELU

    def __call__(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        levels = x if x.dtype == torch.uint8 else self._taken.quantize(x)
        given = (levels, self._taken.step, self._taken.zero, *self._weight)
        if added is not None:
            plus = (added, self._bias, *self._output, 1.0, 0, "add", 1.0)
            summed: Tensor = self._sum(*given, *plus, *_NOTHING)
            return summed
        product: Tensor = self._product(*given, self._bias, *self._output, *self._then)
        return product
