"""The one write path of a worker: a prepared batch becomes rows in a single transaction.

Order, always the same and always by key, so that two workers can wait for each other but never
deadlock: new documents, those known already, symbols, time buckets, dead letters, counters,
checkpoints. A document known already is a repeat: it adds the symbols that it newly names, and
nothing else, so a post delivered once for each symbol becomes one document with all of them. Only
what was really inserted is added to the buckets; the checkpoint is moved by compare-and-set.
Knows nothing of where batches come from.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Committed, DeadLetter
from store.additions import add_documents
from store.errors import CheckpointConflictError
from store.preparing import PreparedBatch
from store.schema import dead_letters, models

KEPT_PAYLOAD = 1024 * 1024
"""Bytes of a dead letter's payload that are kept; its full size is recorded."""

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


def commit_batch(connection: Connection, run_id: int, prepared: PreparedBatch) -> Committed:
    """Write a batch into the run, in the caller's transaction; what it really added.

    Raises CheckpointConflictError if a partition's checkpoint is not where the batch began; the
    caller's transaction then rolls everything back.
    """
    batch = prepared.batch
    added = add_documents(connection, run_id, prepared) if batch.documents else 0
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


def register_models(connection: Connection, predictions: Iterable[Prediction]) -> None:
    """Remember the names of every model that made one of the predictions, in a fixed order."""
    said = {prediction.model: prediction for prediction in predictions}
    for version, one in sorted(said.items()):
        names = Labels(tuple(one.topic_probabilities), tuple(one.sentiment_probabilities))
        register_model(connection, version, names)


def register_model(connection: Connection, version: str, labels: Labels) -> None:
    """Remember the names behind a model's probabilities, once."""
    names = {"topics": list(labels.topics), "sentiments": list(labels.sentiments)}
    statement = insert(models).values(version=version, **names).on_conflict_do_nothing()
    connection.execute(statement)


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
