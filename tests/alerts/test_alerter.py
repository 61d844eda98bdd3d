from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select, update
from support.alerting import MINUTE, NOON, RULE, at, open_run

import alerts.alerter
from alerts.alerter import Alerter, partition_time
from alerts.rules.policies import Grouping
from alerts.rules.ruleset import Metric, NoData, RuleSet, ThresholdRule
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from store import alertlog, outbox, runs
from store.commits import commit_batch
from store.preparing import prepare_batch
from store.schema import alert_events, checkpoints
from store.schema import outbox as outbox_table

SECOND = timedelta(seconds=1)

AT_ONCE = Grouping(interval=timedelta(0))
RULES = RuleSet(rules=(RULE,), grouping=AT_ONCE)
SCARE = "====-----=====----===="
"""A minute a letter: `-` a negative document, `=` a neutral one."""


def commit(database, run, timeline, first=0, partition=0):
    """Commit one document for each letter of the timeline, a minute each from `first` on."""
    part = Partition("topic", partition)
    moods = [(at(first + i), letter) for i, letter in enumerate(timeline) if letter != "."]
    documents = [
        Document(id=f"{partition}/{moment}", source="s", kind="news", published_at=moment, text="x")
        for moment, _ in moods
    ]
    with database.transaction() as connection:
        before = runs.read_checkpoints(connection, run.id).get(part)
        start = before.next_offset if before else 0
        newest = max(moment for moment, _ in moods)
        step = Advance(part, before and before.next_offset, Checkpoint(start + len(moods), newest))
        predictions = [predicted(letter) for _, letter in moods]
        commit_batch(
            connection, run.id, prepare_batch(ScoredBatch(documents, predictions, [], [step]))
        )


def predicted(letter):
    sure = {"negative": 0, "neutral": 0, "positive": 0}
    sure["negative" if letter == "-" else "neutral"] = 10_000
    return Prediction({"Macro": 10_000}, sure, "m", 1)


def register(database, run, *partitions):
    with database.transaction() as connection:
        runs.register_partitions(
            connection, run.id, [Partition("topic", number) for number in partitions]
        )


def last_moved(database, partition, moment):
    with database.transaction() as connection:
        connection.execute(
            update(checkpoints)
            .where(checkpoints.c.partition == partition)
            .values(updated_at=moment)
        )


def cursor(database, run):
    with database.transaction() as connection:
        return runs.find_run(connection, run.name).evaluated_until


def events(database, run):
    """What was recorded, as (minute, state, reason)."""
    table = alert_events.c
    statement = select(table.at, table.state, table.reason).where(table.run_id == run.id)
    with database.transaction() as connection:
        rows = connection.execute(statement.order_by(table.at, table.id)).all()
    return [((moment - NOON) // MINUTE, state, reason) for moment, state, reason in rows]


def told(database):
    with database.transaction() as connection:
        return connection.scalar(select(func.count()).select_from(outbox_table))


FIRES_TWICE = [
    (6, "firing", "beyond_threshold"),
    (11, "resolved", "cleared"),
    (16, "firing", "beyond_threshold"),
    (20, "resolved", "cleared"),
]


def test_a_scare_fires_and_resolves(database, run):
    commit(database, run, SCARE)
    seen = []
    alerter = Alerter(database, run, RULES, on_event=seen.append)

    assert alerter.advance(NOON) == 4
    assert events(database, run) == FIRES_TWICE
    assert [(e.at, e.state) for e in seen] == [(at(m), state) for m, state, _ in FIRES_TWICE]
    assert alerter.advance(NOON) == 0


@pytest.mark.parametrize(
    ("lateness", "newest", "expected"),
    [
        (MINUTE, [10], 9),
        (0 * MINUTE, [10], 10),
        (SECOND, [10], 9),
        (10 * MINUTE, [12], 2),
        (10 * MINUTE, [10], None),
        (MINUTE, [10, 6], 5),
        (MINUTE, [6, 10, 8], 5),
    ],
)
def test_the_watermark_is_the_least_newest_event_less_the_lateness(
    database, run, lateness, newest, expected
):
    for partition, minute in enumerate(newest):
        commit(database, run, "=" * (minute + 1), partition=partition)

    Alerter(database, run, RULES, lateness).advance(NOON)

    assert cursor(database, run) == (None if expected is None else at(expected))


def test_a_partition_without_records_holds_the_watermark_back(database, run):
    register(database, run, 1)
    commit(database, run, SCARE)
    alerter = Alerter(database, run, RULES)

    assert (alerter.advance(NOON), cursor(database, run)) == (0, None)

    with database.transaction() as connection:
        step = Advance(Partition("topic", 1), 0, Checkpoint(1, at(7)))
        commit_batch(connection, run.id, prepare_batch(ScoredBatch([], [], [], [step])))

    assert (alerter.advance(NOON), cursor(database, run)) == (1, at(6))


@pytest.mark.parametrize(
    ("silent", "expected"), [(5 * MINUTE - SECOND, None), (5 * MINUTE, at(20))]
)
def test_an_idle_partition_without_records_stops_holding_it_back(database, run, silent, expected):
    now = at(100)
    register(database, run, 1)
    commit(database, run, SCARE)
    last_moved(database, 0, now)
    last_moved(database, 1, now - silent)

    Alerter(database, run, RULES, idle=5 * MINUTE).advance(now)

    assert cursor(database, run) == expected


@pytest.mark.parametrize(
    ("silent", "expected"), [(5 * MINUTE - SECOND, at(3)), (5 * MINUTE, at(8)), (8 * MINUTE, at(9))]
)
def test_the_time_of_an_idle_partition_goes_on_from_its_newest_document(
    database, run, silent, expected
):
    now = at(1000)
    commit(database, run, "=" * 5)
    commit(database, run, "=" * 11, partition=1)
    last_moved(database, 0, now - silent)
    last_moved(database, 1, now)

    Alerter(database, run, RULES, idle=5 * MINUTE).advance(now)

    assert cursor(database, run) == expected


@pytest.mark.parametrize(
    ("newest", "silent", "idle", "expected"),
    [
        (at(5), 4, 5, at(5)),
        (at(5), 5, 5, at(10)),
        (at(5), 90, 5, at(95)),
        (at(5), 90, None, at(5)),
        (None, 90, 5, None),
        (None, 0, None, None),
    ],
)
def test_a_partition_has_reached_its_newest_document_and_goes_on_when_idle(
    newest, silent, idle, expected
):
    now = at(1000)
    allowed = None if idle is None else idle * MINUTE

    assert partition_time(newest, now - silent * MINUTE, now, allowed) == expected


@pytest.mark.parametrize(
    ("fields", "last"),
    [
        ({"no_data": NoData.OK}, (32, "resolved", "too_few_documents")),
        ({"no_data_after": 8 * MINUTE}, (35, "no_data", "no_documents")),
        ({"no_data_after": 9 * MINUTE}, (24, "firing", "beyond_threshold")),
        ({"no_data": NoData.KEEP}, (24, "firing", "beyond_threshold")),
    ],
)
def test_when_every_partition_is_idle_what_fires_ends_or_has_no_data(database, run, fields, last):
    now = at(1000)
    commit(database, run, SCARE + "-----")
    last_moved(database, 0, now - 10 * MINUTE)
    rules = RuleSet(rules=(replace(RULE, **fields),))

    Alerter(database, run, rules, idle=5 * MINUTE).advance(now)

    assert cursor(database, run) == at(35)
    assert events(database, run)[-1] == last


def test_a_replay_never_goes_by_the_clock(database, run):
    commit(database, run, SCARE)
    last_moved(database, 0, NOON)

    Alerter(database, run, RULES).advance(at(9_999))

    assert cursor(database, run) == at(20)


def test_finish_judges_to_the_last_document(database, run):
    commit(database, run, "===--")
    alerter = Alerter(database, run, RULES)

    assert (alerter.advance(NOON), cursor(database, run)) == (0, at(3))
    assert (alerter.advance(NOON, finish=True), cursor(database, run)) == (1, at(5))
    assert events(database, run) == [(5, "firing", "beyond_threshold")]


def test_finish_looks_past_partitions_without_records(database, run):
    register(database, run, 1)
    commit(database, run, "===--")

    assert Alerter(database, run, RULES).advance(NOON, finish=True) == 1


@pytest.mark.parametrize("finish", [False, True])
def test_an_empty_run_has_nothing_to_judge(database, run, finish):
    assert Alerter(database, run, RULES).advance(NOON, finish=finish) == 0
    assert cursor(database, run) is None


def test_state_outbox_and_cursor_move_together_or_not_at_all(database, run, monkeypatch):
    commit(database, run, SCARE)
    seen = []
    alerter = Alerter(database, run, RULES, notify=True, on_event=seen.append)

    def fail(connection, messages):
        raise OSError("cable pulled")

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "post", fail)
        with pytest.raises(OSError, match="cable pulled"):
            alerter.advance(NOON)

    with database.transaction() as connection:
        assert alertlog.read_states(connection, run.id) == []
    assert (cursor(database, run), events(database, run), told(database)) == (None, [], 0)
    assert seen == []

    assert alerter.advance(NOON) == 4
    assert (events(database, run), told(database)) == (FIRES_TWICE, 4)


def test_two_alerters_at_once_give_each_event_once(database, run):
    seen = []
    begin = Barrier(2)

    def work():
        alerter = Alerter(database, run, RULES, notify=True, on_event=seen.append)
        for _ in range(12):
            begin.wait()
            alerter.advance(NOON)
            begin.wait()

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(work) for _ in range(2)]
        for first in range(0, len(SCARE), 2):
            commit(database, run, SCARE[first : first + 2], first)
        for worker in workers:
            worker.result()
    Alerter(database, run, RULES, notify=True, on_event=seen.append).advance(NOON, finish=True)

    assert events(database, run) == FIRES_TWICE
    assert sorted((e.at, e.state) for e in seen) == [(at(m), s) for m, s, _ in FIRES_TWICE]
    assert told(database) == 4


@pytest.mark.parametrize("size", [1, 2, 5])
def test_events_do_not_depend_on_how_often_it_advances(database, run, size):
    often, once = open_run(database, "often"), open_run(database, "once")
    alerter = Alerter(database, often, RULES)
    for first in range(0, len(SCARE), size):
        commit(database, often, SCARE[first : first + size], first)
        alerter.advance(NOON)
    alerter.advance(NOON, finish=True)

    commit(database, once, SCARE)
    Alerter(database, once, RULES).advance(NOON, finish=True)

    assert events(database, often) == events(database, once) == FIRES_TWICE
    assert cursor(database, often) == cursor(database, once)


def test_a_long_replay_is_judged_in_steps_of_one_transaction_each(database, run, monkeypatch):
    commit(database, run, SCARE)
    monkeypatch.setattr(alerts.alerter, "LONGEST_STEP", 4 * MINUTE)

    assert Alerter(database, run, RULES).advance(NOON) == 4
    assert (events(database, run), cursor(database, run)) == (FIRES_TWICE, at(20))


def test_a_rule_that_was_removed_resolves(database, run):
    commit(database, run, "====-----")
    Alerter(database, run, RULES).advance(NOON)
    commit(database, run, "---", first=9)
    without = RuleSet(rules=())

    assert Alerter(database, run, without).advance(NOON) == 1

    with database.transaction() as connection:
        (alert,) = alertlog.read_alerts(connection, run.name)
        assert alertlog.read_states(connection, run.id) == []
    assert (alert.fired_at, alert.resolved_at) == (at(6), at(10))
    assert events(database, run)[-1] == (10, "resolved", "rule_removed")


def test_late_documents_do_not_rewrite_what_was_judged(database, run):
    commit(database, run, "=" * 12)
    alerter = Alerter(database, run, RULES)
    alerter.advance(NOON)

    commit(database, run, "---------.......=", partition=1)

    assert alerter.advance(NOON, finish=True) == 0


def test_nobody_is_told_unless_asked(database, run):
    commit(database, run, SCARE)

    Alerter(database, run, RULES).advance(NOON)

    assert (len(events(database, run)), told(database)) == (4, 0)


def test_pending_is_recorded_and_not_told(database, run):
    commit(database, run, SCARE)
    patient = RuleSet(rules=(ThresholdRule(
        name="patient", metric=Metric.NEGATIVE_SHARE, threshold=0.6, scope="all",
        window=3 * MINUTE, every=MINUTE, min_documents=2, for_duration=3 * MINUTE,
    ),), grouping=AT_ONCE)  # fmt: skip

    Alerter(database, run, patient, notify=True).advance(NOON)

    assert [state for _, state, _ in events(database, run)] == [
        "pending", "firing", "resolved", "pending", "firing", "resolved",
    ]  # fmt: skip
    assert told(database) == 4


def test_an_alert_goes_on_where_another_process_left_it(database, run):
    commit(database, run, SCARE[:8])
    Alerter(database, run, RULES).advance(NOON)
    commit(database, run, SCARE[8:], first=8)

    Alerter(database, run, RULES).advance(NOON)

    assert events(database, run) == FIRES_TWICE
