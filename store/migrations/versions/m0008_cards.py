"""Why an alert fired: a card for each firing that begins, or the reason why there is none."""

from alembic import op

revision = "0008"
down_revision = "0007"

_UP = """
create table alert_cards (
    event_id bigint primary key references alert_events (id) on delete cascade,
    card jsonb,
    reason text,
    oldest_document timestamptz
);
create index cards_by_age on alert_cards (oldest_document);
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute("drop table alert_cards")
