"""New documents of a batch, their symbols, and what they add to the time buckets.

Everything is written in one fixed order, by key: documents by id, symbols by document and symbol,
buckets by theirs, texts by their code points. Whoever else writes these tables keeps to it. Knows
nothing of checkpoints.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, TextClause, text

from store import arrays
from store.buckets import ADD_TO_KNOWN
from store.preparing import PreparedBatch, add_sums, bucket_columns, symbol_columns
from store.retention import hold_run
from store.sums import BatchSums

# The batch's own order is kept: that of the ids.
_DOCUMENTS = text("""
insert into documents (
    run_id, id, source, kind, published_at, title, text, url, author, language, topic,
    sentiment, score, topic_probabilities, sentiment_probabilities, truncated, model, symbols)
select :run_id, id, source, kind, published_at, title, text, url, author, language, topic,
    sentiment, score, topics::smallint[], sentiments::smallint[], truncated, model, symbols::text[]
from unnest(
    cast(:id as text[]), cast(:source as text[]), cast(:kind as text[]),
    cast(:published_at as timestamptz[]), cast(:title as text[]), cast(:text as text[]),
    cast(:url as text[]), cast(:author as text[]), cast(:language as text[]),
    cast(:topic as text[]), cast(:sentiment as text[]), cast(:score as smallint[]),
    cast(:topics as text[]), cast(:sentiments as text[]), cast(:truncated as boolean[]),
    cast(:model as text[]), cast(:symbols as text[])
) with ordinality as incoming (
    id, source, kind, published_at, title, text, url, author, language, topic, sentiment, score,
    topics, sentiments, truncated, model, symbols, ordinal)
order by ordinal
on conflict (run_id, id) do nothing
returning id
""")

# A new symbol is counted with the score that the document has, and added to those it has. Until
# that is committed, nobody may give the document another score: see store.rescoring.
_HOLD_REPEATS = text("""
select id, kind, published_at, sentiment, score
from documents
where run_id = :run_id and id = any(cast(:ids as text[]))
    and published_at >= coalesce(:documents_from, '-infinity'::timestamptz)
order by id collate "C"
for no key update
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
on conflict (run_id, symbol, published_at, document_id) do nothing
returning document_id, symbol
""")

_ADD_TO_DOCUMENTS = text("""
update documents d set
    symbols = array(
        select symbol from unnest(d.symbols || named.symbols) every (symbol)
        order by symbol collate "C")
from (
    select document_id, array_agg(symbol) symbols
    from unnest(cast(:document_id as text[]), cast(:symbol as text[])) as n (document_id, symbol)
    group by document_id
) named
where d.run_id = :run_id and d.id = named.document_id
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


def add_documents(connection: Connection, run_id: int, prepared: PreparedBatch) -> int:
    """Write what is new in the batch, in the caller's transaction; how many documents that are.

    Documents from before the run's retention horizon are not. Raises UnknownRunError if the run
    was deleted.
    """
    horizon = hold_run(connection, run_id).documents_from
    prepared = prepared.since(horizon)
    if not prepared.firsts:
        return 0
    inserted = connection.execute(_DOCUMENTS, {"run_id": run_id, **prepared.documents})
    if inserted.rowcount == len(prepared.firsts):
        inserted.close()
        _execute(connection, _SYMBOLS_OF_NEW, run_id, prepared.named)
        _execute(connection, _BUCKETS, run_id, prepared.buckets)
        return len(prepared.firsts)
    new = list(inserted.scalars())
    _add_among_known(connection, run_id, prepared, new, horizon)
    return len(new)


def _add_among_known(
    connection: Connection,
    run_id: int,
    prepared: PreparedBatch,
    new: Sequence[str],
    horizon: datetime | None,
) -> None:
    """Symbols and sums of a batch of which the run had some documents already."""
    firsts, symbols, sums = prepared.firsts, prepared.symbols, BatchSums()
    add_sums(sums, new, firsts, symbols)
    dated = [(identity, firsts[identity].document.published_at) for identity in new]
    _execute(connection, _SYMBOLS_OF_NEW, run_id, symbol_columns(dated, symbols))
    known = firsts.keys() - set(new)
    _add_to_repeats(connection, run_id, known, horizon, symbols, sums)
    _execute(connection, _BUCKETS, run_id, bucket_columns(sums.rows()))


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
    columns = symbol_columns([(i, row.published_at) for i, row in held.items()], symbols)
    if columns is None:
        return
    added = connection.execute(_SYMBOLS_OF_KNOWN, {"run_id": run_id, **columns}).all()
    for identity, symbol in added:
        row = held[identity]
        sums.add([("symbol", symbol)], row.published_at, row.kind, row.sentiment, row.score)
    if added:
        whose, which = zip(*added, strict=True)
        pairs = {"document_id": arrays.texts(whose), "symbol": arrays.texts(which)}
        _execute(connection, _ADD_TO_DOCUMENTS, run_id, pairs)


def _execute(
    connection: Connection, statement: TextClause, run_id: int, columns: Mapping[str, str] | None
) -> None:
    if columns is not None:
        connection.execute(statement, {"run_id": run_id, **columns})
