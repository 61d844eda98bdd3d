"""Other scores for documents that are stored already: what a run would hold with another model.

A batch is one transaction. It moves the scores that a document had into ``earlier_scores``, gives
it the new ones, and moves the time buckets by the exact difference; a bucket that is left without
documents goes, so that the run's digest becomes that of a fresh replay with the new model. Alerts
stay as they were judged.

Workers may commit into the run meanwhile. Rows are locked in the order of ``store.additions``:
documents by id, then buckets by key. A worker that adds a symbol to a known document holds that
document until its symbol is counted. Nothing is counted that lies before the run's retention
horizon: a corrected document that outlived its minute counts nowhere by the minute. Knows no model.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, select, text

from classifier.prediction import Prediction
from store import arrays
from store.buckets import ADD_TO_KNOWN
from store.content import content
from store.database import copy_rows
from store.retention import hold_run
from store.schema import documents

_COLUMNS = (
    "id, topic, sentiment, score, topic_probabilities, sentiment_probabilities, truncated, model"
)

_PREPARE = (
    text("""
create temporary table if not exists rescored (
    id text, topic text, sentiment text, score smallint, topic_probabilities smallint[],
    sentiment_probabilities smallint[], truncated boolean, model text
) on commit delete rows
"""),
    text("""
create temporary table if not exists differences (
    width text, scope text, key text, start timestamptz, kind text,
    documents bigint, negative bigint, neutral bigint, positive bigint, score_sum bigint
) on commit delete rows
"""),
    text("delete from rescored"),
    text("delete from differences"),
)

_COPY = f"copy rescored ({_COLUMNS}) from stdin"

# The ids are named beside the join, so that no plan reads all documents to find a batch's.
# Every later statement looks anew, so that it sees what was committed while this one waited. Not
# `for update`, which a correction that refers to the document would have to wait for.
_HOLD = text("""
select d.id, d.topic <> r.topic topic_changed, d.sentiment <> r.sentiment sentiment_changed
from documents d join rescored r on r.id = d.id
where d.run_id = :run_id and d.id = any(cast(:ids as text[])) and d.model <> r.model
order by d.id collate "C"
for no key update of d
""")

_KEEP = text("""
insert into earlier_scores (
    run_id, document_id, model, topic, sentiment, score, topic_probabilities,
    sentiment_probabilities)
select d.run_id, d.id, d.model, d.topic, d.sentiment, d.score, d.topic_probabilities,
    d.sentiment_probabilities
from documents d join rescored r on r.id = d.id
where d.run_id = :run_id and d.id = any(cast(:ids as text[])) and d.model <> r.model
on conflict (run_id, document_id, model) do update set
    topic = excluded.topic,
    sentiment = excluded.sentiment,
    score = excluded.score,
    topic_probabilities = excluded.topic_probabilities,
    sentiment_probabilities = excluded.sentiment_probabilities,
    replaced_at = excluded.replaced_at
""")

_DIFFERENCES = text("""
with sides as (
    select d.id, d.source, d.kind, d.published_at, d.symbols, side.*
    from documents d join rescored r on r.id = d.id
    cross join lateral (values
        (-1, d.topic, d.sentiment, -d.score), (1, r.topic, r.sentiment, r.score)
    ) side (sign, topic, sentiment, score)
    where d.run_id = :run_id and d.id = any(cast(:ids as text[])) and d.model <> r.model
), counted as (
    select scope.name scope, scope.key, sides.*
    from sides cross join lateral (values
        ('all', ''), ('topic', topic), ('source', source)
    ) scope (name, key)
    union all
    select 'symbol', symbol, sides.*
    from sides cross join lateral unnest(sides.symbols) named (symbol)
)
insert into differences
select width, scope, key, date_trunc(width, published_at, 'UTC'), kind,
    sum(sign),
    coalesce(sum(sign) filter (where sentiment = 'negative'), 0),
    coalesce(sum(sign) filter (where sentiment = 'neutral'), 0),
    coalesce(sum(sign) filter (where sentiment = 'positive'), 0),
    sum(score)
from counted cross join (values
    ('day', cast(:hours_from as timestamptz)), ('hour', :hours_from), ('minute', :documents_from)
) widths (width, kept_from)
where kept_from is null or published_at >= kept_from
group by width, scope, key, 4, kind
""")

_SCORES = text("""
update documents d set
    topic = r.topic,
    sentiment = r.sentiment,
    score = r.score,
    topic_probabilities = r.topic_probabilities,
    sentiment_probabilities = r.sentiment_probabilities,
    truncated = r.truncated,
    model = r.model
from rescored r
where d.run_id = :run_id and d.id = any(cast(:ids as text[])) and d.id = r.id
    and d.model <> r.model
""")

_BUCKETS = text(f"""
insert into time_buckets (
    run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select :run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum
from differences
where (documents, negative, neutral, positive, score_sum) <> (0, 0, 0, 0, 0)
order by width, scope, key collate "C", start, kind
{ADD_TO_KNOWN}""")  # noqa: S608 - a constant of ours

# A limit of one lets the planner look buckets up one by one only, by their key.
_EMPTY_BUCKETS = text("""
delete from time_buckets where ctid = any(array(
    select b.ctid
    from differences d cross join lateral (
        select ctid, documents from time_buckets
        where run_id = :run_id and width = d.width and scope = d.scope and key = d.key
            and start = d.start and kind = d.kind
        limit 1
    ) b
    where d.documents < 0 and b.documents = 0))
""")


@dataclass(frozen=True, slots=True)
class StoredText:
    """A document's id, and its text as the model reads it."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Replaced:
    """How many documents have other scores now, and how many another topic or sentiment."""

    documents: int = 0
    topics: int = 0
    sentiments: int = 0

    def __add__(self, other: "Replaced") -> "Replaced":
        return Replaced(
            self.documents + other.documents,
            self.topics + other.topics,
            self.sentiments + other.sentiments,
        )


def count_to_rescore(connection: Connection, run_id: int, model: str) -> int:
    """How many documents of the run another model than ``model`` has scored."""
    table = documents.c
    statement = select(func.count()).where(table.run_id == run_id, table.model != model)
    return int(connection.scalar(statement) or 0)


def documents_to_rescore(
    connection: Connection, run_id: int, model: str, after_id: str, limit: int
) -> list[StoredText]:
    """The next documents that another model than ``model`` has scored, in the order of their ids.

    ``after_id`` is the last id of the batch before, or empty to begin.
    """
    table = documents.c
    statement = (
        select(table.id, content())
        .where(table.run_id == run_id, table.id > after_id, table.model != model)
        .order_by(table.id)
        .limit(limit)
    )
    return [StoredText(*row) for row in connection.execute(statement)]


def replace_scores(
    connection: Connection,
    run_id: int,
    batch: Sequence[StoredText],
    predictions: Sequence[Prediction],
) -> Replaced:
    """Give the documents of ``batch`` their new ``predictions``; what really changed.

    The model must be registered and no document named twice. Documents that the model has scored
    already stay as they are, so a batch may come again.
    """
    horizon = hold_run(connection, run_id)
    for statement in _PREPARE:
        connection.execute(statement)
    rows = (_row(found.id, said) for found, said in zip(batch, predictions, strict=True))
    copy_rows(connection, _COPY, rows)
    ids = arrays.texts([found.id for found in batch])
    names = {"run_id": run_id, "ids": ids, **asdict(horizon)}
    held = connection.execute(_HOLD, names).all()
    for statement in (_KEEP, _DIFFERENCES, _SCORES, _BUCKETS, _EMPTY_BUCKETS) if held else ():
        connection.execute(statement, names)
    return Replaced(
        len(held),
        sum(row.topic_changed for row in held),
        sum(row.sentiment_changed for row in held),
    )


def _row(document_id: str, prediction: Prediction) -> tuple[object, ...]:
    return (
        document_id,
        prediction.topic,
        prediction.sentiment,
        prediction.score,
        list(prediction.topic_probabilities.values()),
        list(prediction.sentiment_probabilities.values()),
        prediction.truncated,
        prediction.model,
    )
