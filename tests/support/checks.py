"""What must be true of any run, read straight from the tables."""

from __future__ import annotations

from sqlalchemy import text

from store.database import Database
from store.runs import find_run

_RECOUNT = """
with horizon as (
    select coalesce(documents_from, '-infinity') start from runs where id = :run
), retained as (
    select * from documents where run_id = :run and published_at >= (select start from horizon)
), counted as (
    select 'all' scope, '' key, published_at, kind, sentiment, score from retained
    union all select 'topic', topic, published_at, kind, sentiment, score from retained
    union all select 'source', source, published_at, kind, sentiment, score from retained
    union all select 'symbol', s.symbol, d.published_at, d.kind, d.sentiment, d.score
    from retained d join document_symbols s on s.run_id = d.run_id and s.document_id = d.id
), recount as (
    select width, scope, key, date_trunc(width, published_at, 'UTC') start, kind,
        count(*) documents, count(*) filter (where sentiment = 'negative') negative,
        count(*) filter (where sentiment = 'neutral') neutral,
        count(*) filter (where sentiment = 'positive') positive, sum(score) score_sum
    from counted cross join (values ('minute'), ('hour'), ('day')) w (width)
    where date_trunc(width, published_at, 'UTC') >= (select start from horizon)
    group by 1, 2, 3, 4, 5
), kept as (
    select width, scope, key, start, kind, documents, negative, neutral, positive, score_sum
    from time_buckets where run_id = :run and start >= (select start from horizon)
), days as (
    select scope, key, start, kind, documents, negative, neutral, positive, score_sum
    from time_buckets where run_id = :run and width = 'day'
), summed as (
    select scope, key, date_trunc('day', start, 'UTC'), kind, sum(documents), sum(negative),
        sum(neutral), sum(positive), sum(score_sum)
    from time_buckets where run_id = :run and width = 'hour' group by 1, 2, 3, 4
)
select (select count(*) from recount) buckets,
    (select count(*) from (table recount except table kept) missing)
    + (select count(*) from (table kept except table recount) extra) differences,
    (select count(*) from (table days except table summed) more)
    + (select count(*) from (table summed except table days) less) days_apart
"""


def count(database: Database, table: str, run: str) -> int:
    """Rows of a table that belong to a run."""
    with database.transaction() as connection:
        found = find_run(connection, run)
        statement = text(f"select count(*) from {table} where run_id = :run")
        return int(connection.scalar(statement, {"run": found.id}) or 0)


def taken_in(database: Database, run: str) -> int:
    """Records of a run that ended as a document, a repeat or a dead letter."""
    with database.transaction() as connection:
        statement = text(
            "select coalesce(sum(c.documents + c.repeats + c.dead_letters), 0) "
            "from counters c join runs r on r.id = c.run_id where r.name = :run"
        )
        return int(connection.scalar(statement, {"run": run}) or 0)


def buckets_equal_recount(database: Database, run: str) -> None:
    """Every bucket is what counting the documents again gives, and there are some.

    Of a pruned run: every bucket from its retention horizon on. All days are what their hours are.
    """
    with database.transaction() as connection:
        found = find_run(connection, run)
        row = connection.execute(text(_RECOUNT), {"run": found.id}).one()
    assert row.buckets > 0
    assert row.differences == 0
    assert row.days_apart == 0
