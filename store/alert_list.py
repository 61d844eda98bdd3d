"""What fired in a run or has no data, for a list: read-only, bounded in rows, none that decides.

What is active comes first, the gravest first, and is never cut. Times are event time.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, text

_BEGAN = """
    select max(b.at) from alert_events b
    where b.run_id = e.run_id and b.rule = e.rule and b.key = e.key and b.at < e.at
        and b.previous in ('inactive', 'pending') and b.state <> 'pending'"""

_LIST = text(f"""
with active as (
    select rule, key, state, coalesce(fired_at, since) began_at, null::timestamptz ended_at
    from alert_states where run_id = :run_id and state <> 'pending'
), ended as (
    select e.rule, e.key, e.state, coalesce(e.fired_at, ({_BEGAN})) began_at, e.at ended_at
    from alert_events e
    where e.run_id = :run_id and e.at > :since and e.state = 'resolved'
    order by e.at desc
    limit :limit
)
select l.rule, l.key, began.scope, greatest(began.severity, grown.severity), l.state,
    l.began_at, l.ended_at, began.value, began.documents
from (select * from active union all select * from ended) l
cross join lateral (
    select scope, severity, value, documents from alert_events b
    where b.run_id = :run_id and b.rule = l.rule and b.key = l.key and b.at = l.began_at
    limit 1
) began
cross join lateral (
    select max(severity) severity from alert_events g
    where g.run_id = :run_id and g.rule = l.rule and g.key = l.key and g.fired_at = l.began_at
        and g.reason = 'graver'
) grown
order by l.ended_at is not null,
    case when l.ended_at is null then -greatest(began.severity, grown.severity) end,
    l.began_at desc, l.rule, l.key
""")  # noqa: S608 - text of ours


@dataclass(frozen=True, slots=True)
class ListedRow:
    """One time that an alert is or was active; ``ended_at`` None while it is.

    ``value`` and ``documents`` are those of its beginning, ``severity`` is the greatest it had.
    """

    rule: str
    key: str
    scope: str
    severity: int
    state: str
    began_at: datetime
    ended_at: datetime | None
    value: float | None
    documents: int


def read_list(
    connection: Connection, run_id: int, since: datetime | None, limit: int
) -> list[ListedRow]:
    """What is active, and the ``limit`` that ended last of those that ended after ``since``."""
    beginning = since or datetime.min.replace(tzinfo=UTC)
    names = {"run_id": run_id, "since": beginning, "limit": limit}
    return [ListedRow(*row) for row in connection.execute(_LIST, names)]
