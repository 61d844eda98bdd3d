"""How long a backtest of a year takes, of keys that have documents in every minute of it.

All of it is timed: reading the minutes, judging, and sorting what came of it. Buckets are made in
the database; no document is scored. Keys are much alike in what they cost, so a hundred take ten
times as long as ten.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loading import loading
from measuring import summary
from sqlalchemy import text

from alerts.backtest.history import judge_history, whole_span
from alerts.rules.kinds import AnyRule
from alerts.rules.ruleset import Metric, RuleSet, SpikeRule, ThresholdRule
from store.database import Database
from store.embedded import EmbeddedPostgres
from store.runs import Run
from tapewatch.wiring import open_run

START = datetime(2025, 3, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

# Busier by day; one minute in forty is negative throughout, for an hour of some days nearly all.
_BUCKETS = text("""
insert into time_buckets
    (run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select :run, 'minute', 'symbol', 'S' || k, :start + m * interval '1 minute', 'news', n.documents,
    n.negative, n.documents - n.negative, 0, -10000 * n.negative
from generate_series(0, :minutes - 1) m, generate_series(1, :keys) k,
    lateral (
        select 1 + (m / 60 % 24 between 7 and 20)::integer * 3 + (k * 7 + m * 13) % 3 documents,
            (k * 31 + m / 60 * 17) % 700 = 0 bad
    ) d,
    lateral (
        select d.documents, case when bad then d.documents when (m * 7 + k) % 4 = 0 then 1
            else 0 end negative
    ) n
""")
_ALL = text("""
insert into time_buckets
    (run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select run_id, width, 'all', '', start, kind, sum(documents), sum(negative), sum(neutral), 0,
    sum(score_sum)
from time_buckets where run_id = :run group by run_id, width, start, kind
""")
_LONGER = text("""
insert into time_buckets
    (run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select run_id, longer, scope, key, date_trunc(longer, start, 'UTC'), kind, sum(documents),
    sum(negative), sum(neutral), 0, sum(score_sum)
from time_buckets cross join (values ('hour'), ('day')) widths (longer)
where run_id = :run group by run_id, longer, scope, key, 5, kind
""")
RULES: dict[str, AnyRule] = {
    "threshold": ThresholdRule(
        name="threshold", metric=Metric.NEGATIVE_SHARE, threshold=0.6, scope="symbol"
    ),
    "spike": SpikeRule(name="spike", scope="symbol", min_texts=1),
}


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001 - what bench.py calls
    """Seconds a backtest by the kind of rule."""
    keys, days, rounds = (3, 40, 1) if quick else (10, 365, 3)
    with tempfile.TemporaryDirectory(prefix="tapewatch-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            database = Database(server.database("backtesting"))
            database.migrate()
            made = _fill(database, keys, days)
            results = [_case(database, made, name, rounds) for name in RULES]
            database.close()
        finally:
            server.close()
    return {"keys": keys, "days": days, "minutes_with_documents": keys * days * 1440} | {
        "backtests": results
    }


def _fill(database: Database, keys: int, days: int) -> Run:
    made = open_run(database, "year")
    given = {"run": made.id, "start": START, "keys": keys, "minutes": days * 1440}
    with loading(database) as connection:
        connection.execute(_BUCKETS, given)
        connection.execute(_ALL, given)
        connection.execute(_LONGER, given)
    return made


def _case(database: Database, made: Run, name: str, rounds: int) -> dict[str, Any]:
    rules = RuleSet(rules=(RULES[name],))
    with database.transaction() as connection:
        span = whole_span(connection, made.id)
    assert span is not None
    seconds, events = [], 0
    for _ in range(rounds):
        begun = time.perf_counter()
        events = len(judge_history(database, made.id, rules, span).events)
        seconds.append(time.perf_counter() - begun)
    case = {"rule": name, "events": events, "seconds": summary(seconds)}
    print(case, file=sys.stderr, flush=True)  # noqa: T201
    return case
