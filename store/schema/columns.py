"""The kinds of columns that the tables are made of, so that what means the same looks the same.

Knows no table.
"""

from collections.abc import Sequence

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    SmallInteger,
    Text,
    func,
)

metadata = MetaData()

MOMENT = DateTime(timezone=True)


def run(*, primary_key: bool = True) -> Column[int]:
    """The run that a row belongs to, and goes with."""
    key = ForeignKey("runs.id", ondelete="CASCADE")
    return Column("run_id", Integer, key, primary_key=primary_key, nullable=False)


def run_unchecked() -> Column[int]:
    """Where workers write in bulk: they hold the run's row instead of a key checked row by row."""
    return Column("run_id", Integer, primary_key=True, nullable=False)


def count(name: str, kind: type[Integer] = BigInteger) -> Column[int]:
    """A number that begins at 0."""
    return Column(name, kind, nullable=False, server_default="0")


def text(name: str, *, primary_key: bool = False) -> Column[str]:
    """A text that is never missing."""
    return Column(name, Text, primary_key=primary_key, nullable=False)


def moment(name: str, *, now: bool = False, primary_key: bool = False) -> Column[object]:
    """A moment that is never missing; ``now``: by default that of the transaction."""
    default = func.now() if now else None
    return Column(name, MOMENT, primary_key=primary_key, nullable=False, server_default=default)


def of_document() -> ForeignKeyConstraint:
    """The document that a row belongs to, and goes with."""
    names, columns = ["run_id", "document_id"], ["documents.run_id", "documents.id"]
    return ForeignKeyConstraint(names, columns, ondelete="CASCADE")


def of_event() -> Column[int]:
    """The alert event that a row is about, if there is one; it goes with it."""
    return Column("event_id", BigInteger, ForeignKey("alert_events.id", ondelete="CASCADE"))


def probabilities(name: str) -> Column[Sequence[int]]:
    """A model's probabilities, in the order of its names."""
    return Column(name, ARRAY(SmallInteger), nullable=False)
