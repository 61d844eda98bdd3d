"""What analysts say of documents: labels that differ from the model's, or confirm them.

The whole history is kept; of each document the latest correction counts, and one that names
neither topic nor sentiment takes the earlier ones back. Predictions and time buckets stay as they
are: corrections are there to be trained on. Knows no training.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import distinct_on

from classifier.labels import Labels
from store.content import content
from store.errors import CorrectionError, UnknownDocumentError
from store.schema import corrections, documents, models, runs

LONGEST_AUTHOR, LONGEST_NOTE = 100, 2000
"""Characters of an author's name and of a note."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What one person says of one document; a label that is None is not judged."""

    run_id: int
    document_id: str
    topic: str | None
    sentiment: str | None
    author: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class CorrectionRow:
    """A correction as it is kept; both labels None: everything before it is taken back."""

    id: int
    topic: str | None
    sentiment: str | None
    author: str
    note: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class LabelledDocument:
    """A document's latest correction, with the text that the model saw."""

    run: str
    document_id: str
    text: str
    topic: str | None
    sentiment: str | None
    author: str
    note: str | None
    at: datetime


def add_correction(connection: Connection, correction: Correction) -> int:
    """Keep a correction; its number.

    Raises UnknownDocumentError, or CorrectionError where nothing is said, nobody says it, or a
    name is not among the labels of the model that scored the document.
    """
    if correction.topic is None and correction.sentiment is None:
        raise CorrectionError("a correction names a topic, a sentiment or both")
    labels = labels_of(connection, correction.run_id, correction.document_id, keep=True)
    for head, name, known in (
        ("topic", correction.topic, labels.topics),
        ("sentiment", correction.sentiment, labels.sentiments),
    ):
        if name is not None and name not in known:
            raise CorrectionError(
                f"{name!r} is no {head} of the model that scored {correction.document_id!r}; "
                f"it knows {', '.join(known)}"
            )
    return _insert(connection, correction)


def withdraw_corrections(
    connection: Connection, run_id: int, document_id: str, author: str, note: str | None = None
) -> int:
    """Take back what was said of a document; the number of the row that says so.

    Raises UnknownDocumentError, or CorrectionError where nobody does so.
    """
    labels_of(connection, run_id, document_id, keep=True)
    return _insert(connection, Correction(run_id, document_id, None, None, author, note))


def labels_of(
    connection: Connection, run_id: int, document_id: str, *, keep: bool = False
) -> Labels:
    """The labels of the model that scored the document. Raises UnknownDocumentError.

    With ``keep`` nobody can delete the document until the transaction ends.
    """
    statement = (
        select(models.c.topics, models.c.sentiments)
        .join(documents, documents.c.model == models.c.version)
        .where(documents.c.run_id == run_id, documents.c.id == document_id)
    )
    if keep:
        statement = statement.with_for_update(read=True, key_share=True, of=documents)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise UnknownDocumentError(
            f"the run has no document with the id {document_id!r}; check the id and --run"
        )
    return Labels(tuple(row.topics), tuple(row.sentiments))


def corrections_of(connection: Connection, run_id: int, document_id: str) -> list[CorrectionRow]:
    """Everything that was said of one document, the latest first."""
    table = corrections.c
    columns = (table.id, table.topic, table.sentiment, table.author, table.note, table.at)
    statement = (
        select(*columns)
        .where(table.run_id == run_id, table.document_id == document_id)
        .order_by(table.id.desc())
    )
    return [CorrectionRow(*row) for row in connection.execute(statement)]


def read_corrections(
    connection: Connection, run_id: int | None = None, since: datetime | None = None
) -> list[LabelledDocument]:
    """Each corrected document of a run, or of all, as the latest correction has it; oldest first.

    ``since`` leaves out those whose latest correction is older. What was taken back is left out.
    """
    table = corrections.c
    latest = (
        select(corrections)
        .ext(distinct_on(table.run_id, table.document_id))
        .order_by(table.run_id, table.document_id, table.id.desc())
    )
    if run_id is not None:
        latest = latest.where(table.run_id == run_id)
    said = latest.subquery("latest").c
    statement = (
        select(
            runs.c.name,
            said.document_id,
            content(),
            said.topic,
            said.sentiment,
            said.author,
            said.note,
            said.at,
        )
        .join(runs, runs.c.id == said.run_id)
        .join(documents, (documents.c.run_id == said.run_id) & (documents.c.id == said.document_id))
        .where(said.topic.is_not(None) | said.sentiment.is_not(None))
        .order_by(said.id)
    )
    if since is not None:
        statement = statement.where(said.at >= since)
    return [LabelledDocument(*row) for row in connection.execute(statement)]


def _insert(connection: Connection, correction: Correction) -> int:
    author = _storable(correction.author)
    note = _storable(correction.note or "") or None
    if not author:
        raise CorrectionError("a correction needs its author: say who you are")
    for field, value, longest in (("author", author, LONGEST_AUTHOR), ("note", note, LONGEST_NOTE)):
        if len(value or "") > longest:
            raise CorrectionError(f"the {field} has {len(value or '')} characters, over {longest}")
    statement = insert(corrections).values(
        run_id=correction.run_id,
        document_id=correction.document_id,
        topic=correction.topic,
        sentiment=correction.sentiment,
        author=author,
        note=note,
    )
    return int(connection.execute(statement.returning(corrections.c.id)).scalar_one())


def _storable(text: str) -> str:
    """Without NUL and lone surrogates, which no database stores, and white space around."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8").strip()
