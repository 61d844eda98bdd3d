"""What can be said of a scored batch before the database is asked: columns, symbols and sums.

Most batches hold nothing that the run knows already, and then this is all of the client's work;
it needs no connection, so it is done while the batch before is written. Pure; knows no SQL.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store import arrays
from store.sums import BatchSums, Row


class Scored(NamedTuple):
    """A document and what was said of it; the likeliest names are looked for once only."""

    document: Document
    said: Prediction
    topic: str
    sentiment: str
    score: int


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch, and what a commit needs if none of its documents is known or too old.

    ``firsts``: the first of each id, in order of the ids; ``symbols``: all that the batch names
    for each. ``oldest`` is the least event time among the firsts.
    """

    batch: ScoredBatch[Prediction]
    firsts: Mapping[str, Scored]
    symbols: Mapping[str, set[str]]
    oldest: datetime | None
    documents: Mapping[str, str]
    named: Mapping[str, str] | None
    buckets: Mapping[str, str] | None

    def since(self, horizon: datetime | None) -> "PreparedBatch":
        """This batch without what is dated before the run's retention horizon."""
        if horizon is None or self.oldest is None or self.oldest >= horizon:
            return self
        return prepare_batch(self.batch, horizon)


def prepare_batch(batch: ScoredBatch[Prediction], horizon: datetime | None = None) -> PreparedBatch:
    """Prepare ``batch``. A delivery that is dated before ``horizon`` is left out.

    Each delivery is judged by itself, so that batches may be cut anywhere. Raises ValueError for
    a text with NUL.
    """
    firsts, symbols = _distinct(batch, horizon)
    sums = BatchSums()
    add_sums(sums, firsts, firsts, symbols)
    dated = [(identity, scored.document.published_at) for identity, scored in firsts.items()]
    return PreparedBatch(
        batch=batch,
        firsts=firsts,
        symbols=symbols,
        oldest=min((at for _, at in dated), default=None),
        documents=_document_columns(firsts, symbols),
        named=symbol_columns(dated, symbols),
        buckets=bucket_columns(sums.rows()),
    )


def add_sums(
    sums: BatchSums,
    identities: Iterable[str],
    firsts: Mapping[str, Scored],
    symbols: Mapping[str, Collection[str]],
) -> None:
    """Count these documents under every scope that they belong to."""
    for identity in identities:
        document, _, topic, sentiment, score = firsts[identity]
        scopes = [("all", ""), ("topic", topic), ("source", document.source)]
        scopes += [("symbol", symbol) for symbol in symbols.get(identity, ())]
        sums.add(scopes, document.published_at, document.kind, sentiment, score)


def symbol_columns(
    documents: Iterable[tuple[str, datetime]], symbols: Mapping[str, Collection[str]]
) -> dict[str, str] | None:
    """The symbols of ``documents`` (id and event time, by id), in order; None: there are none."""
    rows = [
        (identity, symbol, at)
        for identity, at in documents
        if identity in symbols
        for symbol in sorted(symbols[identity])
    ]
    if not rows:
        return None
    identities, names, moments = zip(*rows, strict=True)
    return {
        "document_id": arrays.texts(identities),
        "symbol": arrays.texts(names),
        "published_at": arrays.moments(moments),
    }


def bucket_columns(rows: Sequence[Row]) -> dict[str, str] | None:
    """The sums of a batch, in the order of ``rows``; None: there are none."""
    if not rows:
        return None
    widths, scopes, keys, starts, kinds, sums = zip(*rows, strict=True)
    names = ("documents", "negative", "neutral", "positive", "score_sum")
    counts = zip(names, zip(*sums, strict=True), strict=True)
    return {
        "width": arrays.texts(widths),
        "scope": arrays.texts(scopes),
        "key": arrays.texts(keys),
        "start": arrays.integers(starts),
        "kind": arrays.texts(kinds),
        **{name: arrays.integers(column) for name, column in counts},
    }


def _distinct(
    batch: ScoredBatch[Prediction], horizon: datetime | None
) -> tuple[dict[str, Scored], dict[str, set[str]]]:
    pairs: dict[str, tuple[Document, Prediction]] = {}
    symbols: dict[str, set[str]] = {}
    for document, said in zip(batch.documents, batch.predictions, strict=True):
        if horizon is not None and document.published_at < horizon:
            continue
        pairs.setdefault(document.id, (document, said))
        if document.symbols:
            symbols.setdefault(document.id, set()).update(document.symbols)
    firsts = {
        identity: Scored(document, said, said.topic, said.sentiment, said.score)
        for identity, (document, said) in sorted(pairs.items(), key=_identity)
    }
    return firsts, symbols


def _identity(pair: tuple[str, object]) -> str:
    return pair[0]


def _document_columns(
    firsts: Mapping[str, Scored], symbols: Mapping[str, Collection[str]]
) -> dict[str, str]:
    documents = [scored.document for scored in firsts.values()]
    predictions = [scored.said for scored in firsts.values()]
    return {
        "id": arrays.texts(list(firsts)),
        "source": arrays.texts([document.source for document in documents]),
        "kind": arrays.texts([document.kind for document in documents]),
        "published_at": arrays.moments([document.published_at for document in documents]),
        "title": arrays.texts_or_nulls([document.title for document in documents]),
        "text": arrays.texts([document.text for document in documents]),
        "url": arrays.texts_or_nulls([document.url for document in documents]),
        "author": arrays.texts_or_nulls([document.author for document in documents]),
        "language": arrays.texts_or_nulls([document.language for document in documents]),
        "topic": arrays.texts([scored.topic for scored in firsts.values()]),
        "sentiment": arrays.texts([scored.sentiment for scored in firsts.values()]),
        "score": arrays.integers([scored.score for scored in firsts.values()]),
        "topics": arrays.integer_lists(
            [[*said.topic_probabilities.values()] for said in predictions]
        ),
        "sentiments": arrays.integer_lists(
            [[*said.sentiment_probabilities.values()] for said in predictions]
        ),
        "truncated": arrays.booleans([said.truncated for said in predictions]),
        "model": arrays.texts([said.model for said in predictions]),
        "symbols": arrays.text_lists([sorted(symbols.get(i, ())) for i in firsts]),
    }
