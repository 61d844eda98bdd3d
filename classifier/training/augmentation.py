"""More unlabelled text for teachers to label, made out of the text there is.

After Tang et al. 2019 (n-gram sampling for distillation) and Wei and Zou 2019 (random deletion
and swaps): pieces of texts, texts with words missing, and texts whose names are another's. None
is good prose; all hold words in company that they may keep. A teacher says what they mean. Pure:
the random generator is handed in.
"""

import random
import re
from collections.abc import Callable, Iterable, Sequence

from classifier.data.datasets import Example, normal_form

_NAME = re.compile(r"\$[A-Za-z]{1,6}\b|(?<=\s)[A-Z][\w&.-]+(?:\s[A-Z][\w&.-]+)*")
_LEAST_WORDS = 3


def augment(
    rows: Sequence[Example], count: int, generator: random.Random, excluded: Iterable[str] = ()
) -> list[Example]:
    """Up to ``count`` new texts, unlabelled; none has a normal form of ``rows`` or ``excluded``."""
    seen = {*excluded, *(normal_form(row.text) for row in rows)}
    made: list[Example] = []
    for _ in range(4 * count):
        if len(made) == count:
            break
        way = generator.choice(_WAYS)
        row, other = generator.choice(rows), generator.choice(rows)
        text = way(row.text, other.text, generator)
        form = normal_form(text)
        if len(form.split()) >= _LEAST_WORDS and form not in seen:
            seen.add(form)
            made.append(Example(text, source=row.source))
    return made


def drop_words(text: str, _: str, generator: random.Random) -> str:
    """Without a fifth of its words, drawn one by one."""
    return " ".join(word for word in text.split() if generator.random() > 0.2)


def sample_piece(text: str, _: str, generator: random.Random) -> str:
    """A run of its words, at least a third of them."""
    words = text.split()
    length = generator.randint(max(_LEAST_WORDS, len(words) // 3), max(_LEAST_WORDS, len(words)))
    first = generator.randint(0, max(0, len(words) - length))
    return " ".join(words[first : first + length])


def swap_names(text: str, other: str, generator: random.Random) -> str:
    """With its names and tickers, each, replaced by one of the other text's."""
    names = _NAME.findall(other)
    return _NAME.sub(lambda _: generator.choice(names), text) if names else text


_WAYS: tuple[Callable[[str, str, random.Random], str], ...] = (
    drop_words,
    sample_piece,
    swap_names,
)
