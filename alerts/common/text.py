"""Texts of others, made fit to stand in a message: keys come from feeds and are not to be trusted.

Knows no message and no service.
"""

import unicodedata

_JOINERS = "\u200c\u200d"
"""Invisible, but scripts and emoji need them, and they turn nothing around."""

_LIKENESSES = str.maketrans(
    {
        "@": "\uff20",  # mentions
        "<": "\u2039",  # Slack's <!channel>, HTML
        ">": "\u203a",
        "*": "\u2217",  # Markdown
        "`": "\u2019",
        "~": "\u223c",
        "[": "\uff3b",
        "]": "\uff3d",
        "|": "\u00a6",
        "#": "\uff03",
    }
)
_LINK, _UNLINKED = "://", ":\u2215\u2215"


def plain(text: str, limit: int | None = None) -> str:
    """``text`` on one line: no control, bidi or other invisible characters; cut at ``limit``."""
    # Most texts hold nothing else, and a page has thousands of them.
    shown = text if text.isprintable() else "".join(map(_visible, text))
    line = " ".join(shown.split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "\u2026"


def inert(text: str, limit: int = 100) -> str:
    """``plain``, and nothing in it mentions, links or formats where a service reads markup.

    Characters that do are replaced by others that look like them.
    """
    return plain(text, limit).translate(_LIKENESSES).replace(_LINK, _UNLINKED)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\n\r\t\v\f" or category in {"Zl", "Zp"}:
        return " "
    if category in {"Cc", "Cf", "Cs", "Co", "Cn"} and character not in _JOINERS:
        return ""
    return character
