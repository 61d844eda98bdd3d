import re
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Barrier
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import delete, select
from standardwebhooks import Webhook as Verifier
from support.hooks import Reply, hook_server

from alerts.common.fields import Secret
from alerts.receivers.channels import Console, Webhook
from alerts.receivers.delivery import FIRST_PAUSE, LONGEST_PAUSE, DeliveryError, pause
from alerts.rules.routing import Maintenance
from alerts.rules.ruleset import Metric, Receiver, RuleSet, ThresholdRule
from alerts.sending.sender import Sender
from alerts.telling.messages import messages_for
from store import alertlog, delivery_log, outbox, receivers, runs
from store.alertlog import EventRow
from store.schema import deliveries
from store.schema import outbox as outbox_table
from store.schema import receivers as receivers_table

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        opened = runs.open_run(connection, "live")
    yield opened
    with database.transaction() as connection:
        runs.delete_run(connection, "live")
        connection.execute(delete(receivers_table))


@pytest.fixture
def hook():
    with hook_server() as running:
        yield running


def rules_for(url, **fields):
    rule = ThresholdRule(name="mood", metric=Metric.DOCUMENTS, threshold=1, receivers=("hook",))
    return RuleSet(
        rules=(rule,), receivers=(Receiver(name="hook", type="webhook", url=url, **fields),)
    )


def console_rules():
    rule = ThresholdRule(name="mood", metric=Metric.DOCUMENTS, threshold=1, receivers=("console",))
    return RuleSet(rules=(rule,))


def event(minute=0, state="firing", key="Macro"):
    at = NOON + minute * MINUTE
    return EventRow(
        rule="mood", key=key, scope="topic", at=at, previous="inactive", state=state,
        reason="beyond_threshold", severity=7, fired_at=at, value=0.75, documents=8,
        window_start=at - MINUTE, window_end=at,
    )  # fmt: skip


def post(database, run, rules, *events):
    """Put the events' messages into the outbox, all made and due at noon."""
    with database.transaction() as connection:
        ids = alertlog.append_events(connection, run.id, events)
        for event_id, happened in zip(ids, events, strict=True):
            outbox.post(connection, messages_for(event_id, happened, "live", rules), NOON)


class Wholly(Random):
    """Leaves nothing out of a pause."""

    def random(self):
        return 0.0


def standing_still():
    return 0.0


def send(database, rules, now):
    with closing(Sender(database, rules, Wholly(), standing_still)) as sender:
        return sender.send_due(now)


def statuses(database):
    with database.transaction() as connection:
        return outbox.count_by_status(connection)


def statuses_of(database, receiver):
    with database.transaction() as connection:
        return delivery_log.count_by_receiver(connection).get(receiver)


def log(database):
    """The delivery log: (attempt, outcome, detail, when) in order."""
    table = deliveries.c
    columns = (table.attempt, table.outcome, table.detail, table.at)
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(table.id))]


def next_attempt(database):
    with database.transaction() as connection:
        return connection.scalar(select(outbox_table.c.next_attempt_at))


def refused_url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.server_close()
    return f"http://127.0.0.1:{server.server_port}/"


def test_a_message_is_delivered_once(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event())

    assert send(database, rules, NOON) == 1
    assert send(database, rules, NOON + 100 * MINUTE) == 0

    assert statuses(database) == {"delivered": 1}
    assert log(database) == [(1, "delivered", "answered 204", NOON)]
    assert len(hook.posts) == 1


def test_the_payload_says_what_happened_as_json(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event())
    send(database, rules, NOON)

    (sent,) = hook.posts
    headers, body = sent.headers, sent.body

    assert headers["content-type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f]{64}", body.pop("dedup_key"))
    assert body.pop("summary") == (
        "2026-03-10 12:00 UTC FIRING mood: Macro, value 0.75, 8 documents, severity 7 "
        "(beyond_threshold)"
    )
    assert body == {
        "type": "alert.firing",
        "run": "live",
        "rule": "mood",
        "scope": "topic",
        "key": "Macro",
        "severity": 7,
        "state": "firing",
        "reason": "beyond_threshold",
        "notification": "first_firing",
        "value": 0.75,
        "documents": 8,
        "at": "2026-03-10T12:00:00+00:00",
        "fired_at": "2026-03-10T12:00:00+00:00",
        "window_start": "2026-03-10T11:59:00+00:00",
        "window_end": "2026-03-10T12:00:00+00:00",
    }


def test_a_message_is_not_sent_before_it_is_due(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event())

    assert send(database, rules, NOON - SECOND) == 0
    assert send(database, rules, NOON) == 1


def test_a_failure_is_tried_again_with_growing_pauses_under_the_same_id(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event())
    hook.answer(500, 503, 404)
    times = [NOON, NOON + 5 * SECOND, NOON + 15 * SECOND, NOON + 35 * SECOND]

    for now in times:
        assert send(database, rules, now - SECOND) == 0
        assert send(database, rules, now) == 1

    assert statuses(database) == {"delivered": 1}
    assert log(database) == [
        (1, "failed", "answered 500", times[0]),
        (2, "failed", "answered 503", times[1]),
        (3, "failed", "answered 404", times[2]),
        (4, "delivered", "answered 204", times[3]),
    ]
    assert len(set(hook.ids)) == 1
    assert UUID(hook.ids[0])


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 5), (1, 10), (2, 20), (6, 320), (7, 600), (8, 600), (10_000, 600)]
)
def test_the_pause_doubles_up_to_ten_minutes(attempts, seconds):
    assert pause(attempts, Wholly()) == seconds * SECOND
    assert FIRST_PAUSE <= pause(attempts, Wholly()) <= LONGEST_PAUSE


def test_a_redirect_is_no_success_and_is_not_followed(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event())
    hook.answer(302)

    send(database, rules, NOON)

    assert log(database) == [(1, "failed", "answered 302", NOON)]
    assert len(hook.posts) == 1


def test_a_refused_connection_is_tried_again(database, run):
    rules = rules_for(refused_url())
    post(database, run, rules, event())

    assert send(database, rules, NOON) == 1

    ((attempt, outcome, detail, _),) = log(database)
    assert (attempt, outcome) == (1, "failed")
    assert detail.startswith("ConnectError: ")
    assert (statuses(database), next_attempt(database)) == ({"pending": 1}, NOON + FIRST_PAUSE)


@pytest.mark.parametrize(
    ("age", "status", "outcome"),
    [(10 * MINUTE - SECOND, "pending", "failed"), (10 * MINUTE, "dead", "dead")],
)
def test_a_message_is_given_up_after_its_time(database, run, hook, age, status, outcome):
    rules = rules_for(hook.url, give_up_after=10 * MINUTE)
    post(database, run, rules, event())
    hook.answer(500, 500)

    send(database, rules, NOON + age)

    assert statuses_of(database, "hook") == {status: 1}
    assert log(database)[0] == (1, outcome, "answered 500", NOON + age)


def test_a_dead_message_is_left_alone(database, run, hook):
    rules = rules_for(hook.url, give_up_after=0 * MINUTE)
    post(database, run, rules, event())
    hook.answer(500)
    send(database, rules, NOON)

    assert send(database, rules, NOON + 9_999 * MINUTE) == 0
    assert len(hook.posts) == 1


def test_a_message_for_a_receiver_no_longer_named_is_dead(database, run, hook):
    post(database, run, rules_for(hook.url), event())

    send(database, console_rules(), NOON)

    assert statuses_of(database, "hook") == {"dead": 1}
    assert log(database)[0] == (0, "dead", "the rules name no such receiver any more", NOON)


@pytest.mark.parametrize("url", ["http://127.0.0.1:port/", "http://[::1", "http://pager..test/"])
def test_an_address_that_cannot_be_called_does_not_hold_up_the_others(database, run, hook, url):
    broken = Receiver(name="broken", type="webhook", url=url)
    good = rules_for(hook.url)
    rules = RuleSet(
        rules=(msgspec.structs.replace(good.rules[0], receivers=("broken", "hook")),),
        receivers=(broken, *good.receivers),
    )
    post(database, run, rules, event())

    send(database, rules, NOON)

    assert len(hook.posts) == 1
    assert statuses(database) == {"pending": 1, "delivered": 1}


def test_messages_go_out_in_the_order_of_their_events(database, run, hook):
    rules = rules_for(hook.url)
    happened = [event(minute, state) for minute in range(5) for state in ("firing", "resolved")]
    post(database, run, rules, *happened)

    assert send(database, rules, NOON) == 10

    said = [(body["at"], body["state"]) for body in (sent.body for sent in hook.posts)]
    assert said == [(e.at.isoformat(), e.state) for e in happened]


def test_one_failing_message_does_not_hold_up_those_of_other_alerts(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event(key="Macro"), event(1, key="Energy"))
    hook.answer(500)

    assert send(database, rules, NOON) == 2
    assert statuses(database) == {"pending": 1, "delivered": 1}


def test_a_failing_message_holds_back_what_is_told_later_of_its_alert(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event(0), event(1, "resolved"), event(2), event(key="Energy"))
    hook.answer(500)

    assert send(database, rules, NOON) == 2
    assert told(hook) == [("Macro", "firing"), ("Energy", "firing")]

    assert send(database, rules, NOON + 5 * SECOND) == 3
    assert told(hook)[2:] == [("Macro", "firing"), ("Macro", "resolved"), ("Macro", "firing")]
    assert statuses(database) == {"delivered": 4}


@pytest.mark.parametrize("number", [1, 2])
def test_a_receiver_that_is_away_is_asked_by_one_message_at_a_time(database, run, number):
    rules = rules_for(refused_url())
    post(database, run, rules, *(event(key=f"K{n}") for n in range(20)))
    for failures in range(number - 1):
        send(database, rules, NOON + failures * 5 * SECOND)
    now = NOON + (number - 1) * 5 * SECOND

    assert send(database, rules, now) == 1
    assert send(database, rules, now + number * 5 * SECOND - SECOND) == 0
    assert statuses(database) == {"pending": 20}


def test_ten_failures_in_a_row_are_the_receivers(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, *(event(key=f"K{n}") for n in range(30)))
    hook.decide = lambda _: Reply(500)

    asked = []
    for seconds in (0, 4, 5, 14, 15):
        hook.posts.clear()
        send(database, rules, NOON + seconds * SECOND)
        asked.append(len(hook.posts))

    assert asked == [10, 0, 10, 0, 10]


def test_messages_that_a_receiver_cannot_take_do_not_stop_the_others_for_long(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, *(event(key=f"K{n}") for n in range(40)))
    hook.decide = lambda sent: Reply(400 if int(sent.body["key"][1:]) < 25 else 204)

    for seconds in range(0, 20, 5):
        send(database, rules, NOON + seconds * SECOND)

    assert statuses(database) == {"pending": 25, "delivered": 15}


def test_a_success_ends_a_row_of_failures(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, *(event(key=f"K{n}") for n in range(20)))
    hook.answer(*[500] * 9, 204, *[500] * 9, 204)

    assert send(database, rules, NOON) == 20


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_time_gets_it_for_all_messages(database, run, hook, status):
    rules = rules_for(hook.url)
    post(database, run, rules, event(key="Macro"), event(key="Energy"))
    hook.replies = [Reply(status, {"retry-after": "120"})]

    assert send(database, rules, NOON) == 1
    assert send(database, rules, NOON + 120 * SECOND - SECOND) == 0
    assert send(database, rules, NOON + 120 * SECOND) == 2
    assert statuses(database) == {"delivered": 2}


def test_a_receiver_that_answers_again_is_held_back_no_longer(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event(0), event(1), event(2))
    hook.answer(429, 429, 204, 429)

    for now in (NOON, NOON + 5 * SECOND, NOON + 15 * SECOND):
        send(database, rules, now)

    with database.transaction() as connection:
        state = receivers.read_receiver(connection, "hook")
    assert (state.failures, state.held_until) == (1, NOON + 20 * SECOND)


def test_a_clock_that_steps_back_holds_nothing_back_for_long(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event())
    hook.replies = [Reply(429, {"retry-after": "60"})]
    send(database, rules, NOON + 5 * 60 * MINUTE)

    assert send(database, rules, NOON) == 1
    assert statuses(database) == {"delivered": 1}


def gone(database, run, rules, hook, *events):
    """A receiver that has answered 410 to the first of the events."""
    post(database, run, rules, *events)
    hook.answer(410)
    return send(database, rules, NOON)


def test_gone_disables_the_receiver_and_says_when_and_why(database, run, hook, capsys):
    rules = rules_for(hook.url)

    gone(database, run, rules, hook, event(key="Macro"), event(key="Energy"))

    assert len(hook.posts) == 1
    assert statuses_of(database, "hook") == {"dead": 2}
    with database.transaction() as connection:
        state = receivers.read_receiver(connection, "hook")
    assert (state.disabled_at, state.reason, state.detail) == (NOON, "gone", "answered 410")
    told_instead = [line for line in capsys.readouterr().out.splitlines() if "UNDELIVERED" in line]
    assert ["Macro" in line for line in told_instead] == [True, False]
    assert all("receivers enable hook" in line for line in told_instead)


def test_a_disabled_receiver_gets_nothing_until_it_is_enabled(database, run, hook):
    rules = rules_for(hook.url)
    gone(database, run, rules, hook, event())
    post(database, run, rules, event(1))
    send(database, rules, NOON)

    with database.transaction() as connection:
        before = receivers.enable(connection, "hook")
    post(database, run, rules, event(2))
    send(database, rules, NOON)

    assert before.disabled_at == NOON
    assert [post.body["at"] for post in hook.posts] == [
        e.at.isoformat() for e in (event(0), event(2))
    ]
    assert statuses_of(database, "hook") == {"dead": 2, "delivered": 1}


def with_fallback(hook, other, **fields):
    """Rules by which ``desk`` is told where ``hook`` fails, and the other way round."""
    rules = rules_for(hook.url, on_failure=("desk",), **fields)
    desk = Receiver(
        name="desk", type="webhook", url=other.url, on_failure=("hook",), give_up_after=0 * SECOND
    )
    return msgspec.structs.replace(rules, receivers=(*rules.receivers, desk))


def test_what_is_dead_is_told_to_others(database, run, hook):
    with hook_server() as other:
        rules = with_fallback(hook, other, give_up_after=0 * SECOND)
        post(database, run, rules, event())
        hook.answer(500)
        send(database, rules, NOON)

    (notice,) = other.posts
    assert (notice.body["type"], notice.body["receiver"]) == ("delivery.dead", "hook")
    assert (notice.body["reason"], notice.body["count"]) == ("server_error", 1)
    assert "FIRING mood: Macro" in notice.body["summary"]
    assert [message["id"] for message in notice.body["messages"]] == hook.ids


def test_a_notice_that_dies_goes_round_in_no_circle(database, run, hook):
    with hook_server() as other:
        rules = with_fallback(hook, other, give_up_after=0 * SECOND)
        post(database, run, rules, event())
        hook.decide = other.decide = lambda _: Reply(500)
        for hours in range(30):
            send(database, rules, NOON + timedelta(hours=hours))

    assert (len(hook.posts), len(other.posts)) == (1, 1)
    assert statuses(database) == {"dead": 2}


def test_a_receiver_that_was_away_too_long_loses_its_old_messages_at_once(database, run, capsys):
    rules = rules_for(refused_url(), give_up_after=60 * MINUTE)
    post(database, run, rules, *(event(key=f"K{n}") for n in range(20)))

    send(database, rules, NOON + 60 * MINUTE)

    assert statuses_of(database, "hook") == {"dead": 20}
    (notice,) = [line for line in capsys.readouterr().out.splitlines() if "UNDELIVERED" in line]
    assert "hook was not told 20 messages (unreachable)" in notice


def test_a_slow_receiver_holds_back_no_other(database, run, hook):
    with hook_server() as slow:
        good = rules_for(hook.url)
        rules = msgspec.structs.replace(
            good,
            rules=(msgspec.structs.replace(good.rules[0], receivers=("slow", "hook")),),
            receivers=(Receiver(name="slow", type="webhook", url=slow.url), *good.receivers),
        )
        post(database, run, rules, event(0), event(1))
        with closing(Sender(database, rules, Wholly(), standing_still)) as sender:
            with slow.lock:
                assert sender.send_due(NOON, patience=1.0) == 2
                assert len(hook.posts) == 2
                post(database, run, rules, event(2))
                assert sender.send_due(NOON, patience=1.0) == 1
                assert len(hook.posts) == 3
            assert sender.send_due(NOON) == 3
    assert statuses(database) == {"delivered": 6}


def test_a_message_that_breaks_our_own_code_does_not_stop_the_others(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event(key="Macro"), event(key="Energy"))

    with closing(Sender(database, rules, Wholly(), standing_still)) as sender:
        channel = sender._channels["hook"]
        deliver = channel.deliver

        def breaks(message, now):
            if message.payload["key"] == "Macro":
                raise KeyError("summary")
            return deliver(message, now)

        channel.deliver = breaks
        sender.send_due(NOON)

    assert log(database)[0] == (1, "failed", "KeyError: 'summary'", NOON)
    assert told(hook) == [("Energy", "firing")]


def told(hook):
    """What the hook was told: (key, state) in order."""
    return [(post.body["key"], post.body["state"]) for post in hook.posts]


def test_firing_and_resolution_share_a_dedup_key_and_alerts_do_not(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event(0), event(1, "resolved"), event(2), event(key="Energy"))
    send(database, rules, NOON)

    keys = [post.body["dedup_key"] for post in hook.posts]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert all(len(key) <= 255 for key in keys)


def test_every_attempt_is_signed_for_its_own_moment_under_one_id(database, run, hook):
    secret = Secret("whsec_" + b64encode(b"k" * 32).decode())
    rules = rules_for(hook.url, secrets=(secret,), give_up_after=timedelta(days=9999))
    now = datetime.now(UTC)
    post(database, run, rules, event())
    hook.answer(500)
    send(database, rules, now - 60 * SECOND)
    send(database, rules, now)

    verified = [Verifier(str(secret)).verify(p.content, dict(p.headers)) for p in hook.posts]
    assert [body["key"] for body in verified] == ["Macro", "Macro"]
    assert len(set(hook.ids)) == 1
    assert [int(p.headers["webhook-timestamp"]) for p in hook.posts] == [
        int((now - 60 * SECOND).timestamp()),
        int(now.timestamp()),
    ]


def test_suppressed_messages_are_recorded_and_not_sent(database, run, hook):
    rules = msgspec.structs.replace(
        rules_for(hook.url),
        maintenance=(Maintenance(name="noon", start=NOON, end=NOON + MINUTE),),
    )
    post(database, run, rules, event(0), event(1, key="Energy"))
    send(database, rules, NOON)

    assert told(hook) == [("Energy", "firing")]
    with database.transaction() as connection:
        reasons = {
            n.payload["key"]: (n.status, n.reason) for n in delivery_log.read_messages(connection)
        }
    assert reasons == {
        "Macro": ("suppressed", "maintenance:noon"),
        "Energy": ("delivered", "accepted"),
    }


def test_two_senders_at_once_deliver_each_message_once(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, *(event(minute) for minute in range(30)))
    begin = Barrier(2)

    def work():
        begin.wait()
        return send(database, rules, NOON)

    with ThreadPoolExecutor(2) as pool:
        attempted = [future.result() for future in [pool.submit(work) for _ in range(2)]]

    assert sum(attempted) == 30
    assert len(hook.ids) == len(set(hook.ids)) == 30
    assert statuses(database) == {"delivered": 30}


def test_the_console_receives_the_line(database, run, capsys):
    rules = console_rules()
    post(database, run, rules, event())

    send(database, rules, NOON)

    written = capsys.readouterr().out
    assert re.fullmatch(r"2026-03-10 12:00 UTC FIRING mood: Macro, .*\n", written)
    assert log(database) == [(1, "delivered", "written", NOON)]


def test_the_console_may_be_any_stream(tmp_path):
    (message,) = messages_for(1, event(), "live", console_rules())
    path = tmp_path / "out"

    with path.open("w") as stream:
        Console(stream=stream).deliver(message, NOON)

    assert path.read_text() == f"{message.payload['summary']}\n"


def test_a_slow_receiver_is_given_up_at_its_timeout(hook):
    (message,) = messages_for(1, event(), "live", rules_for(hook.url))
    receiver = Receiver(
        name="hook", type="webhook", url=hook.url, timeout=timedelta(milliseconds=50)
    )

    with (
        closing(Webhook(receiver)) as webhook,
        hook.lock,  # the server waits for it before it answers
        pytest.raises(DeliveryError, match="ReadTimeout"),
    ):
        webhook.deliver(message, NOON)


def test_an_event_told_again_keeps_its_id(database):
    rules = console_rules()

    first, again = (messages_for(number, event(), "live", rules)[0].id for number in (1, 2))
    others = [
        messages_for(1, event(1), "live", rules)[0].id,
        messages_for(1, event(state="resolved"), "live", rules)[0].id,
        messages_for(1, event(), "replay", rules)[0].id,
    ]

    assert first == again
    assert len({first, *others}) == 4


@pytest.mark.parametrize(
    ("state", "messages"), [("firing", 1), ("resolved", 1), ("pending", 0), ("inactive", 0)]
)
def test_only_the_beginning_and_the_end_of_an_alert_are_told(state, messages):
    assert len(messages_for(1, event(state=state), "live", console_rules())) == messages
