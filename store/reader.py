"""The role that may only read: made for the embedded server, described for any other.

Its own settings end a statement that takes too long and refuse to write; that it has no right to
write holds even where somebody changes those.
"""

import psycopg
from sqlalchemy import Connection, text

from store.errors import StoreError

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


_MAY_MAKE = text("select rolsuper or rolcreaterole from pg_roles where rolname = current_user")


def make_reader(connection: Connection, password: str | None = None) -> None:
    """Have the role be there, and read all tables that there are and will be.

    With a ``password`` it is the role's from now on. The connection's user must be able to make
    roles, else StoreError. Safe when several do so at once.
    """
    name = {"name": READER}
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if not connection.scalar(_MAY_MAKE):
        raise StoreError(
            f"the user of the database may not make roles: have {READER} be made by hand, and "
            "unset TAPEWATCH_DATABASE_READER_PASSWORD (docs/operating.md)"
        )
    if connection.scalar(text("select 1 from pg_roles where rolname = :name"), name) is None:
        connection.exec_driver_sql(_MAKE)
    if password is not None:
        connection.exec_driver_sql(
            f"alter role {READER} password '{_hashed(connection, password)}'"
        )
    if connection.scalar(_LACKS, name):
        connection.exec_driver_sql(_GRANT)


def _hashed(connection: Connection, password: str) -> str:
    """What the server keeps of a password: it is not sent as it is, so no log of it has it."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the engine is made for psycopg
    made = driver.pgconn.encrypt_password(password.encode(), READER.encode(), b"scram-sha-256")
    return made.decode("ascii")
