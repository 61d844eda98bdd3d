"""Ranges of a model's activations, on which its 8-bit products rest.

A file beside the weights holds the least and greatest input of every product over some texts
that the model was taught with. What lies beyond them is clipped. Where the file is and the
processor multiplies 8-bit integers exactly, the engine serves in them. Knows no engine.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from classifier.errors import ClassifierError
from classifier.linear import FloatLayers, Int8Layers, Linear, Range
from classifier.model import TwoHeadedModel
from classifier.packed import PackedModel

RANGES_FILE = "int8.json"
TEXTS = 512
"""As many texts are enough to see the ranges."""

_BUDGET = 2048


class Int8Ranges(msgspec.Struct, frozen=True):
    """``inputs``: of each product, by its name, the range of what goes in."""

    inputs: dict[str, Range]


class RangesError(ClassifierError, ValueError):
    """The file of ranges is damaged or of another model."""


def measure_ranges(model: TwoHeadedModel, texts: Sequence[Sequence[int]]) -> Int8Ranges:
    """The ranges over ``texts`` (token ids), with the model in float32."""
    watched = _Watched()
    PackedModel(model, watched, rows=1).logits(texts, _BUDGET)
    return Int8Ranges({name: (low, high) for name, (low, high) in watched.inputs.items()})


def int8_layers(ranges: Int8Ranges) -> Int8Layers:
    """What makes the products of the model that the ranges are of."""
    after = {n: n.replace(".widen", ".narrow") for n in ranges.inputs if n.endswith(".widen")}
    return Int8Layers(ranges.inputs, after)


def write_ranges(ranges: Int8Ranges, folder: Path) -> None:
    """Keep them beside the weights."""
    rounded = {name: (round(a, 4), round(b, 4)) for name, (a, b) in ranges.inputs.items()}
    content = msgspec.json.format(msgspec.json.encode(Int8Ranges(rounded)), indent=1)
    (folder / RANGES_FILE).write_bytes(content + b"\n")


def read_ranges(folder: Path) -> Int8Ranges | None:
    """Those beside the weights, if there are any. Raises RangesError."""
    path = folder / RANGES_FILE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Int8Ranges)
    except msgspec.MsgspecError as error:
        raise RangesError(
            f"{path} cannot be read: {error}; without it the weights serve in floating point"
        ) from error


class _Watched:
    """Float layers that remember what they were given."""

    dtype = torch.float32

    def __init__(self) -> None:
        self.inputs: dict[str, Range] = {}
        self._float = FloatLayers(torch.float32)

    def __call__(self, name: str, weight: Tensor, bias: Tensor, *, gelu: bool = False) -> Linear:
        layer = self._float(name, weight, bias, gelu=gelu)

        def watched(x: Tensor, added: Tensor | None = None) -> Tensor:
            low, high = self.inputs.get(name, (0.0, 0.0))
            self.inputs[name] = (min(low, float(x.min())), max(high, float(x.max())))
            return layer(x, added)

        return watched
