"""What becomes of alerts, what was told of them, and what people did about them."""

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Table,
    Text,
    literal_column,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.schema.columns import MOMENT, count, metadata, moment, of_event, run, text

alert_states = Table(
    "alert_states",
    metadata,
    run(),
    text("rule", primary_key=True),
    text("key", primary_key=True),
    text("state"),
    moment("since"),
    Column("fired_at", MOMENT),
    Column("thin_since", MOMENT),
    Column("severity", SmallInteger),
)

alert_events = Table(
    "alert_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    run(primary_key=False),
    text("rule"),
    text("key"),
    text("scope"),
    moment("at"),
    text("previous"),
    text("state"),
    text("reason"),
    Column("severity", SmallInteger, nullable=False),
    Column("fired_at", MOMENT),
    Column("value", REAL),
    count("documents"),
    moment("window_start"),
    moment("window_end"),
    moment("recorded_at", now=True),
    Column("detail", Text),
    Index("events_by_alert", "run_id", "rule", "key", "at", "state", unique=True),
    Index("events_by_time", "run_id", "at"),
    Index(
        "events_graver",
        "run_id",
        "rule",
        "key",
        "fired_at",
        postgresql_where=literal_column("reason") == "graver",
    ),
)

alert_cards = Table(
    "alert_cards",
    metadata,
    Column(
        "event_id",
        BigInteger,
        ForeignKey("alert_events.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("card", JSONB(none_as_null=True)),
    Column("reason", Text),
    Column("oldest_document", MOMENT),
    Index("cards_by_age", "oldest_document"),
    Index(
        "cards_unweighed",
        "event_id",
        postgresql_where=literal_column("card is not null and card->'words' is null"),
    ),
)

alert_tellings = Table(
    "alert_tellings",
    metadata,
    run(),
    text("rule", primary_key=True),
    text("key", primary_key=True),
    text("scope"),
    Column("severity", SmallInteger, nullable=False),
    Column("state", Text),
    Column("began_at", MOMENT),
    of_event(),
    Column("told_state", Text),
    Column("told_began_at", MOMENT),
    Column("told_at", MOMENT),
    Column("told_severity", SmallInteger),
    Column("told_to", ARRAY(Text), nullable=False, server_default="{}"),
    Column("quiet", Boolean, nullable=False),
    Column("held", Text),
    Column("flapping", Boolean, nullable=False),
    Column("changes", ARRAY(MOMENT), nullable=False),
)

alert_groups = Table(
    "alert_groups",
    metadata,
    run(),
    text("name", primary_key=True),
    Column("waiting_since", MOMENT),
    Column("told_at", MOMENT),
    Column("repeat_at", MOMENT),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    run(primary_key=False),
    text("rule"),
    text("key"),
    moment("at"),
    Column("state", Text),
    Column("told", Boolean, nullable=False),
    text("reason"),
    Column("detail", Text),
    Column("group_name", Text),
    Column("receivers", ARRAY(Text), nullable=False),
    of_event(),
    moment("recorded_at", now=True),
    Index("notifications_by_alert", "run_id", "rule", "key", "id"),
)

silences = Table(
    "silences",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    run(primary_key=False),
    Column("matchers", JSONB, nullable=False),
    moment("starts_at"),
    moment("ends_at"),
    text("author"),
    text("comment"),
    moment("created_at", now=True),
    Index("silences_by_end", "run_id", "ends_at"),
)

alert_actions = Table(
    "alert_actions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    run(primary_key=False),
    text("action"),
    Column("rule", Text),
    Column("key", Text),
    Column("began_at", MOMENT),
    Column("silence_id", BigInteger, ForeignKey("silences.id", ondelete="CASCADE")),
    text("author"),
    Column("comment", Text),
    moment("at", now=True),
    Index("actions_by_alert", "run_id", "rule", "key", "id"),
)
