"""The first tables."""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = """
create table runs (
    id integer generated always as identity primary key,
    name text not null unique,
    feed text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    evaluated_until timestamptz
);

create table models (
    version text primary key,
    topics text[] not null,
    sentiments text[] not null,
    first_used_at timestamptz not null default now()
);

create table documents (
    run_id integer not null references runs (id) on delete cascade,
    id text not null,
    source text not null,
    kind text not null,
    published_at timestamptz not null,
    title text,
    text text not null,
    url text,
    author text,
    language text,
    topic text not null,
    sentiment text not null,
    score smallint not null,
    topic_probabilities smallint[] not null,
    sentiment_probabilities smallint[] not null,
    truncated boolean not null,
    model text not null references models (version),
    ingested_at timestamptz not null default now(),
    primary key (run_id, id)
);
create index documents_by_time on documents (run_id, published_at);
create index documents_by_topic on documents (run_id, topic, published_at);

create table document_symbols (
    run_id integer not null references runs (id) on delete cascade,
    document_id text not null,
    symbol text not null,
    published_at timestamptz not null,
    primary key (run_id, document_id, symbol)
);
create index documents_by_symbol on document_symbols (run_id, symbol, published_at);

create table time_buckets (
    run_id integer not null references runs (id) on delete cascade,
    width text not null,
    scope text not null,
    key text not null,
    start timestamptz not null,
    kind text not null,
    documents bigint not null default 0,
    negative bigint not null default 0,
    neutral bigint not null default 0,
    positive bigint not null default 0,
    score_sum bigint not null default 0,
    primary key (run_id, width, scope, key, start, kind)
);
create index buckets_by_time on time_buckets (run_id, width, scope, start);

create table checkpoints (
    run_id integer not null references runs (id) on delete cascade,
    source text not null,
    partition integer not null,
    next_offset bigint not null,
    newest_event_at timestamptz,
    late bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (run_id, source, partition)
);

create table dead_letters (
    run_id integer not null references runs (id) on delete cascade,
    source text not null,
    partition integer not null,
    "offset" bigint not null,
    reason text not null,
    detail text not null,
    payload bytea,
    size integer not null,
    received_at timestamptz not null default now(),
    primary key (run_id, source, partition, "offset")
);

create table counters (
    run_id integer primary key references runs (id) on delete cascade,
    documents bigint not null default 0,
    repeats bigint not null default 0,
    dead_letters bigint not null default 0
);

create table alert_states (
    run_id integer not null references runs (id) on delete cascade,
    rule text not null,
    key text not null,
    state text not null,
    since timestamptz not null,
    fired_at timestamptz,
    thin_since timestamptz,
    primary key (run_id, rule, key)
);

create table alert_events (
    id bigint generated always as identity primary key,
    run_id integer not null references runs (id) on delete cascade,
    rule text not null,
    key text not null,
    scope text not null,
    at timestamptz not null,
    previous text not null,
    state text not null,
    reason text not null,
    severity smallint not null,
    fired_at timestamptz,
    value real,
    documents bigint not null default 0,
    window_start timestamptz not null,
    window_end timestamptz not null,
    recorded_at timestamptz not null default now()
);
create unique index events_by_alert on alert_events (run_id, rule, key, at, state);
create index events_by_time on alert_events (run_id, at);

create table outbox (
    id uuid primary key,
    event_id bigint references alert_events (id) on delete cascade,
    receiver text not null,
    payload jsonb not null,
    status text not null default 'pending',
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    created_at timestamptz not null default now()
);
create index outbox_by_attempt on outbox (status, next_attempt_at);

create table deliveries (
    id bigint generated always as identity primary key,
    outbox_id uuid not null references outbox (id) on delete cascade,
    attempt integer not null,
    outcome text not null,
    detail text not null,
    at timestamptz not null default now()
);
"""

_NAMES = (
    "deliveries, outbox, alert_events, alert_states, counters, dead_letters, checkpoints, "
    "time_buckets, document_symbols, documents, models, runs"
)


def upgrade() -> None:
    op.execute(_TABLES)


def downgrade() -> None:
    op.execute(f"drop table {_NAMES}")
