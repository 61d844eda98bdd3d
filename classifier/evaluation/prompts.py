"""The prompt of one head: what every row shares, what a row adds, and the answers. Knows no model.

::

    Each text has one sentiment: negative, neutral, positive.

    Text: Shares jump after record profit
    Sentiment: positive

    Text: <the row's text>
    Sentiment:

Texts are cut and examples left out until the longest prompt fits the context.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from classifier.data.datasets import Example

Tokens = tuple[int, ...]
Tokenize = Callable[[str], Tokens]

CONTENT_FREE = ("N/A", "", "[MASK]")
"""Inputs that say nothing, those of Zhao et al. 2021."""

TEXT_TOKENS = (96, 48, 16)
"""Tokens after which a text is cut: the first that leave room for the rest of the prompt."""

CHARACTERS_READ = 4096
"""Characters of a text that are tokenized at all."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of one head in tokens; ``answers`` are the names of its classes, as they follow."""

    beginning: Tokens
    question: Tokens
    answers: tuple[Tokens, ...]
    text_tokens: int
    shots: int

    def row(self, tokenize: Tokenize, text: str) -> Tokens:
        """What one text adds to the beginning."""
        return (*tokenize(f"Text: {_folded(text)}")[: self.text_tokens], *self.question)


def make_prompt(  # noqa: PLR0913 - what a prompt is made of
    tokenize: Tokenize,
    context: int,
    head: str,
    names: Sequence[str],
    shots: Sequence[Example],
    begin: Tokens = (),
) -> Prompt | None:
    """The fullest prompt that fits ``context`` tokens, or None if none does.

    ``shots`` are left out from the end; if there are any, one must fit. Without room for it the
    line that lists the classes is left out too.
    """
    question = f"{head.capitalize()}:"
    answers = tuple(_continuation(tokenize, question, f" {name}") for name in names)
    asked = tokenize(f"\n{question}")
    longest = max(map(len, answers))
    listed = tokenize(f"Each text has one {head}: {', '.join(names)}.\n\n")
    for text_tokens in TEXT_TOKENS:
        blocks = [
            (
                *tokenize(f"Text: {_folded(shot.text)}")[:text_tokens],
                *tokenize(f"\n{question} {names[getattr(shot, head)]}\n\n"),
            )
            for shot in shots
        ]
        for header in (listed, ()):
            room = context - len(begin) - len(header) - text_tokens - len(asked) - longest
            kept = _fitting(blocks, room)
            if room >= 0 and (kept or not blocks):
                beginning = (*begin, *header, *(token for block in kept for token in block))
                return Prompt(beginning, asked, answers, text_tokens, len(kept))
    return None


def _fitting(blocks: Sequence[Tokens], room: int) -> list[Tokens]:
    """The first blocks that fit ``room`` tokens, mixed: a class's turn should not be its place."""
    kept = []
    for block in blocks:
        room -= len(block)
        if room < 0:
            break
        kept.append(block)
    random.Random(len(kept)).shuffle(kept)  # noqa: S311 - an order, not a secret
    return kept


def _continuation(tokenize: Tokenize, before: str, text: str) -> Tokens:
    """The tokens of ``text`` where it follows ``before``; tokenizers join in ways of their own."""
    return tokenize(before + text)[len(tokenize(before)) :] or tokenize(text)


def _folded(text: str) -> str:
    """On one line, since a line's end ends the text."""
    return " ".join(text[:CHARACTERS_READ].split())
