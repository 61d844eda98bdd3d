"""The digest of a run: documents, buckets and alert events, hashed in a fixed order.

Two runs of the same feed with the same weights and rules have the same digest, whatever the
batch sizes, restarts or number of workers. What differs between them by nature (run names,
positions, wall-clock times, states of the pipeline) is left out, and so is what operators do. Day
buckets are left out too: they are the hours once more, and a digest is the same as before there
were any.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from sqlalchemy import Connection, text

from store.alertlog import EventRow

_DOCUMENTS = """
select d.id, d.source, d.kind, d.published_at, d.title, d.text, d.url, d.author, d.language,
    d.topic, d.sentiment, d.score, d.topic_probabilities, d.sentiment_probabilities,
    d.truncated, d.model, nullif(d.symbols, '{}') symbols
from documents d where d.run_id = :run_id order by d.id collate "C"
"""

_BUCKETS = """
select width, scope, key, kind, start, documents, negative, neutral, positive, score_sum
from time_buckets where run_id = :run_id and width <> 'day'
order by width, scope, key collate "C", kind, start
"""

_EVENTS = """
select rule, key, scope, at, previous, state, reason, severity, fired_at, value, documents
from alert_events where run_id = :run_id and scope <> 'pipeline'
order by at, rule collate "C", key collate "C", state
"""


def digest(connection: Connection, run_id: int) -> dict[str, str]:
    """SHA-256 of each part of the run and, as ``run``, of the parts together, in hexadecimal."""
    statements = {"documents": _DOCUMENTS, "buckets": _BUCKETS, "alerts": _EVENTS}
    parts = {name: _hash(_rows(connection, run_id, sql)) for name, sql in statements.items()}
    whole = hashlib.sha256("".join(parts.values()).encode()).hexdigest()
    return {**parts, "run": whole}


def digest_events(events: Iterable[EventRow]) -> str:
    """The same of alert events that are in no database: what the part ``alerts`` would be."""
    rows = (
        (
            event.rule, event.key, event.scope, event.at, event.previous, event.state,
            event.reason, event.severity, event.fired_at, _as_real(event.value), event.documents,
        )
        for event in events
    )  # fmt: skip
    ordered = sorted(rows, key=lambda row: (row[3], row[0], row[1], row[5]))
    return _hash(msgspec.json.encode(row) for row in ordered)


def _as_real(value: float | None) -> float | None:
    """As the column keeps it, in single precision; the driver gives back its shortest decimal."""
    return None if value is None else float(str(np.float32(value)))


def _rows(connection: Connection, run_id: int, sql: str) -> Iterator[bytes]:
    statement = text(sql).execution_options(yield_per=2000)
    for row in connection.execute(statement, {"run_id": run_id}):
        yield msgspec.json.encode(tuple(row))


def _hash(rows: Iterator[bytes]) -> str:
    state = hashlib.sha256()
    for row in rows:
        state.update(row)
        state.update(b"\n")
    return state.hexdigest()
