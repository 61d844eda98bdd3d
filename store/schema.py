"""The tables, as the migrations leave them, for building queries. A test holds the two together.

Every row carries its run: ``live``, or the name of a replay. Probabilities and scores are
integers of 1e-4. Knows no behaviour.
"""

from collections.abc import Sequence

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

_MOMENT = DateTime(timezone=True)


def _run(*, primary_key: bool = True) -> Column[int]:
    key = ForeignKey("runs.id", ondelete="CASCADE")
    return Column("run_id", Integer, key, primary_key=primary_key, nullable=False)


def _run_unchecked() -> Column[int]:
    """Where workers write in bulk: they hold the run's row instead of a key checked row by row."""
    return Column("run_id", Integer, primary_key=True, nullable=False)


def _count(name: str, kind: type[Integer] = BigInteger) -> Column[int]:
    return Column(name, kind, nullable=False, server_default="0")


def _text(name: str, *, primary_key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=primary_key, nullable=False)


def _moment(name: str, *, now: bool = False, primary_key: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, _MOMENT, primary_key=primary_key, nullable=False, server_default=default)


def _of_document() -> ForeignKeyConstraint:
    names, columns = ["run_id", "document_id"], ["documents.run_id", "documents.id"]
    return ForeignKeyConstraint(names, columns, ondelete="CASCADE")


def _event() -> Column[int]:
    return Column("event_id", BigInteger, ForeignKey("alert_events.id", ondelete="CASCADE"))


def _probabilities(name: str) -> Column[Sequence[int]]:
    return Column(name, ARRAY(SmallInteger), nullable=False)


runs = Table(
    "runs",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("feed", Text),
    _moment("created_at", now=True),
    Column("finished_at", _MOMENT),
    Column("evaluated_until", _MOMENT),
    Column("documents_from", _MOMENT),
    Column("hours_from", _MOMENT),
)

models = Table(
    "models",
    metadata,
    _text("version", primary_key=True),
    Column("topics", ARRAY(Text), nullable=False),
    Column("sentiments", ARRAY(Text), nullable=False),
    _moment("first_used_at", now=True),
)

documents = Table(
    "documents",
    metadata,
    _run_unchecked(),
    _text("id", primary_key=True),
    _text("source"),
    _text("kind"),
    _moment("published_at"),
    Column("title", Text),
    _text("text"),
    Column("url", Text),
    Column("author", Text),
    Column("language", Text),
    _text("topic"),
    _text("sentiment"),
    Column("score", SmallInteger, nullable=False),
    _probabilities("topic_probabilities"),
    _probabilities("sentiment_probabilities"),
    Column("truncated", Boolean, nullable=False),
    _text("model"),
    _moment("ingested_at", now=True),
    Column("symbols", ARRAY(Text), nullable=False, server_default="{}"),
    Index("documents_by_time", "run_id", "published_at"),
    Index("documents_by_topic", "run_id", "topic", "published_at"),
)

document_symbols = Table(
    "document_symbols",
    metadata,
    _run_unchecked(),
    _text("document_id", primary_key=True),
    _text("symbol", primary_key=True),
    _moment("published_at", primary_key=True),
    PrimaryKeyConstraint("run_id", "symbol", "published_at", "document_id"),
)
"""The symbols of documents once more, in the order in which a symbol's documents are read."""

time_buckets = Table(
    "time_buckets",
    metadata,
    _run_unchecked(),
    _text("width", primary_key=True),
    _text("scope", primary_key=True),
    _text("key", primary_key=True),
    _moment("start", primary_key=True),
    _text("kind", primary_key=True),
    _count("documents"),
    _count("negative"),
    _count("neutral"),
    _count("positive"),
    _count("score_sum"),
    Index("buckets_by_time", "run_id", "width", "scope", "start"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    _run(),
    _text("source", primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("newest_event_at", _MOMENT),
    _count("late"),
    _moment("updated_at", now=True),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    _run(),
    _text("source", primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    _text("reason"),
    _text("detail"),
    Column("payload", LargeBinary),
    Column("size", Integer, nullable=False),
    _moment("received_at", now=True),
    _count("replays", Integer),
    Column("replayed_at", _MOMENT),
)

counters = Table(
    "counters",
    metadata,
    _run(),
    _count("documents"),
    _count("repeats"),
    _count("dead_letters"),
)

alert_states = Table(
    "alert_states",
    metadata,
    _run(),
    _text("rule", primary_key=True),
    _text("key", primary_key=True),
    _text("state"),
    _moment("since"),
    Column("fired_at", _MOMENT),
    Column("thin_since", _MOMENT),
)

alert_events = Table(
    "alert_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _run(primary_key=False),
    _text("rule"),
    _text("key"),
    _text("scope"),
    _moment("at"),
    _text("previous"),
    _text("state"),
    _text("reason"),
    Column("severity", SmallInteger, nullable=False),
    Column("fired_at", _MOMENT),
    Column("value", REAL),
    _count("documents"),
    _moment("window_start"),
    _moment("window_end"),
    _moment("recorded_at", now=True),
    Column("detail", Text),
    Index("events_by_alert", "run_id", "rule", "key", "at", "state", unique=True),
    Index("events_by_time", "run_id", "at"),
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
    Column("oldest_document", _MOMENT),
    Index("cards_by_age", "oldest_document"),
)

alert_tellings = Table(
    "alert_tellings",
    metadata,
    _run(),
    _text("rule", primary_key=True),
    _text("key", primary_key=True),
    _text("scope"),
    Column("severity", SmallInteger, nullable=False),
    Column("state", Text),
    Column("began_at", _MOMENT),
    _event(),
    Column("told_state", Text),
    Column("told_began_at", _MOMENT),
    Column("told_at", _MOMENT),
    Column("quiet", Boolean, nullable=False),
    Column("held", Text),
    Column("flapping", Boolean, nullable=False),
    Column("changes", ARRAY(_MOMENT), nullable=False),
)

alert_groups = Table(
    "alert_groups",
    metadata,
    _run(),
    _text("name", primary_key=True),
    Column("waiting_since", _MOMENT),
    Column("told_at", _MOMENT),
    Column("repeat_at", _MOMENT),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _run(primary_key=False),
    _text("rule"),
    _text("key"),
    _moment("at"),
    Column("state", Text),
    Column("told", Boolean, nullable=False),
    _text("reason"),
    Column("detail", Text),
    Column("group_name", Text),
    Column("receivers", ARRAY(Text), nullable=False),
    _event(),
    _moment("recorded_at", now=True),
    Index("notifications_by_alert", "run_id", "rule", "key", "id"),
)

silences = Table(
    "silences",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _run(primary_key=False),
    Column("matchers", JSONB, nullable=False),
    _moment("starts_at"),
    _moment("ends_at"),
    _text("author"),
    _text("comment"),
    _moment("created_at", now=True),
    Index("silences_by_end", "run_id", "ends_at"),
)

alert_actions = Table(
    "alert_actions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _run(primary_key=False),
    _text("action"),
    Column("rule", Text),
    Column("key", Text),
    Column("began_at", _MOMENT),
    Column("silence_id", BigInteger, ForeignKey("silences.id", ondelete="CASCADE")),
    _text("author"),
    Column("comment", Text),
    _moment("at", now=True),
    Index("actions_by_alert", "run_id", "rule", "key", "id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("event_id", BigInteger, ForeignKey("alert_events.id", ondelete="CASCADE")),
    _text("receiver"),
    Column("payload", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    _count("attempts", Integer),
    _moment("next_attempt_at", now=True),
    _moment("created_at", now=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    _text("dedup_key"),
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
    _text("outcome"),
    _text("detail"),
    _moment("at", now=True),
    _text("reason"),
    Column("status_code", SmallInteger),
    Index("deliveries_by_message", "outbox_id", "attempt"),
)

receivers = Table(
    "receivers",
    metadata,
    _text("name", primary_key=True),
    _count("failures", Integer),
    Column("held_until", _MOMENT),
    Column("disabled_at", _MOMENT),
    Column("reason", Text),
    Column("detail", Text),
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("run_id", Integer, nullable=False),
    _text("document_id"),
    Column("topic", Text),
    Column("sentiment", Text),
    _text("author"),
    Column("note", Text),
    _moment("at", now=True),
    _of_document(),
    Index("corrections_by_document", "run_id", "document_id", "id"),
)

earlier_scores = Table(
    "earlier_scores",
    metadata,
    Column("run_id", Integer, primary_key=True),
    _text("document_id", primary_key=True),
    Column("model", Text, ForeignKey("models.version"), primary_key=True),
    _text("topic"),
    _text("sentiment"),
    Column("score", SmallInteger, nullable=False),
    _probabilities("topic_probabilities"),
    _probabilities("sentiment_probabilities"),
    _moment("replaced_at", now=True),
    _of_document(),
)

drift_reports = Table(
    "drift_reports",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _run(primary_key=False),
    _text("model"),
    _moment("window_start"),
    _moment("window_end"),
    Column("documents", Integer, nullable=False),
    Column("topic_psi", REAL),
    Column("sentiment_psi", REAL),
    Column("confidence_psi", REAL),
    Column("vocabulary_psi", REAL),
    _text("verdict"),
    Column("report", JSONB, nullable=False),
    _moment("at", now=True),
    Index("drift_by_run", "run_id", "id"),
)
