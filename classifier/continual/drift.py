"""Drift: how far what is scored now is from what the model was trained on. Pure arithmetic.

Compared are shares over bins, by the population stability index of
``classifier.continual.stability``: of the classes that the model chooses, of how sure it is, and of
the words it meets. Observations of one kind are taken as independent, which words of one text are
not quite; they are counted once a text for that reason.

Knows no torch, no store and no clock.
"""

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from classifier.continual.stability import (
    Counts,
    Floats,
    Part,
    Verdict,
    compare,
    contributions,
    overall,
)
from classifier.errors import ClassifierError
from classifier.labels import Labels

MIN_DOCUMENTS = 200
WORD_BINS = 64
"""Bins that the reference's frequent words are hashed into; one more takes all other words."""

VOCABULARY = 2000
"""How many of its most frequent words a reference keeps."""

NEW_WORD_SHARE, NEW_WORD_TEXTS = 0.01, 5
"""A word outside the reference's is told if it is in so large a share of texts, and so many."""

_CONFIDENCE_BINS = 10
_TOLD = 5
_NEW_WORDS_TOLD = 20
_NO_WORD = re.compile(r"(https?://|www\.)\S+|@\w+")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


class DriftError(ClassifierError, ValueError):
    """A reference is missing, damaged or of another model; the message says what to do."""


class Reference(msgspec.Struct, frozen=True):
    """What drift is measured against, kept in the card; all are counts.

    ``topics`` and ``sentiments`` count the likeliest class, in the order of the labels. Confidence
    is the top probability; its ``edges`` are the inner boundaries of its bins. ``words`` counts
    texts by the bin of a word in them: WORD_BINS of the ``vocabulary``, then all other words.
    """

    documents: int
    topics: tuple[int, ...]
    sentiments: tuple[int, ...]
    topic_edges: tuple[float, ...]
    topic_confidence: tuple[int, ...]
    sentiment_edges: tuple[float, ...]
    sentiment_confidence: tuple[int, ...]
    vocabulary: tuple[str, ...]
    words: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data, for the card."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_json(cls, plain: object) -> "Reference":
        """Read what ``as_json`` wrote. Raises DriftError."""
        if plain is None:
            raise DriftError(
                "the card of these weights has no drift reference: train or evaluate them with "
                "this version of tapewatch"
            )
        try:
            reference = msgspec.convert(plain, cls)
        except msgspec.ValidationError as error:
            raise DriftError(f"the drift reference in the card is damaged: {error}") from error
        lengths = (
            len(reference.topic_confidence) - len(reference.topic_edges),
            len(reference.sentiment_confidence) - len(reference.sentiment_edges),
            len(reference.words) - WORD_BINS,
        )
        if lengths != (1, 1, 1):
            raise DriftError("the drift reference in the card is damaged: its bins do not fit")
        return reference


@dataclass(frozen=True, slots=True)
class Move:
    """A class whose share moved, from the reference to now; shares in [0, 1]."""

    head: str
    name: str
    before: float
    now: float
    contribution: float


@dataclass(frozen=True, slots=True)
class NewWord:
    """A word that is frequent now and is not among the reference's frequent words."""

    word: str
    share: float


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The verdict, what it rests on, and where to look."""

    verdict: Verdict
    documents: int
    parts: tuple[Part, ...]
    moved: tuple[Move, ...]
    new_words: tuple[NewWord, ...]
    other_words: tuple[float, float]
    """The share of words outside the reference's frequent ones, before and now."""

    def part(self, name: str) -> Part:
        """The part of that name. Raises KeyError."""
        return {part.name: part for part in self.parts}[name]

    def as_json(self) -> dict[str, Any]:
        """As plain data; what could not be measured is None."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        for part in plain["parts"]:
            if part["expected"] is None:  # JSON knows no infinity
                part["psi"] = None
        return plain


def make_reference(
    topic_probabilities: Floats, sentiment_probabilities: Floats, texts: Sequence[str]
) -> Reference:
    """A reference from (N, topics) and (N, sentiments) probabilities and their N texts.

    Rows that the model was not trained on serve best: it is surer of those it was, so confidence
    would seem to fall as soon as it works.
    """
    if not len(texts) == len(topic_probabilities) == len(sentiment_probabilities):
        raise ValueError("a reference needs one row of probabilities of each head for each text")
    if not texts:
        raise DriftError("a drift reference cannot be made of no texts")
    words = Counter(word for text in texts for word in words_of(text))
    frequent = sorted(words, key=lambda word: (-words[word], word))[:VOCABULARY]
    topic_edges = _edges(topic_probabilities)
    sentiment_edges = _edges(sentiment_probabilities)
    return Reference(
        documents=len(texts),
        topics=_plain(_chosen(topic_probabilities)),
        sentiments=_plain(_chosen(sentiment_probabilities)),
        topic_edges=tuple(map(float, topic_edges)),
        topic_confidence=_plain(_confidence(topic_probabilities, topic_edges)),
        sentiment_edges=tuple(map(float, sentiment_edges)),
        sentiment_confidence=_plain(_confidence(sentiment_probabilities, sentiment_edges)),
        vocabulary=tuple(sorted(frequent)),
        words=_plain(_word_bins(words, frozenset(frequent))),
    )


def measure(  # noqa: PLR0913 - what is compared with what
    reference: Reference,
    labels: Labels,
    topic_probabilities: Floats,
    sentiment_probabilities: Floats,
    texts: Sequence[str],
    min_documents: int = MIN_DOCUMENTS,
) -> DriftReport:
    """Compare N documents with the reference; arguments as ``make_reference``.

    Raises DriftError if the reference is of a model with other labels.
    """
    sizes = (len(reference.topics), len(reference.sentiments))
    if sizes != (len(labels.topics), len(labels.sentiments)):
        raise DriftError(
            f"the drift reference has {sizes[0]} topics and {sizes[1]} sentiments, the model "
            f"{len(labels.topics)} and {len(labels.sentiments)}: it is of other weights"
        )
    topics, sentiments = _chosen(topic_probabilities), _chosen(sentiment_probabilities)
    words = Counter(word for text in texts for word in words_of(text))
    known = frozenset(reference.vocabulary)
    bins = _word_bins(words, known)
    sure = _confidence(topic_probabilities, np.asarray(reference.topic_edges))
    felt = _confidence(sentiment_probabilities, np.asarray(reference.sentiment_edges))
    parts = (
        compare("topics", reference.topics, topics),
        compare("sentiments", reference.sentiments, sentiments),
        compare("topic confidence", reference.topic_confidence, sure),
        compare("sentiment confidence", reference.sentiment_confidence, felt),
        compare("vocabulary", reference.words, bins),
    )
    return DriftReport(
        verdict=overall((part.verdict for part in parts), len(texts), min_documents),
        documents=len(texts),
        parts=parts,
        moved=_moved(
            ("topic", labels.topics, reference.topics, topics),
            ("sentiment", labels.sentiments, reference.sentiments, sentiments),
        ),
        new_words=_new_words(words, known, len(texts)),
        other_words=(_last_share(reference.words), _last_share(bins)),
    )


def words_of(text: str) -> set[str]:
    """The words of a text in lower case, each once; links, handles and figures are none."""
    return set(_WORD.findall(_NO_WORD.sub(" ", text).lower()))


def _word_bins(words: Mapping[str, int], known: frozenset[str]) -> Counts:
    """Counts (WORD_BINS + 1,): words of ``known`` by their hash, all others in the last bin."""
    bins = np.zeros(WORD_BINS + 1, dtype=np.int64)
    for word, count in words.items():
        bins[zlib.crc32(word.encode()) % WORD_BINS if word in known else WORD_BINS] += count
    return bins


def _new_words(
    words: Mapping[str, int], known: frozenset[str], documents: int
) -> tuple[NewWord, ...]:
    least = max(NEW_WORD_TEXTS, NEW_WORD_SHARE * documents)
    new = [word for word, count in words.items() if word not in known and count >= least]
    new.sort(key=lambda word: (-words[word], word))
    return tuple(NewWord(word, words[word] / documents) for word in new[:_NEW_WORDS_TOLD])


def _moved(*heads: tuple[str, Sequence[str], Sequence[int], Counts]) -> tuple[Move, ...]:
    """The classes that add most to the index of their head."""
    moves = []
    for head, names, reference, now in heads:
        before = np.asarray(reference)
        added = contributions(before, now)
        shares = (before / max(1, before.sum()), now / max(1, now.sum()))
        moves += [
            Move(head, name, float(shares[0][i]), float(shares[1][i]), float(added[i]))
            for i, name in enumerate(names)
            if added[i] > 0
        ]
    return tuple(sorted(moves, key=lambda move: -move.contribution)[:_TOLD])


def _chosen(probabilities: Floats) -> Counts:
    """How often each class (C,) is the likeliest of its row (N, C)."""
    size = probabilities.shape[1]
    return np.bincount(probabilities.argmax(axis=1), minlength=size).astype(np.int64)


def _top(probabilities: Floats) -> Floats:
    """The top probability of each row, rounded as the store keeps it."""
    return np.asarray(probabilities.max(axis=1, initial=0.0).round(4), dtype=np.float64)


def _edges(probabilities: Floats) -> Floats:
    """Inner boundaries that put about a tenth of the rows into each bin; fewer where rows tie."""
    deciles = np.quantile(_top(probabilities), np.arange(1, _CONFIDENCE_BINS) / _CONFIDENCE_BINS)
    return np.unique(deciles.round(4))


def _confidence(probabilities: Floats, edges: Floats) -> Counts:
    """Rows by the bin of their top probability (len(edges) + 1,); an edge is in the bin above."""
    found = np.searchsorted(edges, _top(probabilities), side="right")
    return np.bincount(found, minlength=len(edges) + 1).astype(np.int64)


def _last_share(bins: Sequence[int] | Counts) -> float:
    return float(bins[-1] / max(1, sum(bins)))


def _plain(counts: Counts) -> tuple[int, ...]:
    return tuple(int(count) for count in counts)
