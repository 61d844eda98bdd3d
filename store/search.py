"""Search in a run's documents: words, filters, an order, pages by key; texts that repeat are one.

No index holds words: a search reads the newest ``READ`` documents of its span, says from when on
it read, and is cut off by the clock. A text is the same as another if only letter case and white
space differ. Knows nothing of how its answers are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, TextClause, select, text
from sqlalchemy.exc import OperationalError

from store.content import content_sql, likeness_sql
from store.errors import SearchCutError
from store.schema import documents, models

READ = 50_000
"""Documents that one search looks at; with words that takes 1 to 2 seconds."""

GLANCED = 10_000
"""Documents that are looked at for a list that nobody has asked anything of."""

SECONDS = 10.0
LONGEST_WORDS = 400
EXPORTED_ROWS, EXPORTED_CHARACTERS = 10_000, 30_000_000
_CHUNK = 250
_CANCELLED = "57014"


class Order(StrEnum):
    """What comes first. Least certain: the two likeliest sentiments are close to each other."""

    NEWEST = "newest"
    NEGATIVE = "negative"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for in [start, end) of a run's event time; None and "" mean any.

    ``uncorrected`` leaves out texts of which somebody has corrected a document.
    """

    run_id: int
    start: datetime
    end: datetime
    words: str = ""
    topic: str | None = None
    symbol: str | None = None
    source: str | None = None
    kind: str | None = None
    sentiment: str | None = None
    model: str | None = None
    order: Order = Order.NEWEST
    uncorrected: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the next one begins after it."""

    rank: int
    published_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A text, as the first of its documents in the order has it; ``copies`` counts them all.

    ``score`` and ``margin`` are in units of 1e-4; ``margin`` is between the two likeliest
    sentiments. ``text`` may be cut.
    """

    id: str
    published_at: datetime
    source: str
    kind: str
    title: str | None
    text: str
    url: str | None
    author: str | None
    language: str | None
    topic: str
    sentiment: str
    score: int
    margin: int
    model: str
    symbols: tuple[str, ...]
    copies: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of an answer: ``texts`` and ``documents`` count all of it.

    ``read_from``: what is older was not looked at; None, if all of the span was. ``after`` is
    where the next page begins; None on the last one.
    """

    rows: tuple[FoundDocument, ...]
    texts: int
    documents: int
    read_from: datetime | None
    after: Place | None


@dataclass(frozen=True, slots=True)
class WholeDocument:
    """Everything that is known of one document; probabilities by name, in units of 1e-4."""

    id: str
    published_at: datetime
    ingested_at: datetime
    source: str
    kind: str
    title: str | None
    text: str
    url: str | None
    author: str | None
    language: str | None
    topic: str
    sentiment: str
    score: int
    symbols: tuple[str, ...]
    model: str
    truncated: bool
    topic_probabilities: Mapping[str, int]
    sentiment_probabilities: Mapping[str, int]


_CONTENT = content_sql("d")
_LIKENESS = likeness_sql(_CONTENT)
_MARGIN = """(
    select sorted.p[1] - coalesce(sorted.p[2], 0)
    from (select array_agg(p order by p desc) p from unnest(d.sentiment_probabilities) each (p))
        sorted)"""
_RANKS = {Order.NEWEST: "0", Order.NEGATIVE: "d.score", Order.UNCERTAIN: _MARGIN}

# A text larger than this gives more words than PostgreSQL takes in one piece.
_FILTERS = {
    "topic": "d.topic = :topic",
    "symbol": "s.symbol = :symbol",
    "source": "d.source = :source",
    "kind": "d.kind = :kind",
    "sentiment": "d.sentiment = :sentiment",
    "model": "d.model = :model",
    "words": f"to_tsvector('english', left({_CONTENT}, 65536)) "
    "@@ websearch_to_tsquery('english', :words)",
}
_CORRECTED = """exists (
    select from corrections c where c.run_id = d.run_id and c.document_id = d.id)"""
_OF_SYMBOL = """document_symbols s
    join documents d on d.run_id = s.run_id and d.id = s.document_id
        and d.published_at = s.published_at"""

_DETAILS = text("""
select id, published_at, source, kind, title, left(text, :length) "text", url, author, language,
    topic, sentiment, score, sentiment_probabilities, model, symbols
from documents where run_id = :run_id and id = any(:ids)
""")


def search(  # noqa: PLR0913 - what is looked for, and how much of it is told
    connection: Connection,
    asked: Search,
    after: Place | None = None,
    *,
    limit: int = 50,
    text_length: int = 400,
    seconds: float = SECONDS,
    read: int | None = None,
) -> Page:
    """A page of ``limit`` texts that begins ``after`` a place. Raises SearchCutError.

    The newest ``read`` documents of the span are looked at, ``READ`` where it is None.
    """
    timeout = text("select set_config('statement_timeout', :limit, true)")
    connection.execute(timeout, {"limit": f"{max(1, round(seconds * 1000))}ms"})
    try:
        edge = _edge(connection, asked, READ if read is None else read)
        rows = connection.execute(_statement(asked, edge, after), _names(asked, edge, after, limit))
        found = rows.all()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELLED:
            raise
        raise SearchCutError(
            f"the search was ended after {seconds:g} s: choose a shorter span, or narrow it by "
            "topic, symbol or source"
        ) from error
    shown, more = found[:limit], found[limit:]
    last = shown[-1] if more else None
    return Page(
        rows=_read(connection, asked.run_id, {row.id: row.copies for row in shown}, text_length),
        texts=found[0].texts if found else 0,
        documents=int(found[0].documents) if found else 0,
        read_from=edge,
        after=Place(last.rank, last.published_at, last.id) if last else None,
    )


def export(connection: Connection, asked: Search) -> tuple[list[FoundDocument], bool]:
    """The texts of an answer in full, and whether there are more than may be exported.

    Raises SearchCutError.
    """
    answer = search(connection, asked, limit=EXPORTED_ROWS, text_length=1)
    copies = {row.id: row.copies for row in answer.rows}
    rows: list[FoundDocument] = []
    left = EXPORTED_CHARACTERS
    for begin in range(0, len(answer.rows), _CHUNK):
        chunk = [row.id for row in answer.rows[begin : begin + _CHUNK]]
        for row in _read(connection, asked.run_id, {i: copies[i] for i in chunk}, 1 << 30):
            left -= len(row.text)
            if left < 0:
                return rows, True
            rows.append(row)
    return rows, answer.after is not None


def says_something(connection: Connection, words: str) -> bool:
    """Whether any of ``words`` can be searched for; ``the`` and ``!`` cannot."""
    counted = text("select numnode(websearch_to_tsquery('english', :words))")
    return bool(connection.scalar(counted, {"words": words}))


def read_document(connection: Connection, run_id: int, document_id: str) -> WholeDocument | None:
    """One document whole; None where the run has none of that id."""
    table = documents.c
    names = [name for name in WholeDocument.__slots__ if not name.endswith("_probabilities")]
    statement = (
        select(
            *(table[name] for name in names),
            table.topic_probabilities,
            table.sentiment_probabilities,
            models.c.topics,
            models.c.sentiments,
        )
        .join(models, models.c.version == table.model)
        .where(table.run_id == run_id, table.id == document_id)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = {name: getattr(row, name) for name in names}
    return WholeDocument(
        **{**values, "symbols": tuple(row.symbols)},
        topic_probabilities=dict(zip(row.topics, row.topic_probabilities, strict=False)),
        sentiment_probabilities=dict(
            zip(row.sentiments, row.sentiment_probabilities, strict=False)
        ),
    )


def list_models(connection: Connection) -> list[str]:
    """The versions of all weights that ever scored, the newest first."""
    return list(
        connection.scalars(select(models.c.version).order_by(models.c.first_used_at.desc()))
    )


def _edge(connection: Connection, asked: Search, read: int) -> datetime | None:
    """The event time from which on ``read`` documents lie in the span; None if fewer do."""
    table, column = ("document_symbols d", "symbol") if asked.symbol else ("documents d", "topic")
    narrowed = f"and d.{column} = :{column}" if getattr(asked, column) else ""
    statement = text(f"""
        select d.published_at from {table}
        where d.run_id = :run_id and d.published_at >= :start and d.published_at < :end {narrowed}
        order by d.published_at desc offset :read limit 1
    """)  # noqa: S608 - constants of ours
    names = {**_names(asked, None, None, 0), "read": read}
    found: datetime | None = connection.scalar(statement, names)
    return found


def _statement(asked: Search, edge: datetime | None, after: Place | None) -> TextClause:
    table, at = (_OF_SYMBOL, "s") if asked.symbol else ("documents d", "d")
    conditions = [
        f"{at}.run_id = :run_id",
        f"{at}.published_at >= :{'edge' if edge else 'start'}",
        f"{at}.published_at < :end",
        *(condition for name, condition in _FILTERS.items() if getattr(asked, name)),
    ]
    corrected = _CORRECTED if asked.uncorrected else "false"
    beyond = (
        """and (rank > :rank or rank = :rank
            and (published_at, id collate "C") < (:at, :id collate "C"))"""
        if after
        else ""
    )
    return text(f"""
        with matching as materialized (
            select d.id, d.published_at, {_RANKS[asked.order]} as rank, {_LIKENESS} as likeness,
                {corrected} as corrected
            from {table} where {" and ".join(conditions)}
        ), texts as (
            select distinct on (likeness) id, published_at, rank,
                count(*) over same as copies, bool_or(corrected) over same as corrected
            from matching window same as (partition by likeness)
            order by likeness, rank, published_at desc, id collate "C" desc
        ), counted as (
            select *, count(*) over () as texts, sum(copies) over () as documents
            from texts where not corrected
        )
        select id, published_at, rank, copies, texts, documents
        from counted where true {beyond}
        order by rank, published_at desc, id collate "C" desc
        limit :limit
    """)  # noqa: S608 - constants of ours, values are bound


def _names(
    asked: Search, edge: datetime | None, after: Place | None, limit: int
) -> dict[str, object]:
    words = asked.words[:LONGEST_WORDS].replace("\x00", "")
    names: dict[str, object] = {
        name: getattr(asked, name) for name in ("run_id", "start", "end", *_FILTERS)
    }
    place = {} if after is None else {"rank": after.rank, "at": after.published_at, "id": after.id}
    return {**names, "words": words, "edge": edge, "limit": limit + 1, **place}


def _read(
    connection: Connection, run_id: int, copies: Mapping[str, int], length: int
) -> tuple[FoundDocument, ...]:
    """The documents of these ids, in their order; what was pruned meanwhile is left out."""
    names = {"run_id": run_id, "ids": list(copies), "length": length}
    rows = {row["id"]: dict(row) for row in connection.execute(_DETAILS, names).mappings()}
    return tuple(_found(rows[i], count) for i, count in copies.items() if i in rows)


def _found(row: dict[str, Any], copies: int) -> FoundDocument:
    margin = margin_of(row.pop("sentiment_probabilities"))
    return FoundDocument(**{**row, "symbols": tuple(row["symbols"])}, margin=margin, copies=copies)


def margin_of(probabilities: Sequence[int]) -> int:
    """How far the likeliest is ahead of the second, in the unit of ``probabilities``."""
    first, second, *_ = sorted((*probabilities, 0, 0), reverse=True)
    return first - second
