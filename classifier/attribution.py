"""What an explanation is: the words of a text, and how much each moved a probability.

Cuts a text into words and gives the weights of tokens to them. Knows spans of characters, not
tokens or tokenizers, and no torch, so that a page or a command can show explanations.
"""

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from classifier.errors import ClassifierError
from classifier.labels import Labels

Span = tuple[int, int]
"""First character of a token in the text, and the character behind its last."""

_ZERO_WIDTH_JOINER = "\u200d"


class ExplanationError(ClassifierError, ValueError):
    """A prediction cannot be explained; the message says why and what can be."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the text, with the white space behind it, and its share of the probability."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a text has its probability of the class ``target``.

    ``words`` put together are the text. ``output`` is P(target) of the text and ``baseline`` of
    a text that says nothing; the weights and ``error``, the signed error of completeness, sum to
    the difference of the two.
    """

    words: tuple[Word, ...]
    target: str
    baseline: float
    output: float
    error: float

    def strongest(self, count: int = 10) -> list[Word]:
        """At most ``count`` words that have a weight, the greatest in size first."""
        weighty = [word for word in self.words if word.weight]
        return sorted(weighty, key=lambda word: -abs(word.weight))[:count]


def class_of(labels: Labels, name: str) -> tuple[Literal["topic", "sentiment"], int]:
    """The head and the index of the class ``name``; of two such a sentiment goes before a topic.

    Raises ExplanationError if there is none.
    """
    if name in labels.sentiments:
        return "sentiment", labels.sentiments.index(name)
    if name in labels.topics:
        return "topic", labels.topics.index(name)
    known = ", ".join((*labels.sentiments, *labels.topics))
    raise ExplanationError(f"the model has no class {name!r} to explain; it has: {known}")


def words_of(
    text: str, spans: Sequence[Span], weights: Sequence[float], read: int
) -> tuple[Word, ...]:
    """The words of ``text`` with the summed weights of their tokens, in order.

    ``spans`` and ``weights`` are of the tokens, in order. ``read`` counts the characters that the
    model saw; the rest of the text is one word more, with weight 0. Words are what white space
    and control characters set apart; ideographs, kana and emoji stand alone, unless one token
    holds several. Together the words' texts are ``text``.
    """
    rest = [Word(text[read:], 0.0)] if read < len(text) else []
    if not read:
        return tuple(rest)
    anchors = [_anchor(text, span) for span in spans]
    whole = {
        place
        for anchor, (_, end) in zip(anchors, spans, strict=True)
        for place in range(anchor + 1, end)
    }
    starts = [start for start in _word_starts(text[:read]) if start not in whole]
    shares: list[list[float]] = [[] for _ in starts]
    for anchor, weight in zip(anchors, weights, strict=True):
        shares[bisect_right(starts, anchor) - 1].append(weight)
    ends = [*starts[1:], read]
    words = [
        Word(text[start:end], math.fsum(share))
        for start, end, share in zip(starts, ends, shares, strict=True)
    ]
    return tuple(words + rest)


def _anchor(text: str, span: Span) -> int:
    """The first character of a token that is not white space; where all is, the one behind."""
    start, end = span
    while start < end and _separates(text[start]):
        start += 1
    return start


def _word_starts(text: str) -> list[int]:
    """Where the words begin; the first begins with the text, whatever white space leads it."""
    starts = [0]
    base = ""
    for place, char in enumerate(text):
        if base and _begins(base, text[place - 1], char):
            starts.append(place)
        if not _extends(char) and (base or not _separates(char)):
            base = char
    return starts


def _begins(base: str, previous: str, char: str) -> bool:
    """Whether a word begins with ``char``; ``base`` is the last that extends no other."""
    if _extends(char) or _separates(char) or previous == _ZERO_WIDTH_JOINER:
        return False
    if _is_flag_letter(base) and _is_flag_letter(char):
        return False
    return _separates(base) or _stands_alone(base) or _stands_alone(char)


def _separates(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) in {"Cc", "Cf"}


def _extends(char: str) -> bool:
    """Marks, variation selectors, joiners, skin tones and tags belong to what they follow."""
    return (
        char == _ZERO_WIDTH_JOINER
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
        or unicodedata.category(char).startswith("M")
    )


def _stands_alone(char: str) -> bool:
    """Emoji and the wide characters of East Asia, but Hangul, which is written with spaces."""
    if "\uac00" <= char <= "\ud7a3" or "\u1100" <= char <= "\u115f":
        return False
    return unicodedata.category(char) == "So" or unicodedata.east_asian_width(char) == "W"


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
