"""The role that may only read: made for the embedded server, described for any other.

Its own settings end a statement that takes too long and refuse to write; that it has no right to
write holds even where somebody changes those.
"""

from sqlalchemy import Connection, text

READER = "tapewatch_reader"

SECONDS = 10.0
"""A statement that reads for a screen is ended after so long."""

_LOCK = 0x7461_7072

_MAKE = f"""
create role {READER} login;
alter role {READER} set default_transaction_read_only = on;
alter role {READER} set statement_timeout = '{SECONDS:g}s'
"""

_GRANT = f"""
grant usage on schema public to {READER};
grant select on all tables in schema public to {READER};
alter default privileges in schema public grant select on tables to {READER}
"""

_LACKS = text("""
select exists (
    select from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
        and not has_table_privilege(:name, oid, 'select')
)
""")


def make_reader(connection: Connection) -> None:
    """Have the role be there, and read all tables that there are and will be.

    The connection's user must be able to make roles. Safe when several do so at once.
    """
    name = {"name": READER}
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if connection.scalar(text("select 1 from pg_roles where rolname = :name"), name) is None:
        connection.exec_driver_sql(_MAKE)
    if connection.scalar(_LACKS, name):
        connection.exec_driver_sql(_GRANT)
