"""The texts that benchmarks score: of a feed file, or of the demo's, and a long-tailed mix of them.

``TAPEWATCH_BENCH_FEED`` names a JSONL feed, gzipped or not; unset, it is the demo's.
"""

import gzip
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

from measuring import ROOT

DEMO = ROOT / "tapewatch" / "demo" / "feed.jsonl.gz"
LONG_EVERY, LONG_TOKENS = 64, 400


def feed_path() -> Path:
    return Path(os.environ.get("TAPEWATCH_BENCH_FEED") or DEMO)


def feed_texts(count: int) -> list[str]:
    """Distinct texts, at most ``count``, drawn evenly over the feed."""
    texts = list(dict.fromkeys(_texts(feed_path())))
    return random.Random(1).sample(texts, min(count, len(texts)))


def long_tailed(texts: list[str], words_a_token: float = 1.0) -> list[str]:
    """The same, but every 64th is of about 400 tokens."""
    mixed = list(texts)
    for place in range(0, len(mixed), LONG_EVERY):
        words: list[str] = []
        for text in mixed[place:] + mixed:
            words += text.split()
            if len(words) >= LONG_TOKENS * words_a_token:
                break
        mixed[place] = " ".join(words[: int(LONG_TOKENS * words_a_token)])
    return mixed


def _texts(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if text := record.get("text", "").strip():
                yield f"{record['title']}\n{text}" if record.get("title") else text
