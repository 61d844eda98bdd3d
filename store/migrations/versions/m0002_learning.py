"""What learning rests on: analysts' corrections, the scores of earlier models, drift reports."""

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = """
create table corrections (
    id bigint generated always as identity primary key,
    run_id integer not null,
    document_id text not null,
    topic text,
    sentiment text,
    author text not null,
    note text,
    at timestamptz not null default now(),
    foreign key (run_id, document_id) references documents (run_id, id) on delete cascade
);
create index corrections_by_document on corrections (run_id, document_id, id);

create table earlier_scores (
    run_id integer not null,
    document_id text not null,
    model text not null references models (version),
    topic text not null,
    sentiment text not null,
    score smallint not null,
    topic_probabilities smallint[] not null,
    sentiment_probabilities smallint[] not null,
    replaced_at timestamptz not null default now(),
    primary key (run_id, document_id, model),
    foreign key (run_id, document_id) references documents (run_id, id) on delete cascade
);

create table drift_reports (
    id bigint generated always as identity primary key,
    run_id integer not null references runs (id) on delete cascade,
    model text not null,
    window_start timestamptz not null,
    window_end timestamptz not null,
    documents integer not null,
    topic_psi real,
    sentiment_psi real,
    confidence_psi real,
    vocabulary_psi real,
    verdict text not null,
    report jsonb not null,
    at timestamptz not null default now()
);
create index drift_by_run on drift_reports (run_id, id);
"""


def upgrade() -> None:
    op.execute(_TABLES)


def downgrade() -> None:
    op.execute("drop table drift_reports, earlier_scores, corrections")
