"""How often a dead letter was tried again, and when last: who replays keeps to a maximum."""

from alembic import op

revision = "0007"
down_revision = "0006"

_UP = """
alter table dead_letters add replays integer not null default 0, add replayed_at timestamptz;
"""

_DOWN = """
alter table dead_letters drop replays, drop replayed_at;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
