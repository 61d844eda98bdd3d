"""What is to be told to whom, how that went, and who can be reached."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.schema.columns import MOMENT, count, metadata, moment, text

outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("event_id", BigInteger, ForeignKey("alert_events.id", ondelete="CASCADE")),
    text("receiver"),
    Column("payload", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    count("attempts", Integer),
    moment("next_attempt_at", now=True),
    moment("created_at", now=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    text("dedup_key"),
    Column("reason", Text),
    Column("about", Uuid),
    Index("outbox_by_alert", "receiver", "dedup_key", "seq", postgresql_where="status = 'pending'"),
    Index("outbox_by_event", "event_id"),
    Index("outbox_by_time", "created_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("outbox_id", Uuid, ForeignKey("outbox.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    text("outcome"),
    text("detail"),
    moment("at", now=True),
    text("reason"),
    Column("status_code", SmallInteger),
    Index("deliveries_by_message", "outbox_id", "attempt"),
)

receivers = Table(
    "receivers",
    metadata,
    text("name", primary_key=True),
    count("failures", Integer),
    Column("held_until", MOMENT),
    Column("disabled_at", MOMENT),
    Column("reason", Text),
    Column("detail", Text),
)
