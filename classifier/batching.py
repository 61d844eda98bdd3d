"""Micro-batches: which texts go through the model together. Pure; knows no model and no text.

Every text is padded to the shortest length bucket that holds it, and every micro-batch of a
bucket has the same shape, filled up with empty rows where texts run out. One long text never
pads short ones, and a text meets the same shapes, so the same kernels, whatever its neighbours
are: this is what makes scores independent of the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LENGTH_BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Padded lengths, in tokens."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Texts ``indices`` padded to ``length`` tokens, in a batch of ``rows`` rows."""

    indices: tuple[int, ...]
    length: int
    rows: int


def plan(lengths: Sequence[int], token_budget: int) -> list[MicroBatch]:
    """Put texts of these lengths (tokens) into micro-batches of about ``token_budget`` tokens.

    Each index occurs exactly once. Shorter buckets come first.
    """
    by_bucket: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        by_bucket.setdefault(bucket_of(length), []).append(index)
    batches = []
    for bucket in sorted(by_bucket):
        rows = max(1, token_budget // bucket)
        members = by_bucket[bucket]
        batches += [
            MicroBatch(tuple(members[first : first + rows]), bucket, rows)
            for first in range(0, len(members), rows)
        ]
    return batches


def bucket_of(length: int) -> int:
    """The padded length of a text of ``length`` tokens. Raises ValueError above the largest."""
    for bucket in LENGTH_BUCKETS:
        if length <= bucket:
            return bucket
    raise ValueError(f"a text of {length} tokens is longer than any length bucket; truncate it")
