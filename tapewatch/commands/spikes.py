"""``spikes``: the spike detector on any series in a CSV file."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TextIO

import typer

from alerts.rules.ruleset import duration
from alerts.spikes import Detector, Kind, Parameters, Reason, Sides, SpikeError, Verdict
from tapewatch import console
from tapewatch.commands.options import Json
from tapewatch.series import Row, SeriesError, read_rows, with_step

_DEFAULT = Parameters()
_LINE = "{:<16}  {:>9}  {:>9}  {:>19}  {:>5}  {:>8}  {}"
_HEADER = _LINE.format("time (UTC)", "value", "baseline", "band", "score", "severity", "verdict")


def _length(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def spikes(  # noqa: PLR0913 - the options of the command
    file: Annotated[
        Path,
        typer.Argument(help="CSV with the columns timestamp and value; - for standard input."),
    ],
    step: Annotated[
        timedelta | None,
        typer.Option(
            parser=_length, metavar="TIME", help="Time between rows, such as 5m; else inferred."
        ),
    ] = None,
    kind: Annotated[
        Kind, typer.Option(help="What the values are; auto: counts until one is none.")
    ] = _DEFAULT.kind,
    sides: Annotated[Sides, typer.Option(help="Which deviations alert.")] = _DEFAULT.sides,
    threshold: Annotated[
        float, typer.Option(min=0.1, help="-log10 of the probability at which a row alerts.")
    ] = _DEFAULT.threshold,
    persistence: Annotated[
        int, typer.Option(min=1, help="Rows in a row that must be beyond the threshold ...")
    ] = _DEFAULT.persistence,
    lone: Annotated[
        float, typer.Option(min=0, help="... unless one alone is beyond it by so much.")
    ] = _DEFAULT.lone,
    warm_up: Annotated[
        timedelta | None,
        typer.Option("--warm-up", parser=_length, metavar="TIME", help="No alert before; 2d."),
    ] = None,
    hold: Annotated[
        timedelta | None,
        typer.Option(parser=_length, metavar="TIME", help="No further alert for so long; 12h."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every row, not alerts only.")] = False,
    as_json: Json = False,
) -> None:
    """Find spikes and drops in a series; every row is judged by those before it only.

    Prints the rows that alert and a summary; with --json every row, one object a line.
    """
    parameters = Parameters(
        kind=kind,
        sides=sides,
        threshold=threshold,
        persistence=persistence,
        lone=lone,
        warm_up=_DEFAULT.warm_up if warm_up is None else warm_up,
        hold=_DEFAULT.hold if hold is None else hold,
    )
    name = "standard input" if str(file) == "-" else str(file)
    with _opened(file) as lines:
        rows = read_rows(lines, name)
        if step is None:
            step, rows = with_step(rows, name)
        verdicts = judge(rows, Detector(step, parameters), name)
        if as_json:
            for verdict in verdicts:
                console.print_json(as_plain(verdict))
        else:
            _show(verdicts, step, every=every)


def judge(rows: Iterator[Row], detector: Detector, name: str) -> Iterator[Verdict]:
    """A verdict for each row, as it comes; errors name the line."""
    for row in rows:
        try:
            yield detector.update(row.timestamp, row.value, row.total)
        except SpikeError as error:
            raise SeriesError(f"{name}, line {row.line}: {error}") from error


def as_plain(verdict: Verdict) -> dict[str, object]:
    """What ``--json`` prints."""
    return {
        "timestamp": verdict.timestamp.isoformat(),
        "value": verdict.value,
        "score": verdict.score,
        "baseline": verdict.baseline,
        "lower": verdict.lower,
        "upper": verdict.upper,
        "severity": verdict.severity,
        "alert": verdict.alert,
    }


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    if str(file) == "-":
        yield sys.stdin
        return
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except FileNotFoundError as error:
        raise SeriesError(f"there is no series at {file}") from error
    except (IsADirectoryError, PermissionError) as error:
        raise SeriesError(f"{file} cannot be read: {os.strerror(error.errno or 0)}") from error


def _show(verdicts: Iterator[Verdict], step: timedelta, *, every: bool) -> None:
    """Lines as rows come, for people, and a summary at the end."""
    told: Counter[str] = Counter()
    first = last = None
    shown = False
    for verdict in verdicts:
        first, last = first or verdict.timestamp, verdict.timestamp
        told.update(
            rows=1,
            alerts=verdict.alert,
            missing=verdict.value is None,
            warming=verdict.reason is Reason.WARMING_UP,
        )
        if every or verdict.alert:
            if not shown:
                console.output.print(_HEADER)
            shown = True
            console.output.print(_line(verdict, mark=every))
    if first is None or last is None:
        console.output.print("No rows.")
        return
    unknown = f", {told['missing']:,} without a value" if told["missing"] else ""
    console.output.print(
        f"{told['rows']:,} rows, one each {step}, from {first:%Y-%m-%d %H:%M} to "
        f"{last:%Y-%m-%d %H:%M} UTC{unknown}; {told['warming']:,} to warm up; "
        f"{told['alerts']:,} alert{'' if told['alerts'] == 1 else 's'}"
    )


def _line(verdict: Verdict, *, mark: bool) -> str:
    return _LINE.format(
        f"{verdict.timestamp:%Y-%m-%d %H:%M}",
        _number(verdict.value),
        _number(verdict.baseline),
        f"{_number(verdict.lower)} to {_number(verdict.upper)}",
        f"{verdict.score:.2f}",
        verdict.severity or "-",
        f"ALERT {verdict.reason}" if mark and verdict.alert else str(verdict.reason),
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
