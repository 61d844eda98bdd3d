import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook as Verifier
from support.commands import last_json, tapewatch
from support.hooks import Reply, hook_server

from store import receivers
from store.database import Database
from store.receivers import ReceiverState

SECRET = "whsec_" + b64encode(b"s" * 32).decode()

RULES = """
[[receivers]]
name = "console"
type = "console"

[[receivers]]
name = "desk"
type = "webhook"
url = "${HOOK_URL}?token=hush"
secrets = ["${HOOK_SECRET}"]
"""


@pytest.fixture
def hook():
    with hook_server() as running:
        yield running


@pytest.fixture
def command(database_url, hook, tmp_path, monkeypatch):
    """Runs `tapewatch receivers ...` with a rules file of two receivers."""
    monkeypatch.setenv("HOOK_URL", hook.url)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    path = tmp_path / "rules.toml"
    path.write_text(RULES)

    def run(*arguments, fails=False):
        return tapewatch(
            "receivers", *arguments, fails=fails, database_url=database_url, rules=path
        )

    return run


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_a_test_message_goes_the_way_of_all_messages_and_is_recorded(command, hook):
    told = last_json(command("test", "desk", "--json"))

    (post,) = hook.posts
    body = Verifier(SECRET).verify(post.content, dict(post.headers))
    assert (told["delivered"], told["status_code"], told["id"]) == (True, 204, post.id)
    assert body["type"] == "receiver.test"
    assert "TEST" in body["summary"]
    (entry,) = objects(command("log", "--json"))
    assert (entry["receiver"], entry["status"], entry["reason"]) == (
        "desk",
        "delivered",
        "accepted",
    )
    assert entry["deliveries"][0]["detail"] == "answered 204"


def test_a_test_message_that_is_refused_says_what_was_answered(command, hook):
    hook.replies = [Reply(403, body=b"who are\x1b[31m you?")]

    failed = command("test", "desk", fails=True)

    assert "desk did not take the message: rejected, answered 403: who are[31m you?" in (
        failed.stderr
    )
    assert "hush" not in failed.stderr + failed.stdout
    assert "rejected" in command("log").stdout


def test_a_receiver_that_is_not_there_is_told_with_those_that_are(command):
    failed = command("test", "nobody", fails=True)

    assert "no receiver called 'nobody'; receivers: console, desk" in failed.stderr


def test_the_list_shows_no_secret(command):
    done = command("list", "--json")

    console, desk = objects(done)
    assert (console["name"], desk["name"]) == ("console", "desk")
    assert (desk["address"], desk["signed"], desk["state"]) == ("http://127.0.0.1", 1, "well")
    assert "hush" not in done.stdout
    assert SECRET not in done.stdout


def test_a_disabled_receiver_is_listed_so_and_enabled_by_name(command, database_url):
    now = datetime.now(UTC)
    database = Database(database_url)
    database.migrate()
    with database.transaction() as connection:
        receivers.hold(connection, ReceiverState("desk", 3, now))
        receivers.disable(connection, "desk", now, "gone", "answered 410")

    listed = objects(command("list", "--json"))[1]
    assert (listed["state"], listed["reason"], listed["failures"]) == ("disabled", "gone", 3)
    assert "desk is enabled; it was disabled since" in command("enable", "desk").stdout
    assert "desk was not disabled" in command("enable", "desk").stdout
    with database.transaction() as connection:
        assert receivers.read_receiver(connection, "desk") == ReceiverState("desk")
    database.close()
