"""Loads large tables of the store without their indexes, which come back at the end.

Knows not what is loaded.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from store.database import Database

_DROP = """
alter table corrections drop constraint corrections_run_id_document_id_fkey;
alter table earlier_scores drop constraint earlier_scores_run_id_document_id_fkey;
alter table documents drop constraint documents_pkey;
drop index documents_by_time;
drop index documents_by_topic;
alter table document_symbols drop constraint document_symbols_pkey;
alter table time_buckets drop constraint time_buckets_pkey;
drop index buckets_by_time;
"""
_MAKE = """
set local maintenance_work_mem = '512MB';
alter table documents add primary key (run_id, id);
create index documents_by_time on documents (run_id, published_at);
create index documents_by_topic on documents (run_id, topic, published_at);
alter table document_symbols add primary key (run_id, symbol, published_at, document_id);
alter table time_buckets add primary key (run_id, width, scope, key, start, kind);
create index buckets_by_time on time_buckets (run_id, width, scope, start);
alter table corrections add foreign key (run_id, document_id)
    references documents (run_id, id) on delete cascade;
alter table earlier_scores add foreign key (run_id, document_id)
    references documents (run_id, id) on delete cascade;
"""


@contextmanager
def loading(database: Database) -> Iterator[Connection]:
    """One transaction in which rows are cheap to add; afterwards statistics are fresh."""
    with database.transaction() as connection:
        connection.execute(text(_DROP))
        yield connection
    with database.transaction() as connection:
        connection.execute(text(_MAKE))
    refresh(database)


def refresh(database: Database) -> None:
    """Clean up, make fresh statistics, and have everything written to the disk."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze"))
        connection.execute(text("checkpoint"))
