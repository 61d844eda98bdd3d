"""The sender in trouble: killed, doubled, cut off from PostgreSQL, and with far too much to do."""

import signal
import subprocess
import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import delete, select
from structlog.testing import capture_logs
from support import killed_sender
from support.commands import ROOT, environment
from support.hooks import Reply, hook_server
from support.postgres import PostgresServer

from alerts.rules.ruleset import Receiver, RuleSet
from alerts.sending.sender import Sender
from store import outbox, receivers
from store.database import Database
from store.errors import DatabaseUnavailableError
from store.outbox import Message
from store.schema import deliveries
from store.schema import outbox as outbox_table
from store.schema import receivers as receivers_table

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def clean(database):
    yield
    with database.transaction() as connection:
        connection.execute(delete(outbox_table))
        connection.execute(delete(receivers_table))


@pytest.fixture
def hook():
    with hook_server() as running:
        yield running


def rules_for(hook, **fields):
    return RuleSet(receivers=(Receiver(name="hook", type="webhook", url=hook.url, **fields),))


def post(database, count, keys=1, receiver="hook"):
    """Messages 1, 2, 3 ... of so many alerts in turn, all due at noon."""
    messages = [
        Message(UUID(int=n), None, receiver, {"n": n, "dedup_key": f"alert {n % keys}"})
        for n in range(1, count + 1)
    ]
    with database.transaction() as connection:
        outbox.post(connection, messages, NOON)


def statuses(database):
    with database.transaction() as connection:
        return outbox.count_by_status(connection)


def standing_still():
    return 0.0


def sender_of(database, rules, seed=1, clock=standing_still):
    return closing(Sender(database, rules, Random(seed), clock))


def accepted(hook):
    """The messages that the hook said yes to, by alert, in the order of its answers."""
    found = defaultdict(list)
    for sent in hook.taken:
        found[sent["dedup_key"]].append(sent["n"])
    return found


def failing_half_the_time(hook, seed=7):
    chance, hook.taken = Random(seed), []

    def decide(sent):
        if chance.random() < 0.5:
            return Reply(500)
        hook.taken.append(sent.body)
        return Reply(204)

    hook.decide = decide


def test_ten_thousand_messages_go_out_in_order_through_a_receiver_that_fails_half_the_time(
    database, hook
):
    count, keys = 10_000, 500
    failing_half_the_time(hook)
    post(database, count, keys)

    now, rounds = NOON, 0
    with capture_logs(), sender_of(database, rules_for(hook)) as sender:
        while statuses(database).get("pending"):
            sender.send_due(now)
            now += 10 * MINUTE
            rounds += 1
            assert rounds < 200

    assert statuses(database) == {"delivered": count}
    told = accepted(hook)
    assert sum(map(len, told.values())) == count
    assert all(numbers == sorted(numbers) for numbers in told.values())
    with database.transaction() as connection:
        outcomes = Counter(connection.scalars(select(deliveries.c.outcome)))
    assert outcomes["delivered"] == count
    assert outcomes.total() == len(hook.posts)


def test_a_receiver_that_is_down_for_an_hour_loses_nothing_and_is_not_stormed(database, hook):
    rules = rules_for(hook)
    hook.decide = lambda _: Reply(503, {"retry-after": "30"})
    post(database, 200, 20)

    with sender_of(database, rules) as sender:
        for seconds in range(0, 3600, 5):
            sender.send_due(NOON + seconds * SECOND)
        assert statuses(database) == {"pending": 200}
        assert 8 <= len(hook.posts) <= 20
        hook.posts.clear()
        hook.decide = lambda _: Reply(204)
        for seconds in range(3600, 3600 + 615, 5):
            sender.send_due(NOON + seconds * SECOND)

    assert statuses(database) == {"delivered": 200}
    assert [sent.body["n"] for sent in hook.posts] == list(range(1, 201))


def test_two_senders_by_mistake_keep_each_alert_in_order_and_tell_nothing_twice(database, hook):
    failing_half_the_time(hook)
    post(database, 1000, 40)
    begin, rules = Barrier(2), rules_for(hook)

    def work(seed):
        with sender_of(database, rules, seed) as sender:
            begin.wait()
            now = NOON
            while statuses(database).get("pending"):
                sender.send_due(now)
                now += 10 * MINUTE

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(work, seed) for seed in (1, 2)]:
            future.result()

    told = accepted(hook)
    assert sum(map(len, told.values())) == 1000
    assert all(numbers == sorted(numbers) for numbers in told.values())


@pytest.mark.parametrize("step", killed_sender.STEPS)
def test_a_sender_killed_between_two_steps_loses_nothing_and_keeps_the_ids(database, hook, step):
    hook.answer(204, 500)
    post(database, 6, 3)

    done = subprocess.run(
        [sys.executable, killed_sender.__file__, database.url, hook.url, step],
        env={**environment(), "PYTHONPATH": f"{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr

    hook.replies.clear()
    first = [sent.body["n"] for sent in hook.posts]
    with sender_of(database, rules_for(hook)) as sender:
        for minutes in (0, 30):
            sender.send_due(NOON + minutes * MINUTE)

    assert statuses(database) == {"delivered": 6}
    assert {sent.body["n"]: sent.id for sent in hook.posts} == {
        n: str(UUID(int=n)) for n in range(1, 7)
    }
    later = [sent.body["n"] for sent in hook.posts[len(first) :]]
    assert sorted(later) == sorted(set(later))
    # Message 2 was answered 500, so 5, of the same alert, waited for it.
    assert set(later) == ({2, 5} if step == "after the commit" else set(range(1, 7)))


def test_postgres_that_goes_away_is_waited_for_and_nothing_is_lost(hook):
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tapewatch-")))
        server = PostgresServer(folder / "postgres")
        stack.callback(server.close)
        database = stack.enter_context(closing(Database(server.new_database())))
        database.migrate()
        post(database, 6, 3)
        sender = stack.enter_context(sender_of(database, rules_for(hook)))

        def goes_away(sent):
            if sent.body["n"] == 2:
                server.stop("immediate")
            return Reply(204)

        hook.decide = goes_away
        with pytest.raises(DatabaseUnavailableError):
            sender.send_due(NOON)
        hook.decide = lambda _: Reply(204)
        with pytest.raises(DatabaseUnavailableError):
            sender.send_due(NOON)
        server.start()
        sender.send_due(NOON)

        assert statuses(database) == {"delivered": 6}
        assert Counter(hook.ids)[str(UUID(int=1))] == 2
        assert set(hook.ids) == {str(UUID(int=n)) for n in range(1, 7)}


def test_what_is_disabled_by_one_sender_is_disabled_for_another(database, hook):
    post(database, 2, 2)
    hook.answer(410)
    with sender_of(database, rules_for(hook)) as one, sender_of(database, rules_for(hook)) as other:
        one.send_due(NOON)
        post_more(database)
        other.send_due(NOON)

    assert len(hook.posts) == 1
    with database.transaction() as connection:
        assert receivers.read_receiver(connection, "hook").disabled_at == NOON


def post_more(database):
    with database.transaction() as connection:
        outbox.post(connection, [Message(UUID(int=99), None, "hook", {"n": 99})], NOON)
