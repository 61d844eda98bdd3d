"""Retention horizons, and a write path without a look-up of the same run and model a row.

The run's row is locked once a transaction instead, and ``store.runs`` deletes what belongs to it.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_UP = """
alter table runs add documents_from timestamptz, add hours_from timestamptz;
alter table documents drop constraint documents_run_id_fkey;
alter table documents drop constraint documents_model_fkey;
alter table document_symbols drop constraint document_symbols_run_id_fkey;
alter table time_buckets drop constraint time_buckets_run_id_fkey;
"""

_DOWN = """
alter table time_buckets add foreign key (run_id) references runs (id) on delete cascade;
alter table document_symbols add foreign key (run_id) references runs (id) on delete cascade;
alter table documents add foreign key (model) references models (version);
alter table documents add foreign key (run_id) references runs (id) on delete cascade;
alter table runs drop documents_from, drop hours_from;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
