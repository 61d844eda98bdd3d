"""Series that are CSV files: a column ``timestamp``, a column ``value``, and perhaps ``total``.

Rows come one by one, with their line, so that a stream on standard input is judged as it arrives.
Knows no detector.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice, pairwise

COLUMNS = ("timestamp", "value", "total")
FIRST_ROWS = 20
"""Rows that tell the step."""


class SeriesError(ValueError):
    """A file is no series; the message names the line and says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its moment in UTC, its value (None: not known), and the total of a share."""

    line: int
    timestamp: datetime
    value: float | None
    total: int | None


def read_rows(lines: Iterable[str], name: str) -> Iterator[Row]:
    """The rows of a CSV file with a header; other columns are passed over."""
    reader = csv.reader(lines)
    try:
        header = [column.strip().lstrip("\ufeff").lower() for column in next(reader, [])]
        places = {column: header.index(column) for column in COLUMNS if column in header}
        if not {"timestamp", "value"} <= set(places):
            raise SeriesError(
                f"{name}, line 1: there must be a header with the columns timestamp and value"
            )
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _row(cells, places, f"{name}, line {reader.line_num}", reader.line_num)
    except csv.Error as error:
        raise SeriesError(f"{name}, line {reader.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise SeriesError(f"{name} is no text in UTF-8: save it as CSV in UTF-8") from error


def with_step(rows: Iterator[Row], name: str) -> tuple[timedelta, Iterator[Row]]:
    """The commonest distance of the first rows (the shortest of equally common), and all rows."""
    first = list(islice(rows, FIRST_ROWS))
    apart = Counter(after.timestamp - before.timestamp for before, after in pairwise(first))
    steps = [(-count, step) for step, count in apart.items() if step > timedelta(0)]
    if not steps:
        raise SeriesError(
            f"{name} has too few rows in order of time to tell their step: sort it, or give --step"
        )
    return min(steps)[1], chain(first, rows)


def _row(cells: list[str], places: dict[str, int], where: str, line: int) -> Row:
    if len(cells) <= max(places["timestamp"], places["value"]):
        raise SeriesError(f"{where}: there are {len(cells)} cells, fewer than the header has")
    found = {
        column: cells[place].strip() if place < len(cells) else ""
        for column, place in places.items()
    }
    value = _number(found["value"], where)
    total = _whole(found["total"], where) if "total" in found else None
    return Row(line, _moment(found["timestamp"], where), value, total)


def _moment(text: str, where: str) -> datetime:
    """ISO 8601, or seconds since 1970; without a time zone it is taken to be UTC."""
    try:
        if text.replace(".", "", 1).isdecimal():
            return datetime.fromtimestamp(float(text), UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise SeriesError(
            f"{where}: the timestamp {text!r} is none: write 2026-03-10T12:00Z, or seconds of UNIX"
        ) from error


def _number(text: str, where: str) -> float | None:
    if text.lower() in {"", "nan", "na", "null", "none"}:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise SeriesError(
            f"{where}: the value {text!r} is no number: leave it empty if it is unknown"
        ) from error
    if not math.isfinite(value):
        raise SeriesError(f"{where}: the value {text!r} is infinite: leave it empty")
    return value


def _whole(text: str, where: str) -> int:
    value = _number(text, where)
    if value is None:
        return 0
    if value < 0 or value != int(value):
        raise SeriesError(f"{where}: the total {text!r} is no count of documents")
    return int(value)
