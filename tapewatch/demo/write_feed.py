"""Writes the demo's historical feed: three days of invented news and comments with a planted scare.

    python -m tapewatch.demo.write_feed tapewatch/demo/feed.jsonl.gz [--truth truth.csv]

The words are in phrases.toml; this module gives them a calendar. Everything comes from one seed, so
the file is the same wherever it is written. Topics, sentiments and phrases are dealt from shuffled
decks, not drawn one by one, so that calm topics stay calm by construction. Knows no model: what a
document was meant to say goes to the truth file, never into the feed.
"""

import argparse
import csv
import gzip
import json
import random
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from tapewatch.demo.phrases import Company, Deck, Scribe, symbols_of

SEED = 20260311
FIRST_DAY = datetime(2026, 3, 10, tzinfo=UTC)
DAYS = 3

SCARE_TICKER = "MHBK"
SCARE_PEERS = ("CPLB", "FHVT")
SCARE_BEGINS = datetime(2026, 3, 11, 14, 5, tzinfo=UTC)
SCARE_BREAKS = datetime(2026, 3, 11, 14, 20, tzinfo=UTC)
SCARE_FLOODS = datetime(2026, 3, 11, 14, 45, tzinfo=UTC)
SCARE_ENDS = datetime(2026, 3, 11, 17, 45, tzinfo=UTC)
RELIEF_ENDS = datetime(2026, 3, 11, 19, 30, tzinfo=UTC)
MORNING_BEGINS = datetime(2026, 3, 12, 7, 0, tzinfo=UTC)
MORNING_ENDS = datetime(2026, 3, 12, 11, 30, tzinfo=UTC)
"""Rumours, then the news breaks, then a flood; relief, and an echo the next morning."""

HOURLY = (
    *(11, 10, 10, 10, 11, 13, 17, 22, 26, 29, 33, 39),
    *(49, 53, 57, 57, 55, 53, 52, 51, 48, 36, 24, 15),
)
"""Ordinary documents in each hour of a day."""

SCARE_RATE = (
    *((0, 0.3), (15, 0.9), (30, 2.6), (50, 5.2), (85, 5.4), (120, 2.2), (175, 0.8), (219, 0.4)),
    *((220, 0.8), (250, 1.2), (325, 0.1)),
)
MORNING_RATE = ((0, 0.08), (90, 0.15), (270, 0.05))
"""Documents a minute at so many minutes into the scare, or the morning; straight between."""
SCARE_PRICE = ((0, 0.97), (15, 0.9), (40, 0.74), (100, 0.59), (220, 0.64), (250, 0.76), (326, 0.82))
MORNING_PRICE = 0.84
"""The bank's share price, as a part of the day before's."""

NEWS_SOURCES = ("harbor-wire", "street-ledger", "tapeline-news", "quayside-post")
COMMENT_SOURCES = ("tickertalk", "plaza-forum", "pitside", "deskchat")
KINDS = ("news",) * 9 + ("comment",) * 11
SENTIMENT_HANDS = (
    ("negative", "neutral", "neutral", "neutral", "positive"),
    ("negative", "neutral", "neutral", "positive", "positive"),
)
"""Of every five documents of a topic in a row, one is negative."""
LATELY, GLOOM = 8, 2
"""With so many negatives among the latest documents of all topics, another one waits if it can."""
TONE_SHARE = 0.7
RETWEET_SHARE = 0.12
TRIES = 5
"""How often another phrase is dealt when the words were said before."""
REPEATED_IDS = (400, 1300, 2600)
REPEATED_AFTER = timedelta(minutes=7)

Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """One document of the feed, with what it was meant to say."""

    published_at: datetime
    kind: str
    topic: str
    sentiment: str
    text: str
    title: str | None = None
    symbols: tuple[str, ...] = ()
    language: str = "en"
    id: str = ""
    source: str = ""
    author: str = ""

    def record(self) -> dict[str, Any]:
        """The document by the contract; without what it was meant to say."""
        news = self.kind == "news"
        record = {
            "id": self.id,
            "source": self.source,
            "kind": self.kind,
            "published_at": self.published_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "title": self.title if news else None,
            "text": self.text,
            "url": f"https://example.com/{self.source}/{self.id}" if news else None,
            "author": None if news else self.author,
            "language": self.language,
            "symbols": self.symbols,
        }
        return {name: value for name, value in record.items() if value is not None}


class Newsroom:
    """Deals what is said: topic, sentiment, phrase and the names in it."""

    def __init__(self, rng: random.Random) -> None:
        """Shuffle the decks."""
        self._rng = rng
        self._scribe = Scribe(rng)
        self._tables = self._scribe.tables
        self._by_ticker = {company.ticker: company for company in self._scribe.companies}
        self._kinds = Deck(KINDS, rng)
        self._topics = {
            kind: Deck(
                [t for t, w in self._tables["weights"].items() for _ in range(w[column])], rng
            )
            for column, kind in enumerate(("news", "comment"))
        }
        self._hands = {topic: Deck(SENTIMENT_HANDS, rng) for topic in self._tables["weights"]}
        self._moods: dict[str, list[str]] = defaultdict(list)
        self._lately: deque[str] = deque(maxlen=LATELY)
        self._decks: dict[tuple[str, ...], Deck[Any]] = {}
        self._headlines: list[Line] = []
        self._said: set[str] = set()

    def ordinary(self, at: datetime) -> Line:
        """A document of an ordinary day."""
        kind = self._kinds.deal()
        topic = self._topics[kind].deal()
        line = Line(at, kind, topic, self._mood(topic), "")
        excluded = _silent(at)
        for _ in range(TRIES):
            phrase = self._deck(topic, kind, line.sentiment).deal()
            company = self._scribe.company(phrase, excluded)
            said = self._say(line, phrase, company, self._scribe.peer(company, excluded))
            if _headline(said) not in self._said:
                break
        self._said.add(_headline(said))
        return said

    def scare(self, at: datetime) -> Line:
        """A document of the scare, as far as it has come."""
        phase = _phase(at)
        kind = "comment" if phase == "rumours" else self._kinds.deal()
        if kind == "comment" and self._headlines and self._rng.random() < RETWEET_SHARE:
            return self._retweet(at)
        bank = self._by_ticker[SCARE_TICKER]
        peer = self._by_ticker[self._deal("peers", SCARE_PEERS)]
        scene = self._scene(at, bank)
        for _ in range(TRIES):
            topic, sentiment, phrase = self._scare_deck(phase, kind).deal()
            said = self._scribe.write(phrase, bank, peer, scene)
            if said not in self._said:
                break
        self._said.add(said)
        line = Line(at, kind, topic, sentiment, said, symbols=symbols_of(phrase, bank, peer))
        if kind == "news":
            text = self._scribe.write(self._body(phase), bank, peer, scene)
            line = replace(line, title=line.text, text=text)
            self._headlines = [*self._headlines, line][-8:]
        return line

    def oddities(self) -> Iterator[Line]:
        """Documents that are legal, and hard."""
        for odd in self._tables["oddities"]:
            at = datetime.fromisoformat(odd["at"])
            fields = {name: odd[name] for name in odd.keys() - {"at", "why", "symbols"}}
            yield Line(at, symbols=tuple(odd["symbols"]), **fields)

    def sign(self, line: Line) -> Line:
        """The document with its source, and its author if it is a comment."""
        if line.kind == "news":
            return replace(line, source=self._deal("news", NEWS_SOURCES))
        words = self._tables["words"]
        name = self._deal("first", words["handle_a"]) + self._deal("last", words["handle_b"])
        author = f"{name}{int(self._rng.random() * 20) or ''}"
        return replace(line, source=self._deal("comment", COMMENT_SOURCES), author=author)

    def _say(self, line: Line, phrase: str, company: Company, peer: Company) -> Line:
        written = self._scribe.write(phrase, company, peer)
        line = replace(line, symbols=symbols_of(phrase, company, peer))
        if line.kind == "comment":
            return replace(line, text=written)
        toned = line.sentiment != "neutral" and self._rng.random() < TONE_SHARE
        bodies = (
            self._tables["tones"][line.sentiment] if toned else self._tables["bodies"][line.topic]
        )
        body = self._deal(f"{line.topic} {line.sentiment} {toned}", bodies)
        return replace(line, title=written, text=self._scribe.write(body, company, peer))

    def _scene(self, at: datetime, bank: Company) -> dict[str, str]:
        minute = (at - SCARE_BEGINS).seconds // 60
        left = _at_minute(minute, SCARE_PRICE) if at < MORNING_BEGINS else MORNING_PRICE
        lost = 1 - left
        near = 0.99 + 0.02 * self._rng.random()
        return {
            "price": f"{bank.price * left * near:.2f}",
            "target": f"{bank.price * left * 0.7:.0f}",
            "drop": f"{100 * lost:.0f}",
            "peerdrop": f"{40 * lost * near + 2:.0f}",
            "swap": f"{1900 * lost * near + 90:.0f}",
            "withdrawn": f"{20 * lost * near + 1:.1f}",
        }

    def _retweet(self, at: datetime) -> Line:
        told = self._headlines[int(self._rng.random() * len(self._headlines))]
        handle = ("HarborWireAlerts", "TapelineDesk")[int(self._rng.random() * 2)]
        text = f"RT @{handle}: {told.title}"
        return replace(told, published_at=at, kind="comment", title=None, text=text)

    def _mood(self, topic: str) -> str:
        hand = self._moods[topic]
        if not hand:
            hand += sorted(self._hands[topic].deal(), key=lambda _: self._rng.random())
        gloomy = self._lately.count("negative") >= GLOOM
        kept = [index for index, mood in enumerate(hand) if not gloomy or mood != "negative"]
        mood = hand.pop(kept[-1] if kept else -1)
        self._lately.append(mood)
        return mood

    def _deck(self, topic: str, kind: str, sentiment: str) -> Deck[str]:
        return self._cached((topic, kind, sentiment), self._tables[topic][kind][sentiment])

    def _scare_deck(self, phase: str, kind: str) -> Deck[tuple[str, str, str]]:
        groups = self._tables["scare"][phase][kind]
        lines = [(g["topic"], g["sentiment"], phrase) for g in groups for phrase in g["phrases"]]
        return self._cached(("scare", phase, kind), lines)

    def _body(self, phase: str) -> str:
        return self._deal(f"scare {phase}", self._tables["scare"]["bodies"][phase])

    def _deal(self, name: str, items: Sequence[str]) -> str:
        deck: Deck[str] = self._cached((name,), items)
        return deck.deal()

    def _cached(self, key: tuple[str, ...], items: Sequence[Any]) -> Deck[Any]:
        return self._decks.setdefault(key, Deck(items, self._rng))


def feed(seed: int = SEED) -> list[Line]:
    """The whole feed in order of publication."""
    rng = random.Random(seed)  # noqa: S311 - a feed that is the same each time, not a secret
    newsroom = Newsroom(rng)
    lines = [newsroom.ordinary(at) for at in _ordinary_times(rng)]
    lines += [newsroom.scare(at) for at in _rated_times(SCARE_BEGINS, SCARE_RATE, rng)]
    lines += [newsroom.scare(at) for at in _rated_times(MORNING_BEGINS, MORNING_RATE, rng)]
    lines += newsroom.oddities()
    lines.sort(key=lambda line: line.published_at)
    signed = [
        replace(newsroom.sign(line), id=f"demo-{number:06d}")
        for number, line in enumerate(lines, start=1)
    ]
    again = [
        replace(signed[index], published_at=signed[index].published_at + REPEATED_AFTER)
        for index in REPEATED_IDS
    ]
    return sorted(signed + again, key=lambda line: line.published_at)


def encode(lines: Sequence[Line]) -> bytes:
    """The feed as JSON lines."""
    return b"".join(
        json.dumps(line.record(), ensure_ascii=False).encode() + b"\n" for line in lines
    )


def write_truth(path: Path, lines: Sequence[Line]) -> None:
    """Write what every document was meant to say."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "topic", "sentiment"))
        table.writerows({line.id: (line.id, line.topic, line.sentiment) for line in lines}.values())


def _ordinary_times(rng: random.Random) -> Iterator[datetime]:
    for hour in range(24 * DAYS):
        begins = FIRST_DAY + timedelta(hours=hour)
        wobble = int(rng.random() * 5) - 2 if HOURLY[hour % 24] > 20 else int(rng.random() * 3)
        seconds = sorted(int(rng.random() * 3600) for _ in range(HOURLY[hour % 24] + wobble))
        yield from (begins + timedelta(seconds=second) for second in seconds)


def _rated_times(begins: datetime, rate: Curve, rng: random.Random) -> Iterator[datetime]:
    due = 0.0
    for minute in range(rate[-1][0]):
        due += _at_minute(minute, rate)
        count, due = int(due), due % 1
        seconds = sorted(int(rng.random() * 60) for _ in range(count))
        yield from (begins + timedelta(minutes=minute, seconds=second) for second in seconds)


def _at_minute(minute: int, curve: Curve) -> float:
    for (start, low), (end, high) in pairwise(curve):
        if start <= minute < end:
            return low + (high - low) * (minute - start) / (end - start)
    raise ValueError(f"minute {minute} is outside the curve's {curve[-1][0]} minutes")


def _phase(at: datetime) -> str:
    if at < SCARE_BREAKS:
        return "rumours"
    if at < SCARE_FLOODS:
        return "break"
    if at < SCARE_ENDS:
        return "flood"
    return "relief" if at < MORNING_BEGINS else "morning"


def _silent(at: datetime) -> tuple[str, ...]:
    """The banks of which only the scare speaks."""
    if at < SCARE_BEGINS:
        return ()
    return (SCARE_TICKER, *SCARE_PEERS) if at < RELIEF_ENDS else (SCARE_TICKER,)


def _headline(line: Line) -> str:
    return line.title or line.text


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the feed, and the truth beside it if asked."""
    parser = argparse.ArgumentParser(prog="write_feed", description="Write the demo's feed.")
    parser.add_argument("output", type=Path, help="a .jsonl.gz file")
    parser.add_argument("--truth", type=Path, help="a CSV of id, topic and sentiment")
    options = parser.parse_args(arguments)
    lines = feed()
    options.output.write_bytes(gzip.compress(encode(lines), compresslevel=9, mtime=0))
    if options.truth:
        write_truth(options.truth, lines)


if __name__ == "__main__":
    main()
