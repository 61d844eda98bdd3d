"""The tables, as the migrations leave them, for building queries. A test holds the two together.

Every row carries its run: ``live``, or the name of a replay. Probabilities and scores are
integers of 1e-4. Knows no behaviour.
"""

from store.schema.alerts import (
    alert_actions,
    alert_cards,
    alert_events,
    alert_groups,
    alert_states,
    alert_tellings,
    notifications,
    silences,
)
from store.schema.columns import metadata
from store.schema.delivery import deliveries, outbox, receivers
from store.schema.documents import (
    checkpoints,
    corrections,
    counters,
    dead_letters,
    document_symbols,
    documents,
    drift_reports,
    earlier_scores,
    models,
    runs,
    time_buckets,
)

__all__ = [
    "alert_actions",
    "alert_cards",
    "alert_events",
    "alert_groups",
    "alert_states",
    "alert_tellings",
    "checkpoints",
    "corrections",
    "counters",
    "dead_letters",
    "deliveries",
    "document_symbols",
    "documents",
    "drift_reports",
    "earlier_scores",
    "metadata",
    "models",
    "notifications",
    "outbox",
    "receivers",
    "runs",
    "silences",
    "time_buckets",
]
