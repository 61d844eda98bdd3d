"""How long a grid step of the alerter takes with many rules and keys, on the embedded PostgreSQL.

A step is all of it: reading buckets and states, judging, telling, and the transaction. Buckets are
made in the database; no document is scored.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from measuring import summary
from sqlalchemy import text

from alerts.alerter import Alerter
from alerts.rules.ruleset import GRID, Metric, RuleSet, SpikeRule, ThresholdRule
from store.alertlog import move_cursor
from store.database import Database
from store.embedded import EmbeddedPostgres
from store.runs import Run, delete_run
from tapewatch.wiring import open_run

START = datetime(2026, 3, 10, tzinfo=UTC)
MONTH = timedelta(days=30)
HISTORY = timedelta(hours=2)
"""Of minutes with documents before the first step that is timed."""

_BUCKETS = text("""
insert into time_buckets
    (run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select :run, 'minute', 'symbol', 'S' || k, :start + m * interval '1 minute', 'news', 6,
    n.negative, 6 - n.negative, 0, -10000 * n.negative
from generate_series(1, :keys) k, generate_series(0, :minutes - 1) m,
    lateral (select case when (k * 7 + m / 30) % 10 < :firing then 6 else 1 end negative) n
""")
_ALL = text("""
insert into time_buckets
    (run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select :run, 'minute', 'all', '', :start + m * interval '1 minute', 'news', 6, 1, 5, 0, 0
from generate_series(0, :minutes - 1) m
""")
_MONTH = text("""
insert into time_buckets
    (run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select :run, :width, s.scope, s.key, :start + m * :apart, 'news', 6, n.negative, 6 - n.negative,
    0, 0
from (
    select 'symbol' scope, 'S' || k key, k from generate_series(1, :keys) k
    union select 'all', '', 0
) s, generate_series(0, :count - 1) m, lateral (select (s.k * 7 + m * 13) % 4 negative) n
""")
"""Six documents in each bucket of every key, none, one, two or three of them negative."""

_PROGRESS = text("""
insert into checkpoints (run_id, source, partition, next_offset, newest_event_at)
values (:run, 'feed', 0, 1, :newest)
on conflict (run_id, source, partition) do update set newest_event_at = excluded.newest_event_at
""")


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001 - what bench.py calls
    """Seconds a grid step by rules, keys of each, and how many tenths of the alerts fire."""
    cases = [(5, 4, 1)] if quick else [(1000, 1, 1), (1, 1000, 1), (1000, 20, 0), (1000, 20, 1)]
    steps = 2 if quick else 20
    results = []
    with _database() as database:
        for rules, keys, firing in cases:
            results.append(_case(database, rules, keys, firing, steps))
            print(results[-1], file=sys.stderr, flush=True)  # noqa: T201
        spikes = [_spikes(database, *case, steps) for case in _spike_cases(quick=quick)]
    return {"steps": steps, "grid_steps": results, "spike_steps": spikes}


def _spike_cases(*, quick: bool) -> list[tuple[int, timedelta]]:
    """Keys, and how far apart the minutes with documents of each are."""
    if quick:
        return [(3, timedelta(hours=2))]
    return [(100, timedelta(minutes=5)), (1000, timedelta(hours=1))]


def _spikes(database: Database, keys: int, apart: timedelta, steps: int) -> dict[str, Any]:
    """Seconds a grid step of one spike rule that is judged each minute, after a month."""
    made = open_run(database, f"spikes-{keys}")
    given = {"run": made.id, "start": START, "keys": keys}
    with database.transaction() as connection:
        for width, distance in (("minute", apart), ("hour", max(apart, timedelta(hours=1)))):
            many = {"width": width, "apart": distance, "count": MONTH // distance}
            connection.execute(_MONTH, {**given, **many})
        connection.execute(text("analyze time_buckets"))
        move_cursor(connection, made.id, START + MONTH - GRID)
    rule = SpikeRule(name="spike", scope="symbol", every=GRID, window=timedelta(hours=1))
    alerter = Alerter(database, made, RuleSet(rules=(rule,)), timedelta(0), notify=True)
    seconds = [
        _advance(database, made, alerter, START + MONTH + step * GRID) for step in range(steps)
    ]
    with database.transaction() as connection:
        buckets = connection.scalar(text("select count(*) from time_buckets"))
        delete_run(connection, made.name)
    case = {"keys": keys, "minutes_apart": apart // GRID, "buckets": buckets}
    print(case, seconds[0], file=sys.stderr, flush=True)  # noqa: T201
    return {**case, "milliseconds": summary([1000 * each for each in seconds])}


@contextmanager
def _database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="tapewatch-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            database = Database(server.database("alerting"))
            database.migrate()
            yield database
            database.close()
        finally:
            server.close()


def _case(database: Database, rules: int, keys: int, firing: int, steps: int) -> dict[str, Any]:
    made = open_run(database, f"{rules}-{keys}-{firing}")
    minutes = HISTORY // GRID + steps
    given = {"run": made.id, "start": START, "keys": keys, "minutes": minutes, "firing": firing}
    with database.transaction() as connection:
        connection.execute(_BUCKETS, given)
        connection.execute(_ALL, given)
        connection.execute(text("analyze time_buckets"))
    alerter = Alerter(database, made, _rules(rules), timedelta(0), notify=True)
    _advance(database, made, alerter, START + HISTORY)
    seconds = [
        _advance(database, made, alerter, START + HISTORY + step * GRID)
        for step in range(1, steps + 1)
    ]
    with database.transaction() as connection:
        fired = connection.scalar(text("select count(*) from alert_states"))
        delete_run(connection, made.name)
    return {
        "rules": rules,
        "keys": keys,
        "judged": rules * keys,
        "active": fired,
        "milliseconds": summary([1000 * each for each in seconds]),
    }


def _rules(count: int) -> RuleSet:
    """Rules that are judged each minute, over an hour."""
    return RuleSet(
        rules=tuple(
            ThresholdRule(
                name=f"r{number}",
                metric=Metric.NEGATIVE_SHARE,
                scope="symbol",
                threshold=0.5 + number / (10 * count),
                every=GRID,
                window=timedelta(minutes=30),
            )
            for number in range(count)
        )
    )


def _advance(database: Database, made: Run, alerter: Alerter, until: datetime) -> float:
    with database.transaction() as connection:
        connection.execute(_PROGRESS, {"run": made.id, "newest": until})
    begun = time.perf_counter()
    alerter.advance(until)
    return time.perf_counter() - begun
