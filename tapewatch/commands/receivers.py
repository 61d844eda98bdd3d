"""``receivers``: who is told, whether they can be reached, and what was told to whom and why."""

from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from alerts.common.text import plain
from alerts.receivers.channels import open_channel
from alerts.receivers.delivery import Answer, DeliveryError, Reason
from alerts.receivers.receiver import Receiver
from alerts.rules.ruleset import RulesError, RuleSet
from alerts.sending.notices import trial_message
from store import outbox
from store.database import Database
from store.delivery_log import LoggedMessage, count_by_receiver, read_messages
from store.outbox import Attempt
from store.receivers import ReceiverState, read_receiver
from store.receivers import enable as enable_receiver
from tapewatch import console
from tapewatch.commands.options import Json, RulesFile
from tapewatch.database import open_database
from tapewatch.settings import Settings
from tapewatch.wiring import read_rules

app = typer.Typer(
    help="Who is told, whether they can be reached, and what was told to whom.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Name of a receiver in the rules file.")]


class ReceiverError(RulesError):
    """A receiver is not there, or did not take a test message."""


@app.command("list")
def list_receivers(rules: RulesFile = None, as_json: Json = False) -> None:
    """List the receivers of the rules file, and how each stands."""
    settings = Settings()
    read = read_rules(settings, rules)
    with open_database(settings) as database, database.transaction() as connection:
        counted = count_by_receiver(connection)
        rows = [
            {
                "name": receiver.name,
                "type": receiver.type,
                "address": _address(receiver),
                "signed": len(receiver.secrets),
                "on_failure": list(receiver.on_failure),
                **_standing(read_receiver(connection, receiver.name)),
                "messages": counted.get(receiver.name, {}),
            }
            for receiver in read.receivers
        ]
    if as_json:
        for row in rows:
            console.print_json(row)
        return
    columns = ("name", "type", "address", "state", "reason", "messages")
    cells = [
        [_counts(row[name]) if name == "messages" else row[name] for name in columns]
        for row in rows
    ]
    console.print_table("Receivers", columns, cells)


@app.command("test")
def try_receiver(name: Name, rules: RulesFile = None, as_json: Json = False) -> None:
    """Send a message that says it is a test, and tell what was answered."""
    settings = Settings()
    read = read_rules(settings, rules)
    receiver = _receiver(read, name)
    with open_database(settings) as database:
        attempt = _deliver_test(database, receiver, Path(read.templates))
    delivered = attempt.status == outbox.DELIVERED
    if as_json:
        console.print_json(
            {
                "receiver": name,
                "id": str(attempt.message.id),
                "delivered": delivered,
                "reason": attempt.reason,
                "status_code": attempt.status_code,
                "detail": attempt.detail,
            }
        )
    elif delivered:
        console.output.print(f"{name} took the message: {attempt.detail}")
    if not delivered:
        raise ReceiverError(f"{name} did not take the message: {attempt.reason}, {attempt.detail}")


@app.command()
def enable(name: Name, rules: RulesFile = None, as_json: Json = False) -> None:
    """Send to a receiver again at once that was disabled or held back."""
    settings = Settings()
    _receiver(read_rules(settings, rules), name)
    with open_database(settings) as database, database.transaction() as connection:
        before = enable_receiver(connection, name)
    if as_json:
        console.print_json({"receiver": name, "before": _standing(before)})
    elif before.disabled_at is None:
        console.output.print(f"{name} was not disabled")
    else:
        since = f"{before.disabled_at:%Y-%m-%d %H:%M} UTC"
        console.output.print(f"{name} is enabled; it was disabled since {since}: {before.detail}")


@app.command("log")
def show_log(
    receiver: Annotated[
        str | None, typer.Option("--receiver", help="One receiver; by default all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many messages.")] = 50,
    as_json: Json = False,
) -> None:
    """List what was told to whom, what was not, when and why; the newest first."""
    with open_database(Settings()) as database, database.transaction() as connection:
        found = read_messages(connection, receiver, limit)
    if as_json:
        for notification in found:
            console.print_json(asdict(notification))
        return
    columns = ("posted (UTC)", "receiver", "status", "reason", "tried", "last tried", "message")
    console.print_table("Notifications", columns, [_cells(each) for each in found])


def _receiver(rules: RuleSet, name: str) -> Receiver:
    found = rules.receiver(name)
    if found is None:
        names = ", ".join(receiver.name for receiver in rules.receivers)
        raise ReceiverError(f"there is no receiver called {name!r}; receivers: {names}")
    return found


def _deliver_test(database: Database, receiver: Receiver, templates: Path) -> Attempt:
    """Deliver a test message once, and record it with what came of it."""
    now = datetime.now(UTC)
    message = trial_message(receiver.name, now)
    try:
        with closing(open_channel(receiver, templates)) as channel:
            answer: Answer = channel.deliver(message, now)
        attempt = Attempt(
            message, 1, outbox.DELIVERED, Reason.ACCEPTED, answer.detail, now, answer.status_code
        )
    except DeliveryError as error:
        attempt = Attempt(message, 1, outbox.DEAD, error.reason, str(error), now, error.status_code)
    with database.transaction() as connection:
        outbox.post(connection, [message], now)
        outbox.record(connection, [attempt])
    return attempt


def _address(receiver: Receiver) -> str | None:
    """Where a receiver is, without what may be secret of it."""
    if receiver.url is None:
        return None
    parts = urlsplit(receiver.url)
    return f"{parts.scheme}://{parts.hostname}" if receiver.type == "webhook" else parts.scheme


def _standing(state: ReceiverState) -> dict[str, Any]:
    """How a receiver stands; its ``state`` is ``well``, ``held_back`` or ``disabled``."""
    told = "well"
    if state.held_until is not None and state.held_until > datetime.now(UTC):
        told = "held_back"
    if state.disabled_at is not None:
        told = "disabled"
    facts = asdict(state)
    return {"state": told, **{name: facts[name] for name in facts if name != "name"}}


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _cells(told: LoggedMessage) -> list[object]:
    last = told.deliveries[-1] if told.deliveries else None
    return [
        f"{told.posted_at:%Y-%m-%d %H:%M:%S}",
        told.receiver,
        told.status,
        told.reason,
        len(told.deliveries),
        last and f"{last.at:%Y-%m-%d %H:%M:%S}",
        plain(str(told.payload.get("summary", "")), 200),
    ]
