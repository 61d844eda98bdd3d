"""Evidence cards: the documents behind a firing, read at that time, and the cards as they are kept.

What a card says is for ``alerts.cards``; here it is an object of JSON. Reading the evidence costs
the same however much a window holds: only its newest documents are looked at, see ``SCANNED`` and
``EXAMINED``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, TextClause, bindparam, insert, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB

from store.content import likeness_sql
from store.schema import alert_cards, alert_events, checkpoints

SCANNED = 5_000
"""Documents of a window, the newest first, of which those of the key and the kinds are taken."""

EXAMINED = 2_000
"""Of those, how many are compared with each other and counted by model."""

CANDIDATES = 20
"""Texts that are handed over, the most negative first."""

TEXT_LENGTH = 1_000
"""Characters of a text that are compared, and handed over."""

AlertKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document, and how many of the examined say the same. ``score`` is in units of 1e-4."""

    id: str
    source: str
    kind: str
    published_at: datetime
    title: str | None
    text: str
    url: str | None
    score: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of a window: how many documents were examined, by model, and the most negative of them."""

    examined: int
    models: Mapping[str, int]
    candidates: Sequence[Candidate]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a partition is committed, and how many of its documents came too late so far."""

    source: str
    partition: int
    next_offset: int
    late: int


@dataclass(frozen=True, slots=True)
class CardRow:
    """The card of a firing that began at ``at``; without one, ``reason`` says why."""

    event_id: int
    at: datetime
    card: dict[str, Any] | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class NewCard:
    """A card to keep. ``oldest`` is the event time of the oldest document that it quotes."""

    event_id: int
    card: dict[str, Any] | None
    reason: str | None = None
    oldest: datetime | None = None


_COLUMNS = "id, published_at, source, kind, title, text, score, model"
_SPAN = "run_id = :run_id and published_at >= :start and published_at < :end"
_NEWEST = "order by published_at desc limit :scanned"
_BY_TIME = f"select {_COLUMNS} from documents where {_SPAN}"  # noqa: S608 - names of ours

# One document after the other by its key, however many the planner takes them for.
_BY_SYMBOL = f"""
select d.* from (
    select document_id from document_symbols where {_SPAN} and symbol = :key {_NEWEST}
) named cross join lateral (
    select {_COLUMNS} from documents d
    where d.run_id = :run_id and d.id = named.document_id limit 1
) d"""  # noqa: S608 - names of ours

_SCANS = {
    "all": f"{_BY_TIME} {_NEWEST}",
    "topic": f"{_BY_TIME} and topic = :key {_NEWEST}",
    "source": f"{_BY_TIME} {_NEWEST}",
    "symbol": _BY_SYMBOL,
}


def _evidence(scope: str) -> TextClause:
    """The query of a scope; one row at least, with nulls for a document where there is none."""
    of_key = "and source = :key" if scope == "source" else ""
    same = likeness_sql("coalesce(left(title, :length), '') || left(text, :length)")
    return text(f"""
with fitting as materialized (
    select id, published_at, score, model, {same} same
    from ({_SCANS[scope]}) seen
    where kind = any(:kinds) {of_key}
    order by published_at desc
    limit :examined
), worst as (
    select id, score, published_at, repeats from (
        select id, score, published_at, count(*) over (partition by same) repeats,
            row_number() over (partition by same order by score, published_at desc, id) place
        from fitting
    ) each_of_them
    where place = 1
    order by score, published_at desc, id
    limit :candidates
)
select totals.examined, totals.models, d.*
from (
    select coalesce(sum(n), 0) examined, coalesce(jsonb_object_agg(model, n), '{{}}') models
    from (select model, count(*) n from fitting group by model) by_model
) totals left join (
    select d.id, d.source, d.kind, d.published_at, d.title, d.text, d.url, worst.score,
        worst.repeats
    from worst cross join lateral (
        select id, source, kind, published_at, left(title, :length) title,
            left(text, :length) text, url
        from documents where run_id = :run_id and id = worst.id limit 1
    ) d
) d on true
order by d.score, d.published_at desc, d.id
""")  # noqa: S608 - names of ours


_EVIDENCE = {scope: _evidence(scope) for scope in _SCANS}

_FORGET = text("""
with old as (
    select c.event_id, k.drivers, k.oldest
    from alert_cards c join alert_events e on e.id = c.event_id,
        lateral (
            select coalesce(jsonb_agg(d order by place), '[]') drivers,
                min((d->>'published_at')::timestamptz) oldest
            from jsonb_array_elements(c.card->'drivers') with ordinality every (d, place)
            where (d->>'published_at')::timestamptz >= :before
        ) k
    where c.oldest_document < :before and e.run_id = :run_id
    order by c.event_id
    limit :limit
    for update of c
)
update alert_cards c
set card = c.card - 'words'
        || jsonb_build_object('drivers', old.drivers, 'drivers_pruned', true),
    oldest_document = old.oldest
from old where c.event_id = old.event_id
""")


# The run's own partial index cannot be, as the run is of the event; what waits is little.
_UNWEIGHED = text("""
select c.event_id, c.card
from alert_cards c join alert_events e on e.id = c.event_id
where c.card is not null and c.card->'words' is null and e.run_id = :run_id
order by e.severity desc, c.event_id desc
limit :limit
""")

_ADD_WORDS = text("""
update alert_cards set card = card || jsonb_build_object('words', :words)
where event_id = :event_id and card is not null
""").bindparams(bindparam("words", type_=JSONB))


def read_evidence(  # noqa: PLR0913 - a window of one key of one run
    connection: Connection,
    run_id: int,
    scope: str,
    key: str,
    kinds: Collection[str],
    start: datetime,
    end: datetime,
) -> Evidence:
    """What [start, end) holds of a key, in one query.

    Texts that differ in nothing but case and white space are one candidate.
    """
    names = {"run_id": run_id, "kinds": list(kinds), "start": start, "end": end}
    if scope != "all":
        names["key"] = key
    bounds = {"scanned": SCANNED, "examined": EXAMINED, "candidates": CANDIDATES}
    rows = connection.execute(_EVIDENCE[scope], {**names, **bounds, "length": TEXT_LENGTH}).all()
    found = [Candidate(*row[2:]) for row in rows if row.id is not None]
    return Evidence(int(rows[0].examined), rows[0].models, found)


def read_positions(connection: Connection, run_id: int) -> list[Position]:
    """Where each partition of the run stands, in order."""
    table = checkpoints.c
    rows = connection.execute(
        select(table.source, table.partition, table.next_offset, table.late)
        .where(table.run_id == run_id)
        .order_by(table.source, table.partition)
    )
    return [Position(*row) for row in rows]


def write_cards(connection: Connection, cards: Sequence[NewCard]) -> None:
    """Keep the cards, in the transaction of their events."""
    rows = [
        {"event_id": c.event_id, "card": c.card, "reason": c.reason, "oldest_document": c.oldest}
        for c in cards
    ]
    if rows:
        connection.execute(insert(alert_cards), rows)


def read_cards(connection: Connection, events: Collection[int]) -> dict[int, CardRow]:
    """The cards of these events; those that began no firing have none."""
    if not events:
        return {}
    statement = _select().where(alert_cards.c.event_id.in_(sorted(events)))
    return {row.event_id: CardRow(*row) for row in connection.execute(statement)}


def read_cards_of_alert(
    connection: Connection, run_id: int, rule: str, key: str, limit: int = 100
) -> list[CardRow]:
    """The cards of one alert's firings, the latest first."""
    table = alert_events.c
    statement = (
        _select()
        .where(table.run_id == run_id, table.rule == rule, table.key == key)
        .order_by(table.at.desc())
        .limit(limit)
    )
    return [CardRow(*row) for row in connection.execute(statement)]


def read_cards_of_firings(
    connection: Connection, run_id: int, firings: Collection[tuple[str, str, datetime]]
) -> dict[AlertKey, CardRow]:
    """The cards of firings, each named by rule, key and when it began; by rule and key."""
    if not firings:
        return {}
    table = alert_events.c
    statement = (
        _select()
        .add_columns(table.rule, table.key)
        .where(table.run_id == run_id, table.state == "firing")
        .where(tuple_(table.rule, table.key, table.at).in_(sorted(firings)))
    )
    return {(row.rule, row.key): CardRow(*row[:4]) for row in connection.execute(statement)}


def read_unweighed(
    connection: Connection, run_id: int, limit: int
) -> list[tuple[int, dict[str, Any]]]:
    """Cards of the run whose words nobody has weighed, with their event's number.

    The gravest first, and of those the newest.
    """
    rows = connection.execute(_UNWEIGHED, {"run_id": run_id, "limit": limit})
    return [(row.event_id, row.card) for row in rows]


def write_words(connection: Connection, event_id: int, words: dict[str, Any]) -> None:
    """Add to a card which words weighed most in its documents."""
    connection.execute(_ADD_WORDS, {"event_id": event_id, "words": words})


def forget_documents(connection: Connection, run_id: int, before: datetime, limit: int) -> int:
    """Take documents that are dated before out of at most ``limit`` cards; of how many."""
    names = {"run_id": run_id, "before": before, "limit": limit}
    return connection.execute(_FORGET, names).rowcount


def _select() -> Select[Any]:
    table = alert_cards.c
    columns = (table.event_id, alert_events.c.at, table.card, table.reason)
    return select(*columns).join(alert_events, alert_events.c.id == table.event_id)
