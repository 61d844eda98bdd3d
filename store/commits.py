"""The one write path of a worker: a scored batch becomes rows in a single transaction.

Order, always the same and always by key, so that two workers can wait for each other but never
deadlock: new documents, those known already, symbols, time buckets, dead letters, counters,
checkpoints. A document known already is a repeat: it adds the symbols that it newly names, and
nothing else, so a post delivered once for each symbol becomes one document with all of them. Only
what was really inserted is added to the buckets; the checkpoint is moved by compare-and-set.
Knows nothing of where batches come from.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Committed, DeadLetter, ScoredBatch
from ingest.document import Document
from store.database import copy_rows
from store.errors import CheckpointConflictError
from store.schema import dead_letters, models

KEPT_PAYLOAD = 1024 * 1024
"""Bytes of a dead letter's payload that are kept; its full size is recorded."""

_COLUMNS = (
    "ordinal, id, source, kind, published_at, title, text, url, author, language, symbols, "
    "topic, sentiment, score, topic_probabilities, sentiment_probabilities, truncated, model"
)

_PREPARE = (
    text("""
create temporary table if not exists incoming (
    ordinal integer, id text, source text, kind text, published_at timestamptz, title text,
    text text, url text, author text, language text, symbols text[], topic text, sentiment text,
    score smallint, topic_probabilities smallint[], sentiment_probabilities smallint[],
    truncated boolean, model text
) on commit delete rows
"""),
    text("""
create temporary table if not exists counted (
    scope text, key text, kind text, published_at timestamptz, sentiment text, score smallint
) on commit delete rows
"""),
)

_COPY = f"copy incoming ({_COLUMNS}) from stdin"

_DOCUMENTS = text("""
with added as (
    insert into documents (
        run_id, id, source, kind, published_at, title, text, url, author, language, topic,
        sentiment, score, topic_probabilities, sentiment_probabilities, truncated, model)
    select :run_id, id, source, kind, published_at, title, text, url, author, language, topic,
        sentiment, score, topic_probabilities, sentiment_probabilities, truncated, model
    from (select distinct on (id) * from incoming order by id, ordinal) firsts
    order by id
    on conflict (run_id, id) do nothing
    returning source, kind, published_at, topic, sentiment, score
)
insert into counted
select scope.name, scope.key, kind, published_at, sentiment, score
from added
cross join lateral (values ('all', ''), ('topic', topic), ('source', source)) scope (name, key)
""")

# A new symbol is counted with the score that the document has. Until that is committed, nobody
# may give the document another score: see store.rescoring.
_HOLD_REPEATS = text("""
select 1 from documents
where run_id = :run_id and id in (select id from incoming)
    and xmin <> pg_current_xact_id()::xid
order by id
for share
""")

_SYMBOLS = text("""
with named as (
    select distinct id, symbol from incoming cross join unnest(symbols) symbol
), added as (
    insert into document_symbols (run_id, document_id, symbol, published_at)
    select run_id, id, symbol, published_at
    from named join documents using (id)
    where run_id = :run_id
    order by id, symbol
    on conflict (run_id, document_id, symbol) do nothing
    returning document_id, symbol
)
insert into counted
select 'symbol', symbol, kind, published_at, sentiment, score
from added join documents on run_id = :run_id and id = document_id
""")

_BUCKETS = text("""
insert into time_buckets (
    run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select :run_id, width, scope, key, date_trunc(width, published_at, 'UTC'), kind,
    count(*),
    count(*) filter (where sentiment = 'negative'),
    count(*) filter (where sentiment = 'neutral'),
    count(*) filter (where sentiment = 'positive'),
    sum(score)
from counted cross join (values ('hour'), ('minute')) widths (width)
group by width, scope, key, 5, kind
order by width, scope, key, 5, kind
on conflict (run_id, width, scope, key, start, kind) do update set
    documents = time_buckets.documents + excluded.documents,
    negative = time_buckets.negative + excluded.negative,
    neutral = time_buckets.neutral + excluded.neutral,
    positive = time_buckets.positive + excluded.positive,
    score_sum = time_buckets.score_sum + excluded.score_sum
""")

_COUNTERS = text("""
update counters set
    documents = documents + :documents,
    repeats = repeats + :repeats,
    dead_letters = dead_letters + :dead_letters
where run_id = :run_id
""")

_FIRST_CHECKPOINT = text("""
insert into checkpoints (run_id, source, partition, next_offset, newest_event_at, late)
values (:run_id, :source, :partition, :next_offset, :newest, :late)
on conflict (run_id, source, partition) do nothing
""")

_NEXT_CHECKPOINT = text("""
update checkpoints set
    next_offset = :next_offset,
    newest_event_at = greatest(newest_event_at, :newest),
    late = late + :late,
    updated_at = now()
where run_id = :run_id and source = :source and partition = :partition
    and next_offset = :previous
""")


def commit_batch(connection: Connection, run_id: int, batch: ScoredBatch[Prediction]) -> Committed:
    """Write ``batch`` into the run, in the caller's transaction; what it really added.

    Once a transaction: what was counted is forgotten at its end only.

    Raises CheckpointConflictError if a partition's checkpoint is not where the batch began; the
    caller's transaction then rolls everything back.
    """
    added = _add_documents(connection, run_id, batch) if batch.documents else 0
    _add_dead_letters(connection, run_id, batch.dead_letters)
    repeats = len(batch.documents) - added
    committed = Committed(added, repeats, len(batch.dead_letters))
    connection.execute(
        _COUNTERS,
        {
            "run_id": run_id,
            "documents": committed.documents,
            "repeats": committed.repeats,
            "dead_letters": committed.dead_letters,
        },
    )
    for advance in sorted(batch.advances, key=lambda advance: advance.partition):
        _advance(connection, run_id, advance)
    return committed


def register_model(connection: Connection, version: str, labels: Labels) -> None:
    """Remember the names behind a model's probabilities, once."""
    names = {"topics": list(labels.topics), "sentiments": list(labels.sentiments)}
    statement = insert(models).values(version=version, **names).on_conflict_do_nothing()
    connection.execute(statement)


def _add_documents(connection: Connection, run_id: int, batch: ScoredBatch[Prediction]) -> int:
    for statement in _PREPARE:
        connection.execute(statement)
    pairs = enumerate(zip(batch.documents, batch.predictions, strict=True))
    rows = (_row(ordinal, document, prediction) for ordinal, (document, prediction) in pairs)
    copy_rows(connection, _COPY, rows)
    scopes = 3
    added = connection.execute(_DOCUMENTS, {"run_id": run_id}).rowcount // scopes
    if added < len(batch.documents):
        connection.execute(_HOLD_REPEATS, {"run_id": run_id})
    connection.execute(_SYMBOLS, {"run_id": run_id})
    connection.execute(_BUCKETS, {"run_id": run_id})
    return added


def _row(ordinal: int, document: Document, prediction: Prediction) -> tuple[object, ...]:
    return (
        ordinal,
        document.id,
        document.source,
        document.kind,
        document.published_at,
        document.title,
        document.text,
        document.url,
        document.author,
        document.language,
        list(document.symbols),
        prediction.topic,
        prediction.sentiment,
        prediction.score,
        list(prediction.topic_probabilities.values()),
        list(prediction.sentiment_probabilities.values()),
        prediction.truncated,
        prediction.model,
    )


def _add_dead_letters(connection: Connection, run_id: int, letters: Sequence[DeadLetter]) -> None:
    rows = [
        {
            "run_id": run_id,
            "source": letter.record.partition.source,
            "partition": letter.record.partition.number,
            "offset": letter.record.offset,
            "reason": str(letter.reason),
            "detail": letter.detail,
            "payload": None if payload is None else payload[:KEPT_PAYLOAD],
            "size": 0 if payload is None else len(payload),
        }
        for letter in letters
        for payload in (letter.record.payload,)
    ]
    if rows:
        connection.execute(insert(dead_letters).on_conflict_do_nothing(), rows)


def _advance(connection: Connection, run_id: int, advance: Advance) -> None:
    values = {
        "run_id": run_id,
        "source": advance.partition.source,
        "partition": advance.partition.number,
        "next_offset": advance.checkpoint.next_offset,
        "newest": advance.checkpoint.newest,
        "late": advance.late,
    }
    if advance.previous is None:
        moved = connection.execute(_FIRST_CHECKPOINT, values)
    else:
        moved = connection.execute(_NEXT_CHECKPOINT, {**values, "previous": advance.previous})
    if moved.rowcount != 1:
        raise CheckpointConflictError(
            f"the checkpoint of {advance.partition} is no longer at {advance.previous}; "
            "another worker has it now, or this batch was committed already"
        )
