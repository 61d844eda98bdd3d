"""``correct`` and ``corrections``: what analysts say of documents, written and read.

Labels are those of the model that scored the document; nothing is trained here.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from dashboard.common.plain import plain
from store.corrections import (
    Correction,
    LabelledDocument,
    add_correction,
    corrections_of,
    read_corrections,
    withdraw_corrections,
)
from store.runs import LIVE, find_run
from tapewatch import console
from tapewatch.commands.options import Json, RunName, user_name
from tapewatch.database import open_database
from tapewatch.settings import Settings

_SHOWN = 60
"""Characters of a text in the table."""


def correct(  # noqa: PLR0913 - the options of the command
    document_id: Annotated[str, typer.Argument(help="Id of the document.")],
    run: RunName = LIVE,
    topic: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    sentiment: Annotated[str | None, typer.Option(help="negative, neutral or positive.")] = None,
    author: Annotated[
        str | None, typer.Option(help="Who says so; by default the user of this machine.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Why.")] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take back what was said of the document.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a document is about or how it feels; a label not given stays as last corrected."""
    if withdraw == bool(topic or sentiment):
        raise typer.BadParameter("give --topic, --sentiment or both, or --withdraw alone")
    name = author or user_name("--author")
    with open_database(Settings()) as database, database.transaction() as connection:
        run_id = find_run(connection, run).id
        if withdraw:
            withdraw_corrections(connection, run_id, document_id, name, note)
        else:
            before = next(iter(corrections_of(connection, run_id, document_id)), None)
            topic = topic or (before.topic if before else None)
            sentiment = sentiment or (before.sentiment if before else None)
            said = Correction(run_id, document_id, topic, sentiment, name, note)
            add_correction(connection, said)
        history = corrections_of(connection, run_id, document_id)
    if as_json:
        console.print_json({"run": run, "document_id": document_id, **asdict(history[0])})
    else:
        latest = history[0]
        told = [plain(label) for label in (latest.topic, latest.sentiment) if label]
        outcome = " and ".join(told) or "as the model has it"
        console.output.print(f"{plain(document_id)} is {outcome}, says {plain(latest.author)}")


def corrections(
    run: Annotated[str | None, typer.Option("--run", help="One run; by default all.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="JSONL to write: text, topic, sentiment, to train on."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what analysts corrected, each document as the latest correction has it."""
    with open_database(Settings()) as database, database.transaction() as connection:
        run_id = None if run is None else find_run(connection, run).id
        found = read_corrections(connection, run_id)
    if output is not None:
        _export(found, output)
        console.messages.print(f"{len(found):,} corrected documents written to {output}")
    if as_json:
        for row in found:
            console.print_json({**asdict(row), "at": row.at.isoformat()})
    elif output is None and found:
        _show(found)
    elif output is None:
        console.output.print("Nothing has been corrected.")


def _export(found: list[LabelledDocument], path: Path) -> None:
    """One object a line; a label that was not judged is absent."""
    try:
        with path.open("wb") as stream:
            for row in found:
                labels = {"topic": row.topic, "sentiment": row.sentiment}
                told = {name: label for name, label in labels.items() if label is not None}
                stream.write(msgspec.json.encode({"text": row.text, **told}) + b"\n")
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path}: {error.strerror}") from error


def _show(found: list[LabelledDocument]) -> None:
    columns = ("run", "document", "text", "topic", "sentiment", "author", "at (UTC)", "note")
    rows = [
        (
            plain(row.run),
            plain(row.document_id),
            plain(row.text, _SHOWN),
            row.topic and plain(row.topic),
            row.sentiment,
            plain(row.author),
            f"{row.at:%Y-%m-%d %H:%M}",
            plain(row.note or ""),
        )
        for row in found
    ]
    console.print_table("Corrections", columns, rows)
