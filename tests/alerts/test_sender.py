import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, Lock, Thread
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select, update

from alerts.messages import messages_for
from alerts.receivers import DeliveryError, Webhook, to_console
from alerts.rules import Metric, Receiver, Rule, RuleSet
from alerts.sender import FIRST_PAUSE, LONGEST_PAUSE, Sender, pause
from store import alertlog, outbox, runs
from store.alertlog import EventRow
from store.schema import deliveries
from store.schema import outbox as outbox_table

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        opened = runs.open_run(connection, "live")
    yield opened
    with database.transaction() as connection:
        runs.delete_run(connection, "live")


class Hook:
    """A web server that remembers what was posted and answers with the statuses it is given."""

    def __init__(self, server):
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_port}/hook"
        self.statuses = []
        self.posts = []
        self.lock = Lock()

    @property
    def ids(self):
        return [headers["webhook-id"] for headers, _ in self.posts]


@pytest.fixture
def hook():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            with hook.lock:
                hook.posts.append((self.headers, msgspec.json.decode(body)))
                status = hook.statuses.pop(0) if hook.statuses else 204
            self.send_response(status)
            if status == 302:
                self.send_header("location", hook.url)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Hook(server)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield hook
    server.shutdown()
    server.server_close()
    thread.join()


def rules_for(url, **fields):
    rule = Rule(name="mood", metric=Metric.DOCUMENTS, threshold=1, receivers=("hook",))
    return RuleSet(
        rules=(rule,), receivers=(Receiver(name="hook", type="webhook", url=url, **fields),)
    )


def console_rules():
    rule = Rule(name="mood", metric=Metric.DOCUMENTS, threshold=1, receivers=("console",))
    return RuleSet(rules=(rule,))


def event(minute=0, state="firing"):
    at = NOON + minute * MINUTE
    return EventRow(
        rule="mood", key="Macro", scope="topic", at=at, previous="inactive", state=state,
        reason="beyond_threshold", severity=7, fired_at=at, value=0.75, documents=8,
        window_start=at - MINUTE, window_end=at,
    )  # fmt: skip


def post(database, run, rules, *events):
    """Put the events' messages into the outbox, all made and due at noon."""
    with database.transaction() as connection:
        ids = alertlog.append_events(connection, run.id, events)
        for event_id, happened in zip(ids, events, strict=True):
            outbox.post(connection, messages_for(event_id, happened, "live", rules))
        connection.execute(update(outbox_table).values(next_attempt_at=NOON, created_at=NOON))


def send(database, rules, now):
    with closing(Sender(database, rules)) as sender:
        return sender.send_due(now)


def statuses(database):
    with database.transaction() as connection:
        return outbox.count_by_status(connection)


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

    ((headers, body),) = hook.posts

    assert headers["content-type"] == "application/json"
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
    hook.statuses = [500, 503, 404]
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
    assert pause(attempts) == seconds * SECOND
    assert FIRST_PAUSE <= pause(attempts) <= LONGEST_PAUSE


def test_a_redirect_is_no_success_and_is_not_followed(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event())
    hook.statuses = [302]

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
    hook.statuses = [500, 500]

    send(database, rules, NOON + age)

    assert statuses(database) == {status: 1}
    assert log(database) == [(1, outcome, "answered 500", NOON + age)]


def test_a_dead_message_is_left_alone(database, run, hook):
    rules = rules_for(hook.url, give_up_after=0 * MINUTE)
    post(database, run, rules, event())
    hook.statuses = [500]
    send(database, rules, NOON)

    assert send(database, rules, NOON + 9_999 * MINUTE) == 0
    assert len(hook.posts) == 1


def test_a_message_for_a_receiver_no_longer_named_is_dead(database, run, hook):
    post(database, run, rules_for(hook.url), event())

    send(database, console_rules(), NOON)

    assert statuses(database) == {"dead": 1}
    assert log(database) == [(1, "dead", "the rules name no such receiver any more", NOON)]


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

    told = [(body["at"], body["state"]) for _, body in hook.posts]
    assert told == [(e.at.isoformat(), e.state) for e in happened]


def test_one_failing_message_does_not_hold_up_the_next(database, run, hook):
    rules = rules_for(hook.url)
    post(database, run, rules, event(0), event(1))
    hook.statuses = [500]

    assert send(database, rules, NOON) == 2
    assert statuses(database) == {"pending": 1, "delivered": 1}


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
        to_console(message, stream)

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
        webhook(message)


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
