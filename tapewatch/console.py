"""What the commands print: progress, tables, and one JSON object for programs.

Feed text is printed as it is, never as markup.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

output = Console(markup=False, highlight=False, soft_wrap=True)
messages = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """One object on one line of standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for people."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    output.print(table)


def print_alerts(alerts: Sequence[Mapping[str, Any]]) -> None:
    """Alerts as a table for people; they come as ``tapewatch.wiring.as_json`` makes them."""
    rows = [
        (
            alert["run"],
            alert["rule"],
            alert["key"] or "all documents",
            alert["severity"],
            _minute(alert["fired_at"]),
            _minute(alert["resolved_at"]) if alert["resolved_at"] else "firing",
        )
        for alert in alerts
    ]
    columns = ("run", "rule", "key", "severity", "fired", "resolved")
    print_table("Alerts, in event time (UTC)", columns, rows)


def _minute(moment: str) -> str:
    return datetime.fromisoformat(moment).strftime("%d %b %Y %H:%M")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on standard error; lines printed meanwhile stay above it."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=messages,
    ) as progress:
        yield progress
