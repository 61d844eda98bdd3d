"""Dead letters tried again by the version at hand: decoded anew and, where that succeeds, scored.

They take the way of all documents: the same ``read``, the same weights, the same commit. The bytes
that the store kept are used, not Kafka: published again, a record would have a new position there,
be read by everybody else of the topic, and be sent and marked in two systems that share no
transaction. Here what is mended and what counts change in one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ingest.batch import DeadLetter, Partition, Record
from ingest.decoding import read
from ingest.document import Document
from store.commits import register_models
from store.database import Database
from store.deadletters import BEGINNING, DeadLetterRow, find_dead_letter, next_dead_letters
from store.requeueing import Mended, Replayed, StillRejected, commit_replays
from store.runs import Run
from tapewatch.champion import Model

BATCH = 200
"""Dead letters in one transaction."""


class Prospect(StrEnum):
    """What would come of trying a dead letter again."""

    MENDED = "mended"
    STILL_REJECTED = "still_rejected"
    TOO_MANY_REPLAYS = "too_many_replays"
    PAYLOAD_CUT = "payload_cut"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which dead letters of a run: those at ``keys``, else those of ``reasons``, else all.

    One that was tried ``max_replays`` times is left alone.
    """

    keys: Sequence[tuple[str, int, int]] = ()
    reasons: Sequence[str] | None = None
    max_replays: int = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """A dead letter, and what it is by the version at hand."""

    letter: DeadLetterRow
    prospect: Prospect
    content: Document | DeadLetter | None = None

    @property
    def reason(self) -> str:
        """Why it would be turned away now; its old reason where it was not tried."""
        content = self.content
        return str(content.reason) if isinstance(content, DeadLetter) else self.letter.reason


@dataclass(slots=True)
class RequeueReport:
    """What requeueing came to; after a dry run, what it would: ``replayed`` is empty then.

    ``prospects`` counts letters; ``reasons`` those that would still be turned away, by reason.
    """

    run: str
    prospects: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    replayed: Replayed = field(default_factory=Replayed)


def judge(letter: DeadLetterRow, now: datetime, max_replays: int) -> Judged:
    """What the version at hand makes of a dead letter. ``now`` tells what is in the future."""
    if letter.replays >= max_replays:
        return Judged(letter, Prospect.TOO_MANY_REPLAYS)
    if not letter.is_whole:
        return Judged(letter, Prospect.PAYLOAD_CUT)
    partition = Partition(letter.source, letter.partition)
    (entry,) = read([Record(partition, letter.offset, letter.payload)], now, polled=0.0)
    mended = entry.document is not None
    prospect = Prospect.MENDED if mended else Prospect.STILL_REJECTED
    return Judged(letter, prospect, entry.content)


def requeue(
    database: Database,
    run: Run,
    choice: Choice,
    clock: Callable[[], datetime],
    open_model: Callable[[], Model] | None = None,
) -> RequeueReport:
    """Try the chosen dead letters again; without ``open_model``, only say what would come of it.

    The model is opened when the first document is to be scored. Batches are transactions of their
    own: interrupted, it is run again and goes on. Raises UnknownDeadLetterError.
    """
    report, model = RequeueReport(run.name), None
    for letters in _batches(database, run.id, choice):
        judged = [judge(letter, clock(), choice.max_replays) for letter in letters]
        report.prospects.update(str(each.prospect) for each in judged)
        rejected = [each for each in judged if each.prospect is Prospect.STILL_REJECTED]
        report.reasons.update(each.reason for each in rejected)
        if open_model is None:
            continue
        if model is None and any(each.prospect is Prospect.MENDED for each in judged):
            model = open_model()
        report.replayed += _commit(database, run, judged, model)
    return report


def _batches(database: Database, run_id: int, choice: Choice) -> Iterator[list[DeadLetterRow]]:
    if choice.keys:
        with database.transaction() as connection:
            found = [
                find_dead_letter(connection, run_id, key) for key in dict.fromkeys(choice.keys)
            ]
        yield found
        return
    after = BEGINNING
    while True:
        with database.transaction() as connection:
            batch = next_dead_letters(connection, run_id, after, BATCH, choice.reasons)
        if not batch:
            return
        yield batch
        after = batch[-1].key


def _commit(
    database: Database, run: Run, judged: Sequence[Judged], model: Model | None
) -> Replayed:
    mended = [(j.letter, j.content) for j in judged if isinstance(j.content, Document)]
    predictions = model.score([document.content for _, document in mended]) if model else []
    tried: list[Mended | StillRejected] = [
        Mended(letter, document, said)
        for (letter, document), said in zip(mended, predictions, strict=True)
    ]
    tried += [
        StillRejected(j.letter, str(j.content.reason), j.content.detail)
        for j in judged
        if isinstance(j.content, DeadLetter)
    ]
    if not tried:
        return Replayed()
    with database.transaction() as connection:
        register_models(connection, predictions)
        return commit_replays(connection, run.id, tried)
