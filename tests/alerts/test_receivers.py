import time
from base64 import b64encode
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from apprise.plugins import discord, pagerduty, slack
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError
from support.hooks import Reply, hook_server

from alerts.common.fields import Secret
from alerts.receivers.channels import Console, open_channel
from alerts.receivers.delivery import DeliveryError, Reason
from alerts.rules.ruleset import Receiver, RulesError, parse_rules
from alerts.sending.notices import failure_notices, trial_message
from store.outbox import DEAD, Attempt, Message

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
OLD, NEW = (Secret("whsec_" + b64encode(letter * 32).decode()) for letter in (b"o", b"n"))
HOSTILE = "<!channel> @everyone [x](https://evil.example) **b** \u202e\x1b[31m"

ALERT = {
    "type": "alert.firing",
    "dedup_key": "d" * 64,
    "rule": "mood",
    "key": HOSTILE,
    "state": "firing",
    "severity": 9,
    "summary": f"FIRING mood: {HOSTILE}",
    "emoji": "\U0001f4c9 \u00e9",
}


@pytest.fixture
def hook():
    with hook_server() as running:
        yield running


def message(**fields):
    payload = ALERT | fields
    return Message(UUID(int=5), 1, "desk", payload, dedup_key=payload["dedup_key"])


def webhook(hook, **fields):
    return Receiver(name="desk", type="webhook", url=hook.url, **fields)


def service(url, **fields):
    return Receiver(name="desk", type="apprise", url=url, **fields)


def deliver(receiver, sent=None, now=None, folder=None):
    with closing(open_channel(receiver, folder)) as channel:
        return channel.deliver(sent or message(), now or datetime.now(UTC))


def failure(receiver, **options):
    with pytest.raises(DeliveryError) as caught:
        deliver(receiver, **options)
    return caught.value


@pytest.mark.parametrize("secrets", [(NEW,), (NEW, OLD), (OLD, NEW)])
def test_a_webhook_is_verified_by_whoever_has_one_of_the_secrets(hook, secrets):
    deliver(webhook(hook, secrets=secrets))

    (sent,) = hook.posts
    for secret in secrets:
        assert Verifier(str(secret)).verify(sent.content, dict(sent.headers)) == ALERT
    assert sent.headers["webhook-id"] == str(UUID(int=5))
    assert len(sent.headers["webhook-signature"].split(" ")) == len(secrets)


@pytest.mark.parametrize("changed", ["content", "webhook-id", "webhook-timestamp", "secret"])
def test_a_signature_holds_for_what_was_sent_alone(hook, changed):
    deliver(webhook(hook, secrets=(NEW,)))

    (sent,) = hook.posts
    headers, content, secret = dict(sent.headers), sent.content, NEW
    if changed == "content":
        content = content.replace(b"mood", b"moot")
    elif changed == "secret":
        secret = OLD
    else:
        headers[changed] = str(int(time.time()) - 1) if "stamp" in changed else str(UUID(int=6))
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Verifier(str(secret)).verify(content, headers)


def test_a_signature_is_as_old_as_its_attempt(hook):
    deliver(webhook(hook, secrets=(NEW,)), now=datetime.now(UTC) - timedelta(minutes=6))

    (sent,) = hook.posts
    with pytest.raises(WebhookVerificationError, match="too old"):
        Verifier(str(NEW)).verify(sent.content, dict(sent.headers))


def test_without_a_secret_nothing_is_signed(hook):
    deliver(webhook(hook))

    assert hook.posts[0].headers["webhook-signature"] is None


def test_a_redirect_is_told_and_not_followed(hook):
    hook.replies = [Reply(307, {"location": f"{hook.url}/elsewhere"})]

    error = failure(webhook(hook))

    assert (error.reason, error.status_code, len(hook.posts)) == (Reason.REDIRECTED, 307, 1)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "answered 400"),
        (b"no\x1b[2J such\nroute", "answered 400: no[2J such route"),
        (b"x" * 200, "answered 400: " + "x" * 200),
        (b"x" * 1_000_000, "answered 400: " + "x" * 199 + "\u2026"),
        (b"\xff\xfe", "answered 400: \ufffd\ufffd"),
    ],
)
def test_of_an_answer_little_is_kept(hook, body, told):
    hook.replies = [Reply(400, body=body)]

    assert str(failure(webhook(hook))) == told


def test_retry_after_comes_with_the_failure(hook):
    hook.replies = [
        Reply(503, {"retry-after": "17"}),
        Reply(429, {"retry-after": "Tue, 10 Mar 2026 12:00:40 GMT"}),
        Reply(503),
    ]
    waits = [failure(webhook(hook), now=NOON).retry_after for _ in range(3)]

    assert waits == [timedelta(seconds=17), timedelta(seconds=40), None]


def test_neither_secrets_nor_address_show_in_a_receiver():
    rules = parse_rules(
        b'[[receivers]]\nname = "desk"\ntype = "webhook"\nurl = "http://h/?t=${T}"\n'
        b'secrets = ["${S}"]',
        "rules.toml",
        {"T": "hush", "S": str(NEW)},
    )

    assert "hush" not in repr(rules)
    assert str(NEW) not in repr(rules)
    assert rules.receivers[0].secrets == (NEW,)


RECEIVER = '[[receivers]]\nname = "desk"\ntype = "{}"\n'
LOCAL = 'url = "http://localhost/"\n'


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("webhook", "", "a webhook needs a `url`"),
        ("webhook", 'url = "ftp://x"', "must be http or https"),
        ("webhook", 'url = "${NONE}"', "the environment has no NONE"),
        ("webhook", LOCAL + 'secrets = ["whsec_abc"]', "are read from the environment"),
        ("webhook", LOCAL + 'secrets = ["x${SECRET}"]', "are read from the environment"),
        ("webhook", LOCAL + 'secrets = ["${SHORT}"]', "must be whsec_ and the base64 of 24 to 64"),
        ("webhook", LOCAL + 'secrets = ["${BARE}"]', "must be whsec_ and the base64 of 24 to 64"),
        ("webhook", LOCAL + 'template = "x.txt"', "a webhook sends JSON and has no `template`"),
        ("webhook", LOCAL + 'on_failure = ["x"]', "`on_failure`: there is no receiver called 'x'"),
        ("webhook", LOCAL + 'on_failure = ["desk"]', "`on_failure` names the receiver itself"),
        ("webhook", LOCAL + 'timeout = "0s"', "`timeout` must be longer than nothing"),
        ("console", 'secrets = ["${SECRET}"]', "`secrets` are for a webhook"),
        ("console", 'template = "none.txt"', "cannot read the template"),
        ("console", LOCAL, "the console has no `url`"),
        ("apprise", "", "needs a `url` with a variable"),
        ("apprise", 'url = "slack://a/b/c"', "needs a `url` with a variable"),
        ("apprise", 'url = "${BARE}"', "not one that Apprise knows"),
        ("apprise", 'url = "${NONSENSE}"', "not one that Apprise knows"),
        ("apprise", 'url = "slack://${NONSENSE}/b"', "not one that Apprise knows"),
    ],
)
def test_a_mistake_in_a_receiver_is_told_without_its_secrets(kind, text, told, capfd):
    environment = {
        "SECRET": str(NEW),
        "SHORT": "whsec_" + b64encode(b"x" * 23).decode(),
        "BARE": b64encode(b"hush" * 6).decode(),
        "NONSENSE": "hush://nothing",
    }
    with pytest.raises(RulesError) as caught:
        parse_rules((RECEIVER.format(kind) + text).encode(), "rules.toml", environment)

    assert told in str(caught.value)
    assert str(caught.value).startswith("rules.toml: receiver 'desk'")
    shown = str(caught.value) + "".join(capfd.readouterr())
    assert not any(value in shown for value in environment.values())


@pytest.mark.parametrize("size", [24, 64])
def test_a_secret_has_24_to_64_bytes(size):
    secret = "whsec_" + b64encode(b"x" * size).decode()
    text = RECEIVER.format("webhook") + LOCAL + 'secrets = ["${S}"]'

    assert parse_rules(text.encode(), "r", {"S": secret}).receivers[0].secrets == (secret,)


def test_a_service_gets_the_text_of_the_template(hook, tmp_path):
    (tmp_path / "mine.txt").write_text("$rule is $state\n$severity of 10")
    receiver = service(f"json://127.0.0.1:{hook.port}/", template="mine.txt")

    answer = deliver(receiver, folder=tmp_path)

    (sent,) = hook.posts
    assert (sent.body["title"], sent.body["message"]) == ("mood is firing", "9 of 10")
    assert sent.body["type"] == "failure"
    assert answer.detail == "accepted by the service"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, Reason.SERVER_ERROR),
        (403, Reason.REJECTED),
        (410, Reason.GONE),
        (307, Reason.REDIRECTED),
    ],
)
def test_a_service_that_refuses_is_asked_once_and_says_why(hook, status, reason):
    hook.decide = lambda _: Reply(status, {"location": hook.url})

    error = failure(service(f"json://127.0.0.1:{hook.port}/?retry=3&optional=yes&redirect=yes"))

    assert (error.reason, error.status_code, len(hook.posts)) == (reason, status, 1)


def test_a_service_that_is_not_there_is_unreachable():
    assert failure(service("json://127.0.0.1:1/")).reason is Reason.UNREACHABLE


def test_a_service_that_does_not_answer_is_left_at_its_timeout(hook):
    receiver = service(f"json://127.0.0.1:{hook.port}/", timeout=timedelta(milliseconds=200))

    with hook.lock:
        error = failure(receiver)

    assert error.concerns_receiver


def test_a_service_that_knows_a_dedup_key_is_given_it_and_told_to_resolve(hook, monkeypatch):
    monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", hook.url)
    hook.decide = lambda _: Reply(202)
    receiver = service("pagerduty://routing@token/")

    deliver(receiver)
    deliver(receiver, message(state="resolved", type="alert.resolved"))

    fired, resolved = (sent.body for sent in hook.posts)
    assert (fired["event_action"], fired["payload"]["severity"]) == ("trigger", "critical")
    assert resolved["event_action"] == "resolve"
    assert fired["dedup_key"] == resolved["dedup_key"] == "d" * 64


def test_what_the_address_says_of_resolving_is_kept(hook, monkeypatch):
    monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", hook.url)
    hook.decide = lambda _: Reply(202)

    deliver(service("pagerduty://routing@token/?action=trigger"), message(state="resolved"))

    assert hook.posts[0].body["event_action"] == "trigger"
    assert hook.posts[0].body["dedup_key"] == "d" * 64


@pytest.mark.parametrize("kind", ["slack", "discord", "json"])
def test_a_hostile_key_mentions_and_links_nothing(hook, monkeypatch, kind):
    monkeypatch.setattr(slack.NotifySlack, "webhook_url", f"http://127.0.0.1:{hook.port}")
    monkeypatch.setattr(discord.NotifyDiscord, "notify_url", f"http://127.0.0.1:{hook.port}")
    hook.decide = lambda _: Reply(200, body=b"ok")
    urls = {
        "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
        "discord": "discord://1234567890/abcdefghijklmnop",
        "json": f"json://127.0.0.1:{hook.port}/",
    }

    deliver(service(urls[kind]))

    (sent,) = hook.posts
    text = sent.content.decode("unicode_escape")
    assert "channel" in text
    for dangerous in ("<!", "@everyone", "](", "**b", "://evil", "apprise", "\u202e", "\x1b"):
        assert dangerous not in text


def test_the_console_writes_the_template_and_one_line_for_a_notice(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("$rule: $severity")
    console = Receiver(name="console", type="console", template="mine.txt")

    deliver(console, folder=tmp_path)
    deliver(console, trial_message("console", NOON), folder=tmp_path)

    alert, trial = capsys.readouterr().out.splitlines()
    assert alert == "mood: 9"
    assert trial.startswith("TEST 2026-03-10 12:00 UTC: Tapewatch can reach console.")


def test_a_console_that_is_closed_is_a_failed_delivery(tmp_path):
    stream = (tmp_path / "out").open("w")
    stream.close()

    with pytest.raises(DeliveryError, match="closed file") as caught:
        Console(stream=stream).deliver(message(), NOON)
    assert caught.value.reason is Reason.UNREACHABLE


def dead(about=None, number=5, reason=Reason.TIMEOUT):
    lost = Message(UUID(int=number), 1, "desk", ALERT, about=about)
    return Attempt(lost, 1, DEAD, reason, "ReadTimeout", NOON)


def test_a_notice_tells_each_of_the_others_once_what_was_lost():
    notices = failure_notices("desk", [dead(), dead(number=6)], ("a", "desk", "a", "b"), NOON)

    assert [notice.receiver for notice in notices] == ["a", "b"]
    payload = notices[0].payload
    assert (payload["type"], payload["count"], payload["reason"]) == ("delivery.dead", 2, "timeout")
    assert [listed["id"] for listed in payload["messages"]] == [str(UUID(int=n)) for n in (5, 6)]
    assert notices[0].about == UUID(int=5)
    assert len({notice.id for notice in notices}) == 2
    again = failure_notices("desk", [dead()], ("a",), NOON)
    assert again[0].id == notices[0].id


@pytest.mark.parametrize("reason", [Reason.GONE, Reason.RECEIVER_DISABLED])
def test_a_notice_of_a_disabled_receiver_says_how_to_enable_it(reason):
    (notice,) = failure_notices("desk", [dead(reason=reason)], ("a",), NOON)

    assert notice.payload["type"] == "receiver.disabled"
    assert "`tapewatch receivers enable desk`" in notice.payload["summary"]


def test_there_is_no_notice_of_a_notice():
    assert failure_notices("desk", [dead(about=UUID(int=9))], ("a",), NOON) == []
    (notice,) = failure_notices("desk", [dead(about=UUID(int=9)), dead()], ("a",), NOON)
    assert notice.payload["count"] == 1
