"""What comes in and what is made of it: runs, documents, time buckets, checkpoints, corrections."""

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.schema.columns import (
    MOMENT,
    count,
    metadata,
    moment,
    of_document,
    probabilities,
    run,
    run_unchecked,
    text,
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("feed", Text),
    moment("created_at", now=True),
    Column("finished_at", MOMENT),
    Column("evaluated_until", MOMENT),
    Column("documents_from", MOMENT),
    Column("hours_from", MOMENT),
)

models = Table(
    "models",
    metadata,
    text("version", primary_key=True),
    Column("topics", ARRAY(Text), nullable=False),
    Column("sentiments", ARRAY(Text), nullable=False),
    moment("first_used_at", now=True),
)

documents = Table(
    "documents",
    metadata,
    run_unchecked(),
    text("id", primary_key=True),
    text("source"),
    text("kind"),
    moment("published_at"),
    Column("title", Text),
    text("text"),
    Column("url", Text),
    Column("author", Text),
    Column("language", Text),
    text("topic"),
    text("sentiment"),
    Column("score", SmallInteger, nullable=False),
    probabilities("topic_probabilities"),
    probabilities("sentiment_probabilities"),
    Column("truncated", Boolean, nullable=False),
    text("model"),
    moment("ingested_at", now=True),
    Column("symbols", ARRAY(Text), nullable=False, server_default="{}"),
    Index("documents_by_time", "run_id", "published_at"),
    Index("documents_by_topic", "run_id", "topic", "published_at"),
)

document_symbols = Table(
    "document_symbols",
    metadata,
    run_unchecked(),
    text("document_id", primary_key=True),
    text("symbol", primary_key=True),
    moment("published_at", primary_key=True),
    PrimaryKeyConstraint("run_id", "symbol", "published_at", "document_id"),
)
"""The symbols of documents once more, in the order in which a symbol's documents are read."""

time_buckets = Table(
    "time_buckets",
    metadata,
    run_unchecked(),
    text("width", primary_key=True),
    text("scope", primary_key=True),
    text("key", primary_key=True),
    moment("start", primary_key=True),
    text("kind", primary_key=True),
    count("documents"),
    count("negative"),
    count("neutral"),
    count("positive"),
    count("score_sum"),
    Index("buckets_by_time", "run_id", "width", "scope", "start"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    run(),
    text("source", primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("newest_event_at", MOMENT),
    count("late"),
    moment("updated_at", now=True),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    run(),
    text("source", primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    text("reason"),
    text("detail"),
    Column("payload", LargeBinary),
    Column("size", Integer, nullable=False),
    moment("received_at", now=True),
    count("replays", Integer),
    Column("replayed_at", MOMENT),
)

counters = Table(
    "counters",
    metadata,
    run(),
    count("documents"),
    count("repeats"),
    count("dead_letters"),
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("run_id", Integer, nullable=False),
    text("document_id"),
    Column("topic", Text),
    Column("sentiment", Text),
    text("author"),
    Column("note", Text),
    moment("at", now=True),
    of_document(),
    Index("corrections_by_document", "run_id", "document_id", "id"),
)

earlier_scores = Table(
    "earlier_scores",
    metadata,
    Column("run_id", Integer, primary_key=True),
    text("document_id", primary_key=True),
    Column("model", Text, ForeignKey("models.version"), primary_key=True),
    text("topic"),
    text("sentiment"),
    Column("score", SmallInteger, nullable=False),
    probabilities("topic_probabilities"),
    probabilities("sentiment_probabilities"),
    moment("replaced_at", now=True),
    of_document(),
)

drift_reports = Table(
    "drift_reports",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    run(primary_key=False),
    text("model"),
    moment("window_start"),
    moment("window_end"),
    Column("documents", Integer, nullable=False),
    Column("topic_psi", REAL),
    Column("sentiment_psi", REAL),
    Column("confidence_psi", REAL),
    Column("vocabulary_psi", REAL),
    text("verdict"),
    Column("report", JSONB, nullable=False),
    moment("at", now=True),
    Index("drift_by_run", "run_id", "id"),
)
