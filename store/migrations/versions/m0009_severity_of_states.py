"""How grave an alert was when it fired, where that is found and not written in its rule."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("alter table alert_states add column severity smallint")


def downgrade() -> None:
    op.execute("alter table alert_states drop column severity")
