"""``dead-letters list``, ``show`` and ``requeue``: what was turned away, and trying it again."""

import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ingest.document import Reason
from store.deadletters import (
    DeadLetterRow,
    count_by_reason,
    find_dead_letter,
    list_dead_letters,
)
from store.runs import LIVE, find_run
from tapewatch import console
from tapewatch.commands.options import Device, Json, RunName
from tapewatch.database import open_database
from tapewatch.requeueing import Choice, RequeueReport, requeue
from tapewatch.settings import Settings
from tapewatch.wiring import existing_run, open_model

_POSITION = re.compile(r"(?P<source>.+)\[(?P<partition>\d+)\]@(?P<offset>\d+)", re.DOTALL)
_DETAIL = 120

Limit = Annotated[int, typer.Option(min=1, help="How many to list.")]

dead_letters = typer.Typer(help="Records that were turned away: list, show and requeue them.")


@dead_letters.callback(invoke_without_command=True)
def _listed(
    context: typer.Context, run: RunName = LIVE, limit: Limit = 50, as_json: Json = False
) -> None:
    """Records that were turned away; without a command, they are listed."""
    if context.invoked_subcommand is None:
        list_(run, limit, as_json)


@dead_letters.command("list")
def list_(run: RunName = LIVE, limit: Limit = 50, as_json: Json = False) -> None:
    """List the newest records that were turned away, with reason and position."""
    with open_database(Settings()) as database, database.transaction() as connection:
        found = find_run(connection, run)
        letters = list_dead_letters(connection, found.id, limit)
        reasons = count_by_reason(connection, found.id)
    if as_json:
        for letter in letters:
            console.print_json(_as_json(letter))
        return
    rows = [(d.position, d.reason, d.detail[:_DETAIL], d.size, d.replays) for d in letters]
    columns = ("position", "reason", "detail", "bytes", "replays")
    console.print_table("Dead letters", columns, rows)
    console.output.print("By reason: " + (_counts(reasons) or "0"))


@dead_letters.command()
def show(
    position: Annotated[str, typer.Argument(help="As `list` prints it: source[partition]@offset.")],
    run: RunName = LIVE,
    as_json: Json = False,
) -> None:
    """Show one record that was turned away: its bytes, and why."""
    key = parse_position(position)
    with open_database(Settings()) as database, database.transaction() as connection:
        letter = find_dead_letter(connection, find_run(connection, run).id, key)
    if as_json:
        console.print_json(_as_json(letter))
        return
    tried = f"{letter.replays} times, last {letter.replayed_at}" if letter.replays else "never"
    kept = "" if letter.is_whole else f", of which {len(letter.payload or b''):,} were kept"
    for name, value in (
        ("Position", letter.position),
        ("Reason", letter.reason),
        ("Detail", letter.detail),
        ("Received", letter.received_at),
        ("Bytes", f"{letter.size:,}{kept}"),
        ("Tried again", tried),
    ):
        console.output.print(f"{name}: {value}")
    console.output.print(readable(letter.payload))


@dead_letters.command("requeue")
def requeue_(  # noqa: PLR0913 - the options of the command
    positions: Annotated[
        list[str] | None, typer.Argument(help="Which ones, as `list` prints them; by default all.")
    ] = None,
    run: RunName = LIVE,
    reason: Annotated[
        list[Reason] | None, typer.Option("--reason", help="Only these reasons; may be repeated.")
    ] = None,
    max_replays: Annotated[
        int, typer.Option(min=1, help="Leave alone what was tried so often already.")
    ] = 3,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it; without, only say what would come of it.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Decode records again that were turned away, and score those that are documents now."""
    if positions and reason:
        raise typer.BadParameter("give positions or --reason, not both")
    settings = Settings()
    choice = Choice(
        tuple(parse_position(position) for position in positions or ()),
        [str(each) for each in reason] if reason else None,
        max_replays,
    )
    with open_database(settings) as database:
        found = existing_run(database, run)
        opened = (lambda: open_model(settings, device)) if apply else None
        report = requeue(database, found, choice, lambda: datetime.now(UTC), opened)
    if as_json:
        console.print_json(
            {
                "run": report.run,
                "dry_run": not apply,
                "prospects": dict(report.prospects),
                "reasons": dict(report.reasons),
                **asdict(report.replayed),
            }
        )
    else:
        _show(report, dry=not apply)


def parse_position(position: str) -> tuple[str, int, int]:
    """Source, partition and offset of ``source[partition]@offset``. Raises BadParameter."""
    found = _POSITION.fullmatch(position)
    if found is None:
        raise typer.BadParameter(
            f"{position!r} is no position: it is written source[partition]@offset, news[0]@12"
        )
    return found["source"], int(found["partition"]), int(found["offset"])


def readable(payload: bytes | None) -> str:
    """The bytes as text that no terminal obeys: what is not printable is escaped."""
    text = (payload or b"").decode("utf-8", "backslashreplace")
    shown = (c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    return "".join(shown)


def _as_json(letter: DeadLetterRow) -> dict[str, Any]:
    payload = (letter.payload or b"").decode("utf-8", "backslashreplace")
    return {**asdict(letter), "position": letter.position, "payload": payload}


def _show(report: RequeueReport, *, dry: bool) -> None:
    told = _counts(report.prospects) or "there are none"
    if dry:
        console.output.print(f"Run {report.run}: {told} (nothing was changed; --apply does it)")
    else:
        done = report.replayed
        console.output.print(
            f"Run {report.run}: {told}; {done.documents:,} documents and {done.repeats:,} repeats "
            f"added, {done.rejected:,} turned away again, {done.taken:,} changed meanwhile"
        )
    if report.reasons:
        console.output.print(f"Still turned away: {_counts(report.reasons)}")


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counted.items()))
