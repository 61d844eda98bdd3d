"""``alerts``: list what fired, see why it was told or not, acknowledge, comment and silence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer

from alerts.actions import (
    AlertView,
    acknowledge,
    comment_on,
    expire_silence,
    present,
    silence_now,
    span_of_silence,
    unacknowledge,
    view_alert,
)
from alerts.rules.matchers import MatcherError, parse_matchers
from alerts.rules.ruleset import duration
from alerts.telling.silences import state_at
from dashboard.common.plain import plain
from store.alert_actions import ActionRow, read_actions
from store.alertlog import read_alerts
from store.cards import CardRow
from store.database import Connection
from store.notifications import NotificationRow, read_notifications
from store.runs import LIVE, Run, find_run
from store.silences import read_silences
from tapewatch import console
from tapewatch.cards import print_card
from tapewatch.commands.options import Json, RunName, user_name
from tapewatch.database import open_database
from tapewatch.settings import Settings
from tapewatch.wiring import as_json as alert_as_json

C = TypeVar("C")

app = typer.Typer(help="List the alerts that fired; acknowledge, comment on and silence them.")

RuleOrId = Annotated[str, typer.Argument(metavar="RULE|ID", help="Name of the rule, or the id.")]
Key = Annotated[
    str | None, typer.Argument(help="Topic, symbol or source; none for the scope `all`, or an id.")
]
By = Annotated[str | None, typer.Option("--by", help="Who; by default this machine's user.")]
Comment = Annotated[str | None, typer.Option("--comment", help="Why.")]
OneRun = Annotated[str | None, typer.Option("--run", help="One run; by default all.")]
Moment = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], help="UTC."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]


@app.callback(invoke_without_command=True)
def alerts(context: typer.Context, run: OneRun = None, as_json: Json = False) -> None:
    """List the alerts that fired, the newest first; or what a sub-command says."""
    if context.invoked_subcommand is None:
        list_alerts(run, as_json)


@app.command("list")
def list_alerts(run: OneRun = None, as_json: Json = False) -> None:
    """List the alerts that fired, the newest first."""
    with open_database(Settings()) as database, database.transaction() as connection:
        if run is not None:
            find_run(connection, run)
        fired = [alert_as_json(alert) for alert in read_alerts(connection, run)]
    if as_json:
        for alert in fired:
            console.print_json(alert)
    elif fired:
        console.print_alerts(fired)
    else:
        console.output.print("No alert has fired.")


@app.command()
def show(rule: RuleOrId, key: Key = None, run: RunName = LIVE, as_json: Json = False) -> None:
    """Show one alert: why it fired, its states, what was done and told about it, and why not."""
    with open_database(Settings()) as database, database.transaction() as connection:
        view = view_alert(connection, find_run(connection, run), rule, key)
    if as_json:
        console.print_json(asdict(view) | {"why_not_told": str(view.why_not_told)})
    else:
        _print_view(view)


@app.command()
def ack(  # noqa: PLR0913 - the options of the command
    rule: RuleOrId,
    key: Key = None,
    by: By = None,
    comment: Comment = None,
    run: RunName = LIVE,
    as_json: Json = False,
) -> None:
    """Acknowledge an active alert: it is not told again until it ends; then it is armed anew."""
    _act(acknowledge, "is acknowledged", run, rule, key, by, comment, as_json=as_json)


@app.command()
def unack(  # noqa: PLR0913 - the options of the command
    rule: RuleOrId,
    key: Key = None,
    by: By = None,
    comment: Comment = None,
    run: RunName = LIVE,
    as_json: Json = False,
) -> None:
    """Take an acknowledgement back: the alert is repeated again."""
    _act(unacknowledge, "is told again", run, rule, key, by, comment, as_json=as_json)


@app.command("comment")
def add_comment(  # noqa: PLR0913 - the options of the command
    rule: RuleOrId,
    key: Key = None,
    comment: Annotated[str, typer.Option("--comment", help="What there is to say.")] = "",
    by: By = None,
    run: RunName = LIVE,
    as_json: Json = False,
) -> None:
    """Say something about an alert, whether it is active or not."""
    _act(comment_on, "has your comment", run, rule, key, by, comment, as_json=as_json)


@app.command()
def silence(  # noqa: PLR0913 - the options of the command
    match: Annotated[
        list[str],
        typer.Option("--match", help="FIELD=PATTERN: rule, scope, key or severity; repeatable."),
    ],
    lasting: Annotated[str | None, typer.Option("--for", help="How long, such as 2h.")] = None,
    start: Moment = None,
    end: Moment = None,
    by: By = None,
    comment: Comment = None,
    run: RunName = LIVE,
    as_json: Json = False,
) -> None:
    """Have alerts not told for a while; what still fires at the end is told then."""
    if (lasting is None) == (end is None):
        raise typer.BadParameter("say how long with --for 2h, or until when with --end")
    try:
        matchers = parse_matchers(match)
        length = duration(lasting) if lasting is not None else None
    except (MatcherError, ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error)) from error
    with open_database(Settings()) as database, database.transaction() as connection:
        found = find_run(connection, run)
        made = silence_now(
            connection,
            found,
            matchers,
            span_of_silence(found, datetime.now(UTC), _utc(start), _utc(end), length),
            by or user_name("--by"),
            comment,
        )
    until = f"until {made.ends_at:%Y-%m-%d %H:%M} UTC"
    _report(asdict(made), f"Silence {made.id} holds {until}", as_json=as_json)


@app.command()
def silences(run: RunName = LIVE, as_json: Json = False) -> None:
    """List the silences with their states: pending, active or expired."""
    with open_database(Settings()) as database, database.transaction() as connection:
        found = find_run(connection, run)
        rows = [
            {**asdict(silence), "state": str(state_at(silence, present(found, datetime.now(UTC))))}
            for silence in read_silences(connection, found.id)
        ]
    if as_json:
        for row in rows:
            console.print_json(row)
    elif rows:
        columns = ("id", "state", "matchers", "starts_at", "ends_at", "author", "comment")
        shown = [[_cell(row[name]) for name in columns] for row in rows]
        console.print_table("Silences (UTC)", columns, shown)
    else:
        console.output.print("Nothing is silenced.")


@app.command()
def expire(
    number: Annotated[int, typer.Argument(metavar="ID", help="Number of the silence.")],
    by: By = None,
    comment: Comment = None,
    run: RunName = LIVE,
    as_json: Json = False,
) -> None:
    """End a silence now; it stays in the list."""
    with open_database(Settings()) as database, database.transaction() as connection:
        found = find_run(connection, run)
        expire_silence(
            connection, found, number, datetime.now(UTC), by or user_name("--by"), comment
        )
    _report({"silence": number}, f"Silence {number} is ended", as_json=as_json)


@app.command()
def history(run: RunName = LIVE, limit: Limit = 100, as_json: Json = False) -> None:
    """List what was done and what was told or held back in a run, each with its reason."""
    with open_database(Settings()) as database, database.transaction() as connection:
        found = find_run(connection, run)
        told = read_notifications(connection, found.id, limit=limit)
        done = read_actions(connection, found.id)[:limit]
    if as_json:
        for row in told:
            console.print_json({"kind": "notification", **asdict(row)})
        for action in done:
            console.print_json({"kind": "action", **asdict(action)})
        return
    _print_notifications(told)
    _print_rows("Actions (UTC)", ("at", "action", "rule", "key", "author", "comment"), done)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None else None


def _act(  # noqa: PLR0913 - an action on one alert
    action: Callable[[Connection, Run, str, str | None, str, C], ActionRow],
    said: str,
    run: str,
    rule: str,
    key: str | None,
    by: str | None,
    comment: C,
    *,
    as_json: bool,
) -> None:
    """Carry out an action of somebody on one alert, and report it."""
    with open_database(Settings()) as database, database.transaction() as connection:
        done = action(
            connection, find_run(connection, run), rule, key, by or user_name("--by"), comment
        )
    _report(asdict(done), f"{_named(done.rule, done.key)} {said}", as_json=as_json)


def _report(content: Mapping[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        console.print_json(content)
    else:
        console.output.print(sentence)


def _named(rule: str | None, key: str | None) -> str:
    return f"{plain(rule or '')}: {plain(key or '') or 'all documents'}"


def _print_view(view: AlertView) -> None:
    state = f"{view.state} since {view.since:%Y-%m-%d %H:%M} UTC" if view.since else view.state
    console.output.print(f"{_named(view.rule, view.key)} ({view.id}) is {state}")
    console.output.print(str(view.why_not_told))
    if view.cards:
        _print_card(view.cards[0])
    columns = ("at", "previous", "state", "reason", "value", "documents", "detail")
    _print_rows("States, in event time (UTC)", columns, view.events)
    _print_notifications(view.notifications)
    _print_rows("Messages (UTC)", ("posted_at", "receiver", "status", "reason"), view.messages)
    _print_rows("Actions (UTC)", ("at", "action", "author", "comment"), view.actions)


def _print_card(row: CardRow) -> None:
    console.output.print(f"\nWhy it fired at {row.at:%Y-%m-%d %H:%M} UTC")
    if row.card is None:
        console.output.print(f"There is no card: {row.reason}.")
        return
    print_card(row.card)


def _print_notifications(rows: Sequence[NotificationRow]) -> None:
    columns = ("at", "rule", "key", "state", "told", "reason", "detail", "receivers")
    _print_rows("Notifications, in event time (UTC)", columns, rows)


def _print_rows(title: str, columns: Sequence[str], rows: Sequence[object]) -> None:
    if rows:
        shown = [[_cell(getattr(row, name)) for name in columns] for row in rows]
        console.print_table(title, columns, shown)


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return plain(", ".join(f"{name}={pattern}" for name, pattern in value.items()))
    if isinstance(value, tuple):
        return plain(", ".join(map(str, value)))
    if isinstance(value, float):
        return f"{value:.2f}"
    return plain(str(value)) if value is not None else ""
