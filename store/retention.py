"""The retention horizon of a run: what is older is gone, and stays gone.

Documents before ``documents_from`` count as known: delivered again, they add nothing. Knows not
what is deleted, nor when.
"""

from datetime import datetime

from sqlalchemy import Connection, text

from store.errors import UnknownRunError

_LOCK = 0x7461_7077

# Plans are made anew each time: one that was kept from when the tables were small would read
# them whole when they are large.
_SHARE = text("""
select pg_advisory_xact_lock_shared(:lock, :run_id),
    set_config('plan_cache_mode', 'force_custom_plan', true)
""")
_HORIZON = text("select documents_from from runs where id = :run_id for key share")


def hold_run(connection: Connection, run_id: int) -> datetime | None:
    """Keep the run and its horizon as they are until the transaction ends; the horizon.

    Raises UnknownRunError if the run was deleted.
    """
    connection.execute(_SHARE, {"lock": _LOCK, "run_id": run_id})
    row = connection.execute(_HORIZON, {"run_id": run_id}).one_or_none()
    if row is None:
        raise UnknownRunError(f"the run with the number {run_id} was deleted meanwhile")
    horizon: datetime | None = row.documents_from
    return horizon
