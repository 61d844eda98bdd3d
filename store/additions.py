"""New documents of a batch, their symbols, and what they add to the time buckets.

Everything is written in one fixed order, by key: documents by id, symbols by document and symbol,
buckets by theirs, texts by their code points. Whoever else writes these tables keeps to it. Knows
nothing of checkpoints.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store import arrays
from store.buckets import ADD_TO_KNOWN
from store.retention import hold_run
from store.sums import BatchSums, Row


class _Scored(NamedTuple):
    """A document and what was said of it; the likeliest names are looked for once only."""

    document: Document
    said: Prediction
    topic: str
    sentiment: str
    score: int


# The batch's own order is kept: that of the ids.
_DOCUMENTS = text("""
insert into documents (
    run_id, id, source, kind, published_at, title, text, url, author, language, topic,
    sentiment, score, topic_probabilities, sentiment_probabilities, truncated, model)
select :run_id, id, source, kind, published_at, title, text, url, author, language, topic,
    sentiment, score, topics::smallint[], sentiments::smallint[], truncated, model
from unnest(
    cast(:id as text[]), cast(:source as text[]), cast(:kind as text[]),
    cast(:published_at as timestamptz[]), cast(:title as text[]), cast(:text as text[]),
    cast(:url as text[]), cast(:author as text[]), cast(:language as text[]),
    cast(:topic as text[]), cast(:sentiment as text[]), cast(:score as smallint[]),
    cast(:topics as text[]), cast(:sentiments as text[]), cast(:truncated as boolean[]),
    cast(:model as text[])
) with ordinality as incoming (
    id, source, kind, published_at, title, text, url, author, language, topic, sentiment, score,
    topics, sentiments, truncated, model, ordinal)
order by ordinal
on conflict (run_id, id) do nothing
returning id
""")

# A new symbol is counted with the score that the document has. Until that is committed, nobody
# may give the document another score: see store.rescoring.
_HOLD_REPEATS = text("""
select id, kind, published_at, sentiment, score
from documents
where run_id = :run_id and id = any(cast(:ids as text[]))
    and published_at >= coalesce(:documents_from, '-infinity'::timestamptz)
order by id collate "C"
for share
""")

_SYMBOLS = """
insert into document_symbols (run_id, document_id, symbol, published_at)
select :run_id, document_id, symbol, published_at
from unnest(
    cast(:document_id as text[]), cast(:symbol as text[]), cast(:published_at as timestamptz[])
) with ordinality as named (document_id, symbol, published_at, ordinal)
order by ordinal
"""

# Nobody else has seen a new document: its symbols meet no others.
_SYMBOLS_OF_NEW = text(_SYMBOLS)
_SYMBOLS_OF_KNOWN = text(f"""{_SYMBOLS}
on conflict (run_id, document_id, symbol) do nothing
returning document_id, symbol
""")

_BUCKETS = text(f"""
insert into time_buckets (
    run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select :run_id, width, scope, key, to_timestamp(start), kind,
    documents, negative, neutral, positive, score_sum
from unnest(
    cast(:width as text[]), cast(:scope as text[]), cast(:key as text[]),
    cast(:start as bigint[]), cast(:kind as text[]), cast(:documents as bigint[]),
    cast(:negative as bigint[]), cast(:neutral as bigint[]), cast(:positive as bigint[]),
    cast(:score_sum as bigint[])
) with ordinality as added (
    width, scope, key, start, kind, documents, negative, neutral, positive, score_sum, ordinal)
order by ordinal
{ADD_TO_KNOWN}""")  # noqa: S608 - a constant of ours


def add_documents(connection: Connection, run_id: int, batch: ScoredBatch[Prediction]) -> int:
    """Write what is new in ``batch``, in the caller's transaction; how many documents that are.

    Documents from before the run's retention horizon are not. Raises UnknownRunError if the run
    was deleted.
    """
    horizon = hold_run(connection, run_id).documents_from
    firsts, symbols = _distinct(batch, horizon)
    if not firsts:
        return 0
    new = _insert_documents(connection, run_id, firsts)
    sums = BatchSums()
    for identity in new:
        document, _, topic, sentiment, score = firsts[identity]
        scopes = [("all", ""), ("topic", topic), ("source", document.source)]
        scopes += [("symbol", symbol) for symbol in symbols.get(identity, ())]
        sums.add(scopes, document.published_at, document.kind, sentiment, score)
    dated = [(identity, firsts[identity].document.published_at) for identity in new]
    columns = _symbol_columns(dated, symbols)
    if columns:
        connection.execute(_SYMBOLS_OF_NEW, {"run_id": run_id, **columns})
    if len(new) < len(firsts):
        known = firsts.keys() - set(new)
        _add_to_repeats(connection, run_id, known, horizon, symbols, sums)
    _add_sums(connection, run_id, sums.rows())
    return len(new)


def _distinct(
    batch: ScoredBatch[Prediction], horizon: datetime | None
) -> tuple[dict[str, _Scored], dict[str, set[str]]]:
    """The first of each id, in order of the ids, and all symbols that the batch names for it.

    A delivery that is dated before the horizon is left out, so that batches may be cut anywhere.
    """
    pairs: dict[str, tuple[Document, Prediction]] = {}
    symbols: dict[str, set[str]] = {}
    for document, said in zip(batch.documents, batch.predictions, strict=True):
        if horizon is not None and document.published_at < horizon:
            continue
        pairs.setdefault(document.id, (document, said))
        if document.symbols:
            symbols.setdefault(document.id, set()).update(document.symbols)
    firsts = {
        identity: _Scored(document, said, said.topic, said.sentiment, said.score)
        for identity, (document, said) in sorted(pairs.items(), key=_identity)
    }
    return firsts, symbols


def _identity(pair: tuple[str, object]) -> str:
    return pair[0]


def _insert_documents(
    connection: Connection, run_id: int, firsts: Mapping[str, _Scored]
) -> Sequence[str]:
    """The ids of those that the run did not have, in order."""
    documents = [scored.document for scored in firsts.values()]
    predictions = [scored.said for scored in firsts.values()]
    columns = {
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
    }
    inserted = connection.execute(_DOCUMENTS, {"run_id": run_id, **columns})
    if inserted.rowcount == len(firsts):
        inserted.close()
        return list(firsts)
    return list(inserted.scalars())


def _symbol_columns(
    documents: Iterable[tuple[str, datetime]], symbols: Mapping[str, set[str]]
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


def _add_to_repeats(  # noqa: PLR0913 - what the batch names, and where it is counted
    connection: Connection,
    run_id: int,
    identities: Iterable[str],
    horizon: datetime | None,
    symbols: Mapping[str, set[str]],
    sums: BatchSums,
) -> None:
    """Give documents that the run had already the symbols that are new to them."""
    named = sorted(identity for identity in identities if identity in symbols)
    names = {"run_id": run_id, "ids": arrays.texts(named), "documents_from": horizon}
    held = {row.id: row for row in connection.execute(_HOLD_REPEATS, names)}
    columns = _symbol_columns([(i, row.published_at) for i, row in held.items()], symbols)
    if columns is None:
        return
    for identity, symbol in connection.execute(_SYMBOLS_OF_KNOWN, {"run_id": run_id, **columns}):
        row = held[identity]
        sums.add([("symbol", symbol)], row.published_at, row.kind, row.sentiment, row.score)


def _add_sums(connection: Connection, run_id: int, rows: Sequence[Row]) -> None:
    if not rows:
        return
    widths, scopes, keys, starts, kinds, sums = zip(*rows, strict=True)
    names = ("documents", "negative", "neutral", "positive", "score_sum")
    counts = zip(names, zip(*sums, strict=True), strict=True)
    columns = {
        "width": arrays.texts(widths),
        "scope": arrays.texts(scopes),
        "key": arrays.texts(keys),
        "start": arrays.integers(starts),
        "kind": arrays.texts(kinds),
        **{name: arrays.integers(column) for name, column in counts},
    }
    connection.execute(_BUCKETS, {"run_id": run_id, **columns})
