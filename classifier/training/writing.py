"""Invented sentences of company news: a small grammar of our own, in ``company_news.toml``.

The public sets are posts and headlines; news also comes in whole sentences, with amounts, periods
and a comparison. Where a template leaves no doubt how it feels its sentences carry that label;
others are left to teachers. Pure but for the grammar's file: the random generator is handed in.
"""

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from classifier.data.datasets import Example
from classifier.labels import SENTIMENTS, UNLABELLED

WRITTEN = "written"
"""The source of invented sentences, beside the names of sets and files."""

_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\ba (?=[aeio])")


def write_sentences(count: int, generator: random.Random) -> list[Example]:
    """``count`` sentences, of each template as many; short ones may repeat."""
    sentences, words = _grammar()
    templates = [(text, _label(feeling)) for feeling, texts in sentences.items() for text in texts]
    return [
        Example(_fill(text, words, generator), sentiment=label, source=WRITTEN)
        for text, label in generator.choices(templates, k=count)
    ]


@cache
def _grammar() -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
    grammar = tomllib.loads(files(__package__).joinpath("company_news.toml").read_text("utf-8"))
    return grammar["sentences"], grammar["words"]


def _label(feeling: str) -> int:
    return SENTIMENTS.index(feeling) if feeling in SENTIMENTS else UNLABELLED


def _fill(text: str, words: Mapping[str, Sequence[str]], generator: random.Random) -> str:
    """Put words in every slot, and in the slots of those words, until none is left."""
    drawn = _compared(words, generator)
    while _SLOT.search(text):
        text = _SLOT.sub(lambda slot: drawn.get(slot[1]) or generator.choice(words[slot[1]]), text)
    text = _ARTICLE.sub("an ", text)
    return text[0].upper() + text[1:]


def _compared(words: Mapping[str, Sequence[str]], generator: random.Random) -> dict[str, str]:
    """Two amounts in one unit and two percentages, for a sentence that compares them."""
    less, more = _pair(generator)
    low, high = sorted(generator.sample(range(10, 900), 2))
    amount, share = generator.choice(words["amount_unit"]), generator.choice(words["percent_unit"])
    return {
        "less": amount.replace("#", less),
        "more": amount.replace("#", more),
        "low": share.replace("#", f"{low / 10}"),
        "high": share.replace("#", f"{high / 10}"),
    }


def _pair(generator: random.Random) -> tuple[str, str]:
    """Two numbers as they are printed, the smaller first: up to three times as much."""
    digits = generator.choice((0, 0, 1, 1, 2))
    step = 10**-digits
    less = generator.choice((9, 90, 900, 9000)) * (0.1 + 0.9 * generator.random())
    more = max(less * (1 + 2 * generator.random()), less + 2 * step)
    return f"{less:,.{digits}f}", f"{more:,.{digits}f}"
