"""Posts written as the headlines that they pass on: without links, tags, handles and sources.

Most unlabelled texts are posts, and many of those repeat a headline. Relieved of what makes a
post of it, such a text tells a student what teachers of headlines say of words that no labelled
headline has. What does not look like one sentence of news is left out. Pure: the random generator
is handed in.
"""

import html
import random
import re
from collections.abc import Collection, Sequence

from classifier.data.datasets import Example, normal_form

PLAIN = "plain"
"""The source of posts that were written as headlines, beside the names of sets and files."""

_LEAST_WORDS, _MOST_WORDS, _MOST_CHARACTERS = 5, 25, 400
_TYPED = str.maketrans(dict.fromkeys("\u2018\u2019", "'") | dict.fromkeys("\u201c\u201d", '"'))
_TYPED |= str.maketrans({"\u2013": "-", "\u2014": "-", "\u2026": "..."})
_CASHTAG = r"\$(?=[A-Za-z])[\w.]++"
_TAG = r"(?:\$(?=[A-Za-z])|#(?=\d*+[A-Za-z]))[\w.]++"
_STEPS = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"(?:https?:/|www\.)\S+", " "),
        (r"^[\s\"]*RT +@\w+:?", " "),  # who said it first
        (r"^(?:\s*\.?@\w+:?)+", " "),  # to whom it is said
        (r"\(?\b(?:via|by|from|h/t)\s+@\w+\)?\s*$", " "),
        # what it is filed under: before, beside the company's name, and after
        (rf"^(?:[\s,;|&-]*{_CASHTAG})+(?:\s*\([^)]*\))?(?:\s*[:|-]+\s|\s+(?=[A-Z][a-z&]))", " "),
        (rf"^\s*(?:{_CASHTAG}[\s,;|&]+){{2,}}", " "),
        (r"(\b[A-Z][\w.&]+) \(?\$[A-Z]{1,5}\)?(?=\s)", r"\1"),
        (rf"(?:[\s,;|&(\[-]*{_TAG}[)\]]*)+[\s.]*$", " "),
        (r"\s(?:[-|]|via)\s+[A-Z@][\w.&'@]*(?:\s[A-Z][\w.&']*){0,3}\s*$", " "),  # "- BBG TV"
        (r"(?<!\w)[$#](?=[A-Za-z])", ""),
        (r"\s+", " "),
        (r"^[\s:|,;-]+|[\s:|,;>(-]+$", ""),
    )
)
_HEADLINE = re.compile(r"[A-Z0-9][ -~£€¥₹°é]+")
_NO_HEADLINE = re.compile(
    r"@|[$#]\D|[$#]$|\.\.|[!?].*[!?]|[a-z\d)]{2}[.!?]+[\"']?\s\S"
    r"|\b(?:I|[Ii]'\w+|[Mm]y|[Mm]e|[Yy]ou\w*|[Ww]e|[Oo]ur|[Uu]s|u|lol|LOL|[Cc]heck out)\b"
    r"|\b(?:an?|the|and|or|as|at|by|for|from|in|of|on|to|with|[Vv]ia)$"  # the end is missing
)
_TICKER = re.compile(r"\b[A-Z]{2,6}\b")


def as_headline(text: str) -> str | None:
    """The headline that a post passes on; None where it is not one sentence of news."""
    text = text.strip()
    if "\n" in text or len(text) > _MOST_CHARACTERS:
        return None
    plain = html.unescape(text).translate(_TYPED)
    for pattern, new in _STEPS:
        plain = pattern.sub(new, plain)
    return plain if _is_headline(plain) else None


def _is_headline(text: str) -> bool:
    words = text.split()
    if not (_LEAST_WORDS <= len(words) <= _MOST_WORDS and _HEADLINE.fullmatch(text)):
        return False
    letters = sum(character.isalpha() or character == " " for character in text)
    lists = len(_TICKER.findall(text)) > len(words) / 3 and not text.isupper()
    return letters > 0.8 * len(text) and not lists and not _NO_HEADLINE.search(text)


def plain_headlines(
    posts: Sequence[Example], count: int, generator: random.Random, excluded: Collection[str]
) -> list[Example]:
    """Up to ``count`` of the ``posts`` as headlines, without labels and each but once.

    None whose normal form, before or after, is ``excluded``, and none that is one of the posts
    as it stands.
    """
    seen, known = set(excluded), {post.text for post in posts}
    found: list[Example] = []
    for post in generator.sample(posts, len(posts)) if count else ():
        if len(found) == count:
            break
        plain = None if normal_form(post.text) in excluded else as_headline(post.text)
        if plain and plain not in known and normal_form(plain) not in seen:
            seen.add(normal_form(plain))
            found.append(Example(plain, source=PLAIN))
    return found
