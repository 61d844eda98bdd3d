"""Weighing: which words made the documents of a card negative, by the model that scored them.

Done once a card is kept and told of: it takes the model, and 0.15 s a document. A card
whose documents were all scored by other weights, or are gone, gets no words. Loads no model.
"""

import math
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any, Protocol

from classifier.attribution import Explanation
from store.cards import read_unweighed, write_words
from store.database import Database
from store.views import read_content

MOST_WORDS = 8
LEAST_WEIGHT = 0.02
"""What a word must add to the probability of all documents together, to be among them."""

_LONGEST_WORD = 40
_AT_ONCE = 10


class Weigher(Protocol):
    """Explains by the weights that serve now."""

    @property
    def version(self) -> str:
        """The version of these weights. Raises ExplanationError where there are none."""

    def explain(self, text: str) -> Explanation:
        """How much each word moved the negative probability. Raises ExplanationError."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A word in lower case, what it added in all documents together, and in how many it stands."""

    text: str
    weight: float
    documents: int


def weigh_cards(
    database: Database, run_id: int, weigher: Weigher, seconds: float = math.inf
) -> int:
    """Weigh the words of cards that nobody has looked at yet, the gravest first; how many.

    At most ten; it ends with the card that is under way after ``seconds``. Raises ExplanationError.
    """
    deadline, count = monotonic() + seconds, 0
    with database.transaction() as connection:
        waiting = read_unweighed(connection, run_id, _AT_ONCE)
    for event_id, card in waiting:
        if count and monotonic() >= deadline:
            break
        words = _weigh(database, run_id, weigher, card)
        with database.transaction() as connection:
            write_words(connection, event_id, words)
        count += 1
    return count


def heaviest(explanations: Collection[Explanation]) -> list[Weighed]:
    """The words that added most to the negative probability, a word of several texts once."""
    weights: dict[str, float] = {}
    documents: dict[str, int] = {}
    for explanation in explanations:
        own: dict[str, float] = {}
        for word in explanation.words:
            if text := _bare(word.text):
                own[text] = own.get(text, 0.0) + word.weight
        for text, weight in own.items():
            weights[text] = weights.get(text, 0.0) + weight
            documents[text] = documents.get(text, 0) + 1
    ranked = sorted(weights, key=lambda text: (-weights[text], text))
    return [
        Weighed(text, round(weights[text], 4), documents[text])
        for text in ranked[:MOST_WORDS]
        if weights[text] >= LEAST_WEIGHT
    ]


def _weigh(
    database: Database, run_id: int, weigher: Weigher, card: Mapping[str, Any]
) -> dict[str, Any]:
    if weigher.version not in card["models"]:
        return {"model": None, "documents": 0, "heaviest": []}
    with database.transaction() as connection:
        texts = [read_content(connection, run_id, driver["id"]) for driver in card["drivers"]]
    explained = [weigher.explain(text) for text in texts if text]
    return {
        "model": weigher.version,
        "documents": len(explained),
        "heaviest": [asdict(word) for word in heaviest(explained)],
    }


def _bare(word: str) -> str:
    """The word in lower case, without what surrounds it; nothing where it is no word at all."""
    text = word.casefold()
    inner = [place for place, char in enumerate(text) if _is_inner(char)]
    return text[inner[0] : inner[-1] + 1][:_LONGEST_WORD] if inner else ""


def _is_inner(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNS"
