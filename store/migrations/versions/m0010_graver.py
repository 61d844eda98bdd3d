"""What receivers know of an alert that grows graver, and which cards wait for their words."""

from alembic import op

revision = "0010"
down_revision = "0009"

_UP = """
alter table alert_tellings
    add column told_severity smallint,
    add column told_to text[] not null default '{}';
update alert_tellings set told_severity = severity where told_state is not null;
create index events_graver on alert_events (run_id, rule, key, fired_at)
    where reason = 'graver';
create index cards_unweighed on alert_cards (event_id)
    where card is not null and card->'words' is null;
"""

_DOWN = """
drop index cards_unweighed, events_graver;
alter table alert_tellings drop column told_severity, drop column told_to;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
