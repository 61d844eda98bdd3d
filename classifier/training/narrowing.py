"""Eight bits, where they cost next to nothing: the ranges of new weights, measured and judged.

Knows the engine and the rows; decides whether weights may serve in int8 by what it costs on
development rows.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from classifier.data.datasets import Example
from classifier.engine import Engine
from classifier.hardware import exact_int8
from classifier.packed import can_pack
from classifier.quantization import RANGES_FILE, TEXTS, measure_ranges, write_ranges

ALLOWED = 0.003
"""Accuracy that serving in int8 may cost, over the labels of both heads."""


@dataclass(frozen=True, slots=True)
class Int8Cost:
    """How many development labels are told rightly in float32 and in int8, of how many."""

    labels: int
    right: int
    right_in_int8: int

    @property
    def points(self) -> float:
        """Accuracy lost, in points of a hundred; below zero where int8 happens to be better."""
        return 100 * (self.right - self.right_in_int8) / max(1, self.labels)

    @property
    def allowed(self) -> bool:
        """Whether that is little enough."""
        return self.right - self.right_in_int8 <= ALLOWED * self.labels


def narrow(
    folder: Path, taught: Sequence[Example], development: Sequence[Example]
) -> Int8Cost | None:
    """Let the weights in ``folder`` serve in int8 if that costs little enough on ``development``.

    The ranges are those of some ``taught`` texts. None where it cannot be measured: for a trunk
    that is not served packed, or on a processor that does not multiply such integers exactly.
    """
    (folder / RANGES_FILE).unlink(missing_ok=True)
    whole = Engine(folder, "cpu", precision="fp32")
    if not can_pack(whole.model.trunk) or not exact_int8():
        return None
    chosen = random.Random(0).sample(list(taught), min(TEXTS, len(taught)))  # noqa: S311 - no secret
    write_ranges(measure_ranges(whole.model, whole.encode([e.text for e in chosen])), folder)
    narrow = Engine(folder, "cpu", precision="int8")
    labels = sum(row.topic >= 0 for row in development) + sum(
        row.sentiment >= 0 for row in development
    )
    cost = Int8Cost(labels, _right(whole, development), _right(narrow, development))
    if not cost.allowed:
        (folder / RANGES_FILE).unlink()
    return cost


def _right(engine: Engine, rows: Sequence[Example]) -> int:
    topics, sentiments = engine.probabilities([row.text for row in rows])
    return int(
        sum(row.topic == said for row, said in zip(rows, topics.argmax(1), strict=True))
        + sum(row.sentiment == said for row, said in zip(rows, sentiments.argmax(1), strict=True))
    )
