"""Dead letters that were tried again: those that are documents now take the way of all documents.

One transaction. Each letter is held, and counts only if it is as it was read: of two who try the
same, the second changes nothing. What became a document or a repeat goes from the dead letters in
the transaction that counts it, so it is never counted twice; a record still ends as one of the
three. Checkpoints stay where they are. Knows neither decoding nor scoring.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store.commits import commit_batch
from store.deadletters import DeadLetterRow
from store.preparing import prepare_batch
from store.retention import hold_run


@dataclass(frozen=True, slots=True)
class Mended:
    """A dead letter that is a document after all, and what was said of it."""

    letter: DeadLetterRow
    document: Document
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class StillRejected:
    """A dead letter that stays one, for a reason that may be another now."""

    letter: DeadLetterRow
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What trying again came to. ``taken``: somebody else had changed the letter meanwhile."""

    documents: int = 0
    repeats: int = 0
    rejected: int = 0
    taken: int = 0

    def __add__(self, other: "Replayed") -> "Replayed":
        return Replayed(
            self.documents + other.documents,
            self.repeats + other.repeats,
            self.rejected + other.rejected,
            self.taken + other.taken,
        )


_HOLD = text("""
select replays from dead_letters
where run_id = :run_id and source = :source and partition = :partition and "offset" = :offset
for update
""")
_DELETE = text("""
delete from dead_letters
where run_id = :run_id and source = :source and partition = :partition and "offset" = :offset
""")
_KEEP = text("""
update dead_letters set
    reason = :reason, detail = :detail, replays = replays + 1, replayed_at = now()
where run_id = :run_id and source = :source and partition = :partition and "offset" = :offset
""")
_COUNT = text("update counters set dead_letters = dead_letters - :gone where run_id = :run_id")


def commit_replays(
    connection: Connection, run_id: int, tried: Sequence[Mended | StillRejected]
) -> Replayed:
    """Write what trying dead letters again came to; the models must be registered.

    Raises UnknownRunError if the run was deleted.
    """
    hold_run(connection, run_id)
    held = [each for each in sorted(tried, key=_key) if _hold(connection, run_id, each.letter)]
    mended = [each for each in held if isinstance(each, Mended)]
    rejected = [each for each in held if isinstance(each, StillRejected)]
    batch = ScoredBatch([m.document for m in mended], [m.prediction for m in mended], [], [])
    counted = commit_batch(connection, run_id, prepare_batch(batch))
    for gone in mended:
        connection.execute(_DELETE, _names(run_id, gone.letter))
    for kept in rejected:
        names = _names(run_id, kept.letter)
        connection.execute(_KEEP, {**names, "reason": kept.reason, "detail": kept.detail})
    connection.execute(_COUNT, {"run_id": run_id, "gone": len(mended)})
    taken = len(tried) - len(held)
    return Replayed(counted.documents, counted.repeats, len(rejected), taken)


def _key(tried: Mended | StillRejected) -> tuple[str, int, int]:
    return tried.letter.key


def _hold(connection: Connection, run_id: int, letter: DeadLetterRow) -> bool:
    replays = connection.scalar(_HOLD, _names(run_id, letter))
    return replays is not None and int(replays) == letter.replays


def _names(run_id: int, letter: DeadLetterRow) -> dict[str, object]:
    return {
        "run_id": run_id,
        "source": letter.source,
        "partition": letter.partition,
        "offset": letter.offset,
    }
