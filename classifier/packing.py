"""Packs: texts laid end to end, so that nothing is padded. Pure; knows no model and no text.

Texts of equal length lie side by side and form a run: attention sees a run as one dense tensor,
and everything that looks at one token at a time sees the pack as one long list of tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` texts of ``length`` tokens each, from token ``first_token`` and text ``first``."""

    first: int
    first_token: int
    count: int
    length: int

    @property
    def tokens(self) -> slice:
        """Where its tokens lie in the pack."""
        return slice(self.first_token, self.first_token + self.count * self.length)

    @property
    def texts(self) -> slice:
        """Where its texts lie in the pack."""
        return slice(self.first, self.first + self.count)


@dataclass(frozen=True, slots=True)
class Pack:
    """Texts ``indices`` in the order they lie, as runs, ``tokens`` in all."""

    indices: tuple[int, ...]
    runs: tuple[Run, ...]
    tokens: int


def pack(lengths: Sequence[int], token_budget: int) -> list[Pack]:
    """Lay texts of these lengths (tokens) into packs of at most ``token_budget`` tokens.

    Each index occurs exactly once, shorter texts come first, and a text longer than the budget
    is a pack of its own.
    """
    packs: list[Pack] = []
    waiting: list[int] = []
    tokens = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if waiting and tokens + lengths[index] > token_budget:
            packs.append(_packed(waiting, lengths))
            waiting, tokens = [], 0
        waiting.append(index)
        tokens += lengths[index]
    if waiting:
        packs.append(_packed(waiting, lengths))
    return packs


def _packed(indices: Sequence[int], lengths: Sequence[int]) -> Pack:
    runs: list[Run] = []
    text = token = 0
    for length, members in groupby(lengths[index] for index in indices):
        count = len(list(members))
        runs.append(Run(text, token, count, length))
        text, token = text + count, token + count * length
    return Pack(tuple(indices), tuple(runs), token)
