"""Notifications on a real database: actions, silences, crashes, two alerters and odd clocks."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Barrier
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace
from sqlalchemy import select, update
from support.alerting import MINUTE, NOON, RULE, SCARE, at, commit_drawn, open_run

import alerts.alerter
import alerts.telling.notifying
from alerts import actions
from alerts.alerter import Alerter
from alerts.common.links import alert_id, alert_link
from alerts.rules.policies import Grouping, Inhibition, PipelinePolicy
from alerts.rules.routing import Maintenance, Route
from alerts.rules.ruleset import NoData, Receiver, RuleSet, SpikeRule
from store import runs
from store.alert_actions import read_acknowledged, read_actions
from store.alertlog import read_alerts
from store.digest import digest
from store.errors import AlertActionError
from store.notifications import read_notifications
from store.schema import alert_events, alert_tellings, checkpoints, outbox

RULES = RuleSet(rules=(RULE,), grouping=Grouping(interval=timedelta(0), repeat=5 * MINUTE))
FIRST, AGAIN = at(6), at(16)
"""When the two firings of the scare begin."""


def judge(database, run, rules=RULES, *, notify=True, **options):
    Alerter(database, run, rules, notify=notify, **options).advance(NOON, finish=True)


def do(database, run, what, *arguments):
    """Carry out an action on the run as it stands."""
    with database.transaction() as connection:
        return what(connection, runs.find_run(connection, run.name), *arguments)


def told(database, run, rule="mood"):
    """The log of notifications as (minute, told, reason), oldest first."""
    with database.transaction() as connection:
        rows = read_notifications(connection, run.id)
    return [
        ((row.at - NOON) // MINUTE, row.told, row.reason) for row in rows[::-1] if row.rule == rule
    ]


def messages(database):
    """What the outbox holds, as payloads in order of their causes."""
    statement = select(outbox.c.payload).order_by(outbox.c.event_id, outbox.c.created_at)
    with database.transaction() as connection:
        return list(connection.scalars(statement))


def everything(database, run):
    """What stands after a run is judged, apart from ids and wall-clock times."""
    leave = {"id", "run_id", "event_id", "recorded_at"}
    with database.transaction() as connection:
        rows = [
            [tuple(row) for row in connection.execute(
                select(*(c for c in table.c if c.name not in leave)).where(
                    table.c.run_id == run.id
                )
            )]
            for table in (alert_events, alert_tellings)
        ]  # fmt: skip
        log = [
            (n.at, n.rule, n.key, n.state, n.told, n.reason, n.detail, n.group_name, n.receivers)
            for n in read_notifications(connection, run.id)
        ]
        sent = sorted(connection.scalars(select(outbox.c.id)), key=str)
    return sorted(rows[0], key=repr), sorted(rows[1], key=repr), log, sent


UNDISTURBED = [
    (6, True, "first_firing"),
    (11, True, "resolved"),
    (16, True, "first_firing"),
    (20, True, "resolved"),
]


def test_every_notification_is_logged_with_its_reason(database, run):
    commit_drawn(database, run, SCARE)

    judge(database, run)

    assert told(database, run) == UNDISTURBED
    assert [(m["state"], m["notification"]) for m in messages(database)] == [
        ("firing", "first_firing"), ("resolved", "resolved"),
    ] * 2  # fmt: skip


def test_a_replay_tells_nobody_and_says_so(database, run):
    commit_drawn(database, run, SCARE)

    judge(database, run, notify=False)

    assert told(database, run) == [
        (minute, False, "replay_not_notified") for minute, *_ in UNDISTURBED
    ]
    assert messages(database) == []


def sent(database):
    """What the outbox holds, as (minute, state, receiver, why it is not sent)."""
    table = outbox.c
    statement = select(table.payload, table.receiver, table.reason).order_by(table.seq)
    with database.transaction() as connection:
        return [
            ((datetime.fromisoformat(row.payload["at"]) - NOON) // MINUTE,
             row.payload["state"], row.receiver, row.reason)
            for row in connection.execute(statement)
        ]  # fmt: skip


def test_routes_add_to_those_whom_a_group_is_told(database, run):
    desk, console = Receiver(name="desk", type="console"), Receiver(name="console", type="console")
    routes = (Route(receivers=("desk", "console"), min_severity=5),)
    rules = replace(RULES, receivers=(console, desk), routes=routes)
    commit_drawn(database, run, SCARE)

    judge(database, run, rules)

    assert sent(database) == [
        (minute, state, receiver, None)
        for minute, state in ((6, "firing"), (11, "resolved"), (16, "firing"), (20, "resolved"))
        for receiver in ("console", "desk")
    ]
    with database.transaction() as connection:
        assert {n.receivers for n in read_notifications(connection, run.id)} == {
            ("console", "desk")
        }


def test_a_spike_that_rises_is_told_anew_with_its_card_and_to_those_its_severity_leads_to(
    database, run
):
    usual = ("-" + "=" * 9) * 144
    spike = SpikeRule(
        name="spike", scope="symbol", window=30 * MINUTE, min_history=timedelta(days=2),
        history=timedelta(days=2), min_documents=3, min_texts=1, no_data=NoData.OK,
    )  # fmt: skip
    console, pager = (Receiver(name=name, type="console") for name in ("console", "pager"))
    routes = (Route(receivers=("pager",), min_severity=7),)
    rules = replace(
        RULES, rules=(spike,), receivers=(console, pager), routes=routes,
        grouping=Grouping(interval=timedelta(0)),
    )  # fmt: skip
    rising = "=" * 300 + "-" * 60
    commit_drawn(database, run, usual * 3 + rising + "=" * 120, symbols=("HUB",))

    judge(database, run, rules)

    by_receiver = defaultdict(list)
    for minute, state, receiver, _ in sent(database):
        by_receiver[receiver].append((minute - 3 * 1440, state))
    begun, *grown, ended = by_receiver["console"]
    assert [state for _, state in (begun, *grown, ended)] == [
        "firing", *["firing"] * len(grown), "resolved"]  # fmt: skip
    assert 300 < begun[0] < grown[-1][0] < 360 < ended[0]
    assert by_receiver["pager"] == [grown[-1], ended]

    firing = {m["at"]: m for m in messages(database) if m["state"] == "firing"}
    story = [firing[moment] for moment in sorted(firing)]
    assert [m["notification"] for m in story] == ["first_firing", *["graver"] * len(grown)]
    severities = [m["severity"] for m in story]
    assert all(later >= earlier + 2 for earlier, later in pairwise(severities))
    assert severities[-2] < 7 <= severities[-1]
    negative = [m["card"]["negative"] for m in story]
    assert negative == sorted(set(negative))


def test_maintenance_keeps_back_what_begins_and_repeats_in_it_and_nothing_else(database, run):
    window = Maintenance(name="night", start=at(5), end=at(17), rule="mo*")
    rules = replace(RULES, maintenance=(window,))
    commit_drawn(database, run, "====" + 20 * "-")

    judge(database, run, rules)

    night = "maintenance:night"
    assert sent(database) == [
        (6, "firing", "console", night),
        (6, "firing", "console", night),
        (6, "firing", "console", night),
        (6, "firing", "console", None),
    ]
    assert [minute for minute, *_ in told(database, run)] == [6, 11, 16, 21]


def test_an_acknowledged_alert_is_quiet_until_it_ends_and_tells_again_when_it_comes_back(
    database, run
):
    commit_drawn(database, run, "====" + 8 * "-")
    judge(database, run)
    done = do(database, run, actions.acknowledge, "mood", None, "ann", "looking at it")
    commit_drawn(database, run, 4 * "-" + 6 * "=" + 8 * "-", first=12)
    judge(database, run)

    assert told(database, run) == [
        (6, True, "first_firing"),
        (11, True, "repeat"),
        (12, False, "acknowledged"),
        (16, False, "acknowledged"),
        (18, True, "resolved"),
        (24, True, "first_firing"),
        (29, True, "repeat"),
    ]
    assert (done.began_at, done.author) == (at(6), "ann")
    with database.transaction() as connection:
        (kept,) = read_actions(connection, run.id)
        assert read_acknowledged(connection, run.id) == {("mood", "", at(6))}
    assert (kept.action, kept.comment, kept.at.tzinfo is not None) == (
        "acknowledge", "looking at it", True,
    )  # fmt: skip


def test_what_is_unacknowledged_is_repeated_again(database, run):
    commit_drawn(database, run, "====" + 5 * "-")
    judge(database, run)
    do(database, run, actions.acknowledge, "mood", None, "ann", None)
    do(database, run, actions.unacknowledge, "mood", None, "bob", "too soon")
    commit_drawn(database, run, 4 * "-", first=9)
    judge(database, run)

    assert told(database, run) == [(6, True, "first_firing"), (11, True, "repeat")]


@pytest.mark.parametrize(
    ("action", "arguments", "message"),
    [
        (actions.acknowledge, ("mood", None, "ann", None), "not active"),
        (actions.acknowledge, ("mood", "k", "ann", None), "mood has ''"),
        (actions.acknowledge, ("mod", None, "ann", None), "no alert 'mod'"),
        (actions.unacknowledge, ("mood", None, "ann", None), "not active"),
        (actions.comment_on, ("mood", None, "ann", " "), "says something"),
        (actions.comment_on, ("mood", None, " ", "x"), "say who"),
        (actions.comment_on, ("mood", None, "ann", "x" * 2001), "over 2000"),
        (actions.expire_silence, (7, NOON, "ann", None), "no silence 7"),
    ],
)
def test_an_action_that_cannot_be_taken_says_what_to_do(database, run, action, arguments, message):
    commit_drawn(database, run, SCARE)
    judge(database, run)

    with pytest.raises(AlertActionError, match=message):
        do(database, run, action, *arguments)
    with database.transaction() as connection:
        assert read_actions(connection, run.id) == []


def test_an_alert_is_found_by_its_id(database, run):
    commit_drawn(database, run, SCARE)
    judge(database, run)
    name = alert_id("live", "mood", "")

    found = do(database, run, actions.find_alert, name, None)

    assert (found, len(name)) == (("mood", ""), 12)


def silence(database, run, start, end, **matchers):
    span = (at(start), at(end))
    return do(
        database, run, actions.silence_now, matchers or {"rule": "mood"}, span, "ann", "works"
    )


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0, 6), UNDISTURBED),
        ((0, 7), [(6, False, "silenced"), (7, True, "first_firing"), *UNDISTURBED[1:]]),
        ((0, 12), [(6, False, "silenced"), (11, False, "never_told"), *UNDISTURBED[2:]]),
        ((7, 15), [
            UNDISTURBED[0], (7, False, "silenced"), (15, True, "resolved"), *UNDISTURBED[2:]]),
        ((21, 30), UNDISTURBED),
    ],
)  # fmt: skip
def test_a_silence_holds_back_and_what_still_fires_at_its_end_is_told(
    database, run, span, expected
):
    silence(database, run, *span)
    commit_drawn(database, run, SCARE)

    judge(database, run)

    assert told(database, run) == expected


def test_a_silence_that_is_ended_early_ends_with_the_next_grid_point(database, run):
    kept = silence(database, run, 0, 600)
    commit_drawn(database, run, "====---")
    judge(database, run)
    do(database, run, actions.expire_silence, kept.id, at(300), "ann", "done")
    commit_drawn(database, run, "--", first=7)
    judge(database, run)

    assert told(database, run) == [(6, False, "silenced"), (7, True, "first_firing")]
    view = do(database, run, actions.view_alert, "mood", None)
    assert (view.state, view.silenced_by, view.told_state) == ("firing", None, "firing")
    with database.transaction() as connection:
        assert [a.action for a in read_actions(connection, run.id)] == ["expire", "silence"]


def test_actions_change_no_event(database, run):
    commit_drawn(database, run, SCARE[:8])
    judge(database, run)
    do(database, run, actions.acknowledge, "mood", None, "ann", None)
    silence(database, run, 8, 18)
    commit_drawn(database, run, SCARE[8:], first=8)
    judge(database, run)
    other = open_run(database, "other")
    commit_drawn(database, other, SCARE)
    judge(database, other, notify=False)

    with database.transaction() as connection:
        acted, calm = digest(connection, run.id), digest(connection, other.id)
    assert acted == calm


@pytest.mark.parametrize("size", [1, 2, 5, 23])
@pytest.mark.parametrize("longest", [MINUTE, 14 * 24 * 60 * MINUTE])
def test_notifications_do_not_depend_on_batches_or_steps(database, run, monkeypatch, size, longest):
    rules = replace(RULES, grouping=Grouping(interval=3 * MINUTE, repeat=2 * MINUTE))
    once = open_run(database, "once")
    commit_drawn(database, once, SCARE)
    judge(database, once, rules, notify=False)

    monkeypatch.setattr(alerts.alerter, "LONGEST_STEP", longest)
    alerter = Alerter(database, run, rules)
    for first in range(0, len(SCARE), size):
        commit_drawn(database, run, SCARE[first : first + size], first)
        alerter.advance(NOON)
    alerter.advance(NOON, finish=True)

    assert everything(database, run) == everything(database, once)
    assert len(told(database, run)) > 4


STEPS = [
    (alerts.alerter, "write_standings"),
    (alerts.alerter.alertlog, "append_events"),
    (alerts.telling.notifying, "write_tellings"),
    (alerts.telling.notifying, "write_groups"),
    (alerts.telling.notifying, "append_notifications"),
    (alerts.telling.notifying.outbox, "post"),
    (alerts.alerter.alertlog, "move_cursor"),
]


@pytest.mark.parametrize(("module", "name"), STEPS, ids=[name for _, name in STEPS])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_crash_after_any_write_of_any_step_loses_and_repeats_nothing(
    database, run, monkeypatch, module, name, after
):
    commit_drawn(database, run, SCARE)
    monkeypatch.setattr(alerts.alerter, "LONGEST_STEP", 4 * MINUTE)
    real, calls = getattr(module, name), []

    def dies(*arguments):
        result = real(*arguments)
        calls.append(name)
        if len(calls) == after + 1:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patched:
        patched.setattr(module, name, dies)
        with pytest.raises(KeyboardInterrupt):
            judge(database, run)
    judge(database, run)

    assert told(database, run) == UNDISTURBED
    assert len(messages(database)) == 4


def test_two_alerters_by_mistake_tell_everything_once(database, run):
    begin = Barrier(2)

    def work():
        alerter = Alerter(database, run, RULES, notify=True)
        for _ in range(12):
            begin.wait()
            alerter.advance(NOON)
            begin.wait()

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(work) for _ in range(2)]
        for first in range(0, len(SCARE), 2):
            commit_drawn(database, run, SCARE[first : first + 2], first)
        for worker in workers:
            worker.result()
    judge(database, run)

    assert told(database, run) == UNDISTURBED
    assert len(messages(database)) == 4


def test_alerts_of_a_group_are_told_in_one_message(database, run):
    rule = replace(RULE, scope="symbol")
    commit_drawn(database, run, SCARE, symbols=("A", "B"))

    judge(database, run, replace(RULES, rules=(rule,)))

    first = messages(database)[0]
    assert [(a["key"], a["state"]) for a in first["alerts"]] == [("A", "firing"), ("B", "firing")]
    assert (first["type"], first["key"], len(messages(database))) == ("alert.firing", "A", 4)
    assert first["summary"].startswith("2 alerts: ")


def test_an_alert_has_the_messages_that_tell_of_it_alone_or_among_others(database, run):
    rule = replace(RULE, scope="symbol", receivers=("console", "desk"))
    receivers = (Receiver(name="console", type="console"), Receiver(name="desk", type="console"))
    commit_drawn(database, run, SCARE, symbols=("A", "B"))
    commit_drawn(database, run, "====-----====", len(SCARE), symbols=("B",))
    judge(database, run, replace(RULES, rules=(rule,), receivers=receivers))

    def seen(key):
        view = do(database, run, actions.view_alert, "mood", key)
        assert {m.receiver for m in view.messages} == {"console", "desk"}
        alone = [m for m in view.messages if "alerts" not in m.payload]
        return len(view.messages), len(alone)

    # Both begin and end twice together; B once more.
    assert seen("A") == (8, 0)
    assert seen("B") == (12, 4)


def test_each_message_has_a_link_to_its_alert_where_the_rules_say_where(database, run):
    rule = replace(RULE, scope="symbol")
    commit_drawn(database, run, SCARE, symbols=("A", "B"))
    where = "https://tapewatch.example.com"
    judge(database, run, replace(RULES, rules=(rule,), dashboard=where))

    for message in messages(database):
        assert message["link"] == alert_link(where, "live", "mood", message["key"])
        assert [told["link"] for told in message["alerts"]] == [
            alert_link(where, "live", "mood", key) for key in ("A", "B")
        ]
        for told in message["alerts"]:
            subject = parse_qs(urlsplit(told["subject_link"]).query)
            assert subject["subject"] == [f"symbol:{told['key']}"]
            assert subject["until"][0] > message["at"]


def test_without_an_address_of_the_dashboard_there_is_no_link(database, run):
    commit_drawn(database, run, SCARE)
    judge(database, run)
    assert not [
        message for message in messages(database) if {"link", "subject_link"} & message.keys()
    ]


def test_the_alert_of_everything_mutes_those_of_its_parts(database, run):
    parts = replace(RULE, name="parts", scope="symbol")
    inhibit = Inhibition(source={"rule": "mood"}, target={"rule": "parts"})
    commit_drawn(database, run, SCARE, symbols=("A",))

    judge(database, run, replace(RULES, rules=(RULE, parts), inhibit=(inhibit,)))

    assert told(database, run) == UNDISTURBED
    assert told(database, run, "parts") == [
        (6, False, "inhibited"),
        (11, False, "never_told"),
        (16, False, "inhibited"),
        (20, False, "never_told"),
    ]


def test_no_data_is_told_and_ends_when_documents_are_back(database, run):
    rules = replace(RULES, rules=(replace(RULE, no_data_after=4 * MINUTE),))
    commit_drawn(database, run, "=====......===")

    judge(database, run, rules)

    assert told(database, run) == [(9, True, "first_firing"), (12, True, "resolved")]
    assert [m["type"] for m in messages(database)] == ["alert.no_data", "alert.resolved"]


def test_a_firing_that_loses_its_data_is_one_firing(database, run):
    rules = replace(RULES, rules=(replace(RULE, no_data_after=4 * MINUTE),))
    commit_drawn(database, run, "=-----......---===")

    judge(database, run, rules)

    with database.transaction() as connection:
        (alert,) = read_alerts(connection, run.name)
    assert (alert.fired_at, alert.resolved_at) == (at(3), at(17))
    news = [m["type"] for m in messages(database) if m["notification"] != "repeat"]
    assert news == [
        "alert.firing", "alert.no_data", "alert.firing", "alert.resolved",
    ]  # fmt: skip


def moved(database, moment):
    with database.transaction() as connection:
        connection.execute(update(checkpoints).values(updated_at=moment))


def pipeline(database, run):
    return [(told_, reason) for _, told_, reason in told(database, run, "@pipeline")]


def states(database, run):
    with database.transaction() as connection:
        statement = select(alert_events.c.state).where(
            alert_events.c.run_id == run.id, alert_events.c.scope == "pipeline"
        )
        return list(connection.scalars(statement.order_by(alert_events.c.id)))


def live(database, run, now, rules=RULES):
    Alerter(database, run, rules, idle=MINUTE, notify=True).advance(now)


def test_a_stalled_worker_is_told_once_and_when_it_moves_again(database, run):
    commit_drawn(database, run, 60 * "=")
    moved(database, at(60))
    calm = replace(RULES, rules=())

    for minute in (79, 80, 81, 90):
        live(database, run, at(minute), calm)
    commit_drawn(database, run, 30 * "=", first=60)
    moved(database, at(90))
    live(database, run, at(90), calm)
    live(database, run, at(91), calm)

    assert states(database, run) == ["stalled", "current"]
    assert pipeline(database, run) == [(True, "pipeline_changed")] * 2
    assert [m["type"] for m in messages(database)] == ["pipeline.stalled", "pipeline.current"]


@pytest.mark.parametrize(
    ("documents", "minute", "expected"),
    [(60, 79, []), (60, 80, ["stalled"]), (4, 359, []), (4, 360, ["stalled"])],
)
def test_a_quiet_feed_is_stalled_only_once_documents_are_missing(
    database, run, documents, minute, expected
):
    commit_drawn(database, run, documents * "=" + (60 - documents) * ".")
    moved(database, at(60))

    live(database, run, at(minute), replace(RULES, rules=()))

    assert states(database, run) == expected


@pytest.mark.parametrize(("behind", "expected"), [(14, []), (15, ["lagging"])])
def test_a_backlog_is_lagging(database, run, behind, expected):
    commit_drawn(database, run, "===")  # the watermark is at minute 1
    moved(database, at(1 + behind))

    live(database, run, at(1 + behind))

    assert states(database, run) == expected


def test_the_pipeline_has_its_own_receivers_or_none(database, run):
    commit_drawn(database, run, "===")
    moved(database, at(60))
    hooks = (Receiver(name="hook", type="webhook", url="http://localhost/"),)
    nobody = replace(RULES, rules=(), receivers=hooks)

    live(database, run, at(60), nobody)
    moved(database, at(100))
    named = replace(
        nobody, pipeline=PipelinePolicy(lagging_after=9 * 60 * MINUTE, receivers=("hook",))
    )
    live(database, run, at(100), named)

    assert pipeline(database, run) == [(False, "no_receivers"), (True, "pipeline_changed")]


def test_a_clock_that_is_set_back_takes_nothing_back(database, run):
    commit_drawn(database, run, SCARE)
    moved(database, at(23))
    rules = replace(RULES, rules=(replace(RULE, no_data=NoData.OK),))
    live(database, run, at(40), rules)
    before = (everything(database, run), runs_cursor(database, run))

    live(database, run, at(-600), rules)
    live(database, run, at(30), rules)

    assert (everything(database, run), runs_cursor(database, run)) == before
    live(database, run, at(50), rules)
    assert runs_cursor(database, run) > before[1]


def runs_cursor(database, run):
    with database.transaction() as connection:
        return runs.find_run(connection, run.name).evaluated_until


def test_states_of_the_pipeline_are_not_in_the_digest(database, run):
    commit_drawn(database, run, "===")
    with database.transaction() as connection:
        before = digest(connection, run.id)
    moved(database, at(60))

    live(database, run, at(60), replace(RULES, rules=()))

    with database.transaction() as connection:
        assert digest(connection, run.id) == before
    assert states(database, run) == ["lagging"]
