"""The words of the demo's feed, and a scribe that fills them in. The words are in phrases.toml.

Only ``Random.random`` is called, the one method whose numbers Python promises to keep, so that the
same seed writes the same words on every version. Knows no calendar and no document.
"""

import random
import re
import tomllib
import zlib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

PHRASES = Path(__file__).with_name("phrases.toml")
PRICED = ("price", "target")
"""Numbers whose bounds in phrases.toml are multiples of the company's price."""

_SLOT = re.compile(r"\{(\w+)\}")
_SUBJECT_SLOTS = frozenset({"company", "ticker", "peer", "peerticker"})
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Company:
    """One invented company."""

    ticker: str
    name: str
    sector: str
    price: float


class Deck(Generic[T]):
    """Deals items in random order, all of them once before any of them again."""

    def __init__(self, items: Sequence[T], rng: random.Random) -> None:
        """Start with every item still to come."""
        self._items = items
        self._rng = rng
        self._left: list[T] = []

    def deal(self, suits: Callable[[T], bool] = lambda _: True) -> T:
        """The next item that suits; the ones passed over stay for later."""
        for _ in range(2):
            for index, item in enumerate(self._left):
                if suits(item):
                    return self._left.pop(index)
            self._left += sorted(self._items, key=lambda _: self._rng.random())
        raise LookupError("no item of the deck suits")


class Scribe:
    """Fills the slots of phrases."""

    def __init__(self, rng: random.Random, phrases: Path = PHRASES) -> None:
        """Read the words; ``rng`` chooses among them."""
        self.tables: dict[str, Any] = tomllib.loads(phrases.read_text(encoding="utf-8"))
        self.companies = tuple(
            Company(ticker, name, sector, _price(ticker))
            for sector, names in self.tables["companies"].items()
            for ticker, name in names.items()
        )
        self._rng = rng
        self._company = Deck(self.companies, rng)
        self._words: dict[str, Deck[str]] = {
            name: Deck(words, rng) for name, words in self.tables["words"].items()
        }

    def company(self, phrase: str, excluded: Container[str] = ()) -> Company:
        """A subject for the phrase, of the sector that the phrase asks for, if it does."""
        sectors = set(_SLOT.findall(phrase)) & self.tables["companies"].keys()
        return self._company.deal(
            lambda c: c.ticker not in excluded and (not sectors or c.sector in sectors)
        )

    def peer(self, company: Company, excluded: Container[str] = ()) -> Company:
        """Another company, of the same sector if there is one."""
        others = [c for c in self.companies if c != company and c.ticker not in excluded]
        same = [c for c in others if c.sector == company.sector] or others
        return same[int(self._rng.random() * len(same))]

    def write(
        self, phrase: str, company: Company, peer: Company, scene: Mapping[str, str] | None = None
    ) -> str:
        """The phrase with every slot filled, each time anew; ``scene`` fixes some of them."""
        names = {
            "company": company.name,
            "ticker": f"${company.ticker}",
            company.sector: company.name,
            "peer": peer.name,
            "peerticker": f"${peer.ticker}",
            **(scene or {}),
        }
        text = _SLOT.sub(lambda slot: names.get(slot[1]) or self._fill(slot[1], company), phrase)
        return text[0].upper() + text[1:] if _SLOT.match(phrase) and text[0].isalpha() else text

    def _fill(self, slot: str, company: Company) -> str:
        if slot in self._words:
            return self._words[slot].deal()
        low, high, decimals = self.tables["numbers"][slot]
        if slot in PRICED:
            low, high = low * company.price, high * company.price
        return f"{low + (high - low) * self._rng.random():.{decimals}f}"


def symbols_of(phrase: str, company: Company, peer: Company) -> tuple[str, ...]:
    """The tickers that a phrase is about, the subject's first."""
    slots = set(_SLOT.findall(phrase))
    about_subject = slots & (_SUBJECT_SLOTS - {"peer", "peerticker"} | {company.sector})
    about_peer = slots & {"peer", "peerticker"}
    return (company.ticker,) * bool(about_subject) + (peer.ticker,) * bool(about_peer)


def _price(ticker: str) -> float:
    """A price that is always the same for a ticker, between 12 and 190."""
    return 12.0 + zlib.crc32(ticker.encode()) % 178
