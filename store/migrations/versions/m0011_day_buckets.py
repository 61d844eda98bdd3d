"""Sums of days beside those of hours: whoever looks at a year reads a twenty-fourth of the rows.

A worker of an older version does not keep them, so none may go on beside newer ones.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

# By time, in which order a worker would have left them. What a run has pruned of its hours is in
# no day either.
_UP = """
insert into time_buckets (
    run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select run_id, 'day', scope, key, date_trunc('day', start, 'UTC'), kind,
    sum(documents), sum(negative), sum(neutral), sum(positive), sum(score_sum)
from time_buckets where width = 'hour'
group by run_id, scope, key, 5, kind
order by 5, run_id, scope, key, kind
"""


def upgrade() -> None:
    op.execute(_UP)
    op.execute("analyze time_buckets")


def downgrade() -> None:
    op.execute("delete from time_buckets where width = 'day'")
