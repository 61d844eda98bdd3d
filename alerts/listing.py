"""The alerts of a run as a list shows them: how each stands, and whether anybody was told."""

from dataclasses import dataclass
from datetime import datetime

from alerts.common.links import alert_id
from store.alert_actions import Episode, read_acknowledged
from store.alert_list import ListedRow, read_list
from store.database import Connection
from store.runs import Run
from store.tellings import Telling, read_tellings

MOST = 1_000
"""Of those that have ended, the latest are listed."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One time that an alert is or was active.

    ``told_state``: as what receivers know it; None also for what has ended. ``held``: why the
    alert is held back from them.
    """

    id: str
    row: ListedRow
    acknowledged: bool
    told_state: str | None
    held: str | None


def list_alerts(
    connection: Connection, run: Run, since: datetime | None, most: int = MOST
) -> list[Listed]:
    """What is active, then what ended after ``since``, each the latest first."""
    tellings = {(t.rule, t.key): t for t in read_tellings(connection, run.id)}
    acknowledged = read_acknowledged(connection, run.id)
    return [
        _listed(run, row, tellings.get((row.rule, row.key)), acknowledged)
        for row in read_list(connection, run.id, since, most)
    ]


def _listed(
    run: Run, row: ListedRow, telling: Telling | None, acknowledged: frozenset[Episode]
) -> Listed:
    number = alert_id(run.name, row.rule, row.key)
    if row.ended_at is not None or telling is None:
        return Listed(number, row, acknowledged=False, told_state=None, held=None)
    known = telling.began_at is not None and (row.rule, row.key, telling.began_at) in acknowledged
    return Listed(number, row, known, telling.told_state, telling.held)
