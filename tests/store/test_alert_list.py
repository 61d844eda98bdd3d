"""The list of alerts, and what it reads of a log that has grown for years."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from store.alert_list import read_list
from store.alertlog import (
    EventRow,
    StateRow,
    append_events,
    known_alerts,
    read_alerts,
    write_states,
)
from store.database import Database
from store.delivery_log import read_messages_of_alert
from store.runs import delete_run, open_run

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
END = datetime(2026, 3, 10, tzinfo=UTC)
GROW = """
insert into alert_events (run_id, rule, key, scope, at, previous, state, reason, severity,
    fired_at, value, documents, window_start, window_end)
select :run_id, 'rule' || n % 5, 'key' || n % 40, 'symbol', began + s * interval '20 minutes',
    case s when 0 then 'inactive' else 'firing' end,
    case s when 0 then 'firing' else 'resolved' end,
    'cleared', 5, began, 0.5, 9, began, began
from generate_series(0, 19999) n, generate_series(0, 1) s,
    lateral (select cast(:end as timestamptz) - (n + 1) * interval '50 minutes' began) b
"""
TELL = """
insert into notifications (run_id, rule, key, at, state, told, reason, receivers, event_id,
    recorded_at)
select run_id, rule, key, at, state, true, 'first_firing', '{desk}', id, at
from alert_events where run_id = :run_id
"""
POST = """
insert into outbox (id, event_id, receiver, payload, dedup_key, created_at)
select gen_random_uuid(), id, 'desk', jsonb_build_object('dedup_key', rule || key), rule || key, at
from alert_events where run_id = :run_id
"""


@pytest.fixture(scope="module")
def grown(postgres):
    """A database whose one run has 40,000 events of two years, all of them told."""
    with postgres.database() as url:
        database = Database(url)
        database.migrate()
        with database.transaction() as connection:
            run = open_run(connection, "live")
            for statement in (GROW, TELL, POST):
                connection.execute(text(statement), {"run_id": run.id, "end": END})
        with database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("analyze"))
        yield database, run
        database.close()


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        made = open_run(connection, "live")
    yield made
    with database.transaction() as connection:
        delete_run(connection, "live")


def change(key, hour, previous, state, fired=None, severity=5):
    at = END + hour * HOUR
    return EventRow(
        rule="mood", key=key, scope="symbol", at=at, previous=previous, state=state,
        reason="cleared", severity=severity, fired_at=None if fired is None else END + fired * HOUR,
        value=0.5, documents=9, window_start=at, window_end=at,
    )  # fmt: skip


def listed(database, run, since=None, limit=100):
    with database.transaction() as connection:
        rows = read_list(connection, run.id, since, limit)
    return [(row.key, row.state, hours(row.began_at), hours(row.ended_at)) for row in rows]


def hours(moment):
    return None if moment is None else (moment - END) / HOUR


def add(database, run, *events, states=()):
    with database.transaction() as connection:
        append_events(connection, run.id, events)
        write_states(connection, run.id, states, [])


def test_what_is_active_comes_first_whatever_the_span(database, run):
    add(
        database,
        run,
        change("old", -90, "inactive", "firing", -90),
        change("old", -80, "firing", "recovering", -90),
        change("over", 1, "inactive", "firing", 1),
        change("over", 2, "firing", "resolved", 1),
        states=[StateRow("mood", "old", "recovering", END - 80 * HOUR, END - 90 * HOUR)],
    )
    assert listed(database, run, END) == [
        ("old", "recovering", -90, None),
        ("over", "resolved", 1, 2),
    ]
    assert listed(database, run, END + 2 * HOUR) == [("old", "recovering", -90, None)]


def test_the_gravest_of_what_is_active_comes_first(database, run):
    for key, hour, severity in (("slight", 3, 2), ("grave", 1, 9), ("graver", 2, 9)):
        add(
            database,
            run,
            change(key, hour, "inactive", "firing", hour, severity),
            states=[StateRow("mood", key, "firing", END + hour * HOUR, END + hour * HOUR)],
        )
    assert [row[0] for row in listed(database, run)] == ["graver", "grave", "slight"]


def test_what_grew_graver_is_listed_as_grave_as_it_became(database, run):
    for key, hour, end in (("grew", 1, None), ("steady", 2, None), ("over", 3, 6)):
        began = change(key, hour, "inactive", "firing", hour, severity=4)
        grown = replace(change(key, 5, "firing", "firing", hour, severity=8), reason="graver")
        events = [began, grown] if key != "steady" else [began]
        if end is None:
            since = END + hour * HOUR
            add(database, run, *events, states=[StateRow("mood", key, "firing", since, since)])
        else:
            add(database, run, *events, change(key, end, "firing", "resolved", hour, severity=8))
    with database.transaction() as connection:
        rows = read_list(connection, run.id, None, 100)
        alerts = read_alerts(connection, "live")
    assert [(row.key, row.severity) for row in rows] == [("grew", 8), ("steady", 4), ("over", 8)]
    assert {alert.key: alert.severity for alert in alerts} == {"grew": 8, "steady": 4, "over": 8}


def test_what_is_pending_is_not_listed(database, run):
    add(
        database,
        run,
        change("soon", 1, "inactive", "pending"),
        states=[StateRow("mood", "soon", "pending", END + HOUR)],
    )
    assert listed(database, run) == []


def test_data_that_went_missing_begins_when_it_did(database, run):
    add(
        database,
        run,
        change("a", 1, "inactive", "no_data"),
        change("a", 3, "no_data", "resolved"),
        change("a", 7, "inactive", "pending"),
        change("a", 8, "pending", "error"),
        states=[StateRow("mood", "a", "error", END + 8 * HOUR)],
    )
    assert listed(database, run) == [("a", "error", 8, None), ("a", "resolved", 1, 3)]


def test_the_last_that_ended_are_listed_where_there_are_more(database, run):
    for hour in range(0, 10, 2):
        add(
            database,
            run,
            change("a", hour, "inactive", "firing", hour),
            change("a", hour + 1, "firing", "resolved", hour),
        )
    assert [row[2] for row in listed(database, run, limit=2)] == [8, 6]


def plans(database, ask):
    """What ``ask`` reads, and the plans of its statements."""
    found = []

    def explain(connection, _cursor, statement, parameters, *_):
        if statement.lstrip().lower().startswith(("select", "with")):
            driver = connection.connection.driver_connection
            rows = driver.execute(f"explain {statement}", parameters).fetchall()
            found.append("\n".join(row[0] for row in rows))

    event.listen(database.engine, "before_cursor_execute", explain)
    try:
        with database.engine.connect() as connection:
            return ask(connection), found
    finally:
        event.remove(database.engine, "before_cursor_execute", explain)


@pytest.mark.parametrize("since", [END - 7 * DAY, END - 30 * DAY, None])
def test_a_span_is_read_along_the_time(grown, since):
    database, run = grown
    rows, found = plans(database, lambda c: read_list(c, run.id, since, 1000))
    assert len(rows) == {7: 201, 30: 864}.get(since and (END - since).days, 1000)
    assert found
    for plan in found:
        assert "Seq Scan on alert_events" not in plan
        assert "events_by_time" in plan


def test_the_messages_of_an_alert_are_found_by_its_notifications(grown):
    database, run = grown
    rows, found = plans(
        database, lambda c: read_messages_of_alert(c, run.id, ("rule0", "key0"), "rule0key0")
    )
    assert len(rows) == 50
    assert {row.dedup_key for row in rows} == {"rule0key0"}
    for name in ("outbox", "notifications", "deliveries"):
        assert f"Seq Scan on {name}" not in found[0], found[0]


def test_the_alerts_of_a_run_are_known_without_reading_their_events(grown):
    database, run = grown
    rows, found = plans(database, lambda c: known_alerts(c, run.id))
    assert len(rows) == 40
    assert "Seq Scan" not in found[0]
    assert found[0].count("Limit") == 2
