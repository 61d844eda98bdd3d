"""Feeds that are files: JSONL, gzipped JSONL, CSV and Parquet, as positioned records.

Every format comes out as JSON bytes, so that files and Kafka meet the same decoder and the same
rejections. The offset of a record is its line or row number. Knows no document and no database.
"""

import csv
import gzip
import io
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import msgspec
from pyarrow import ArrowInvalid, parquet

from ingest.batch import Advance, Checkpoint, Partition, Record
from ingest.document import MAX_BYTES

_LINE_KEPT = 4 * MAX_BYTES
"""Bytes of an overlong line that are kept; the rest is read past."""


_LONGEST_CELL = 2**31 - 1
"""Characters of a CSV cell: whatever there is, for the decoder to turn away."""

_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, csv.Error, ArrowInvalid)


class FeedError(ValueError):
    """A feed file is missing or of a kind we cannot read; the message says what to do."""


class FileSource:
    """One file as a source with a single partition, numbered 0."""

    def __init__(self, path: Path, checkpoint: Checkpoint | None = None) -> None:
        self._records = FeedFile(path)
        self._partition = self._records.partition
        self._start = checkpoint
        self.checkpoints: dict[Partition, Checkpoint | None] = {self._partition: checkpoint}
        self._iterator = self._from(checkpoint)

    def poll(self, limit: int) -> list[Record] | None:
        """The next records, at most ``limit``; None at the end of the file."""
        return list(islice(self._iterator, limit)) or None

    def hold(self) -> None:
        """A file that is not read needs nothing."""

    def lags(self) -> dict[Partition, int]:
        """Nobody counts what is left of a file."""
        return {}

    def committed(self, advances: tuple[Advance, ...]) -> None:
        """Take note of how far the records are safe."""
        for advance in advances:
            self.checkpoints[advance.partition] = advance.checkpoint

    def rewind(self, checkpoints: Mapping[Partition, Checkpoint]) -> None:
        """Go on from the given checkpoints instead."""
        checkpoint = checkpoints.get(self._partition)
        self.checkpoints = {self._partition: checkpoint}
        self._records.close()
        self._iterator = self._from(checkpoint)

    @property
    def progress(self) -> float:
        """How much of the file is read, in [0, 1]."""
        return self._records.progress

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _from(self, checkpoint: Checkpoint | None) -> Iterator[Record]:
        start = checkpoint.next_offset if checkpoint else 0
        return (record for record in self._records if record.offset >= start)


class FeedFile:
    """The records of one file; iterate as often as you like, one iteration at a time."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FeedError(f"there is no feed at {path}")
        self.path = path
        self.partition = Partition(path.name, 0)
        self._reader = _reader(path)
        self._stack = ExitStack()
        self._position: Callable[[], float] = lambda: 0.0

    @property
    def progress(self) -> float:
        """How much of the file is read, in [0, 1]."""
        return min(1.0, self._position())

    def close(self) -> None:
        """Close the file and stop the iteration under way."""
        self._position = lambda: 1.0
        self._stack.close()

    def __iter__(self) -> Iterator[Record]:
        self._stack.close()
        try:
            for offset, payload in self._reader(self):
                if payload:
                    yield Record(self.partition, offset, payload)
        except _DAMAGED as error:
            raise FeedError(f"{self.path} is damaged: {error}") from error

    def open(self) -> IO[bytes]:
        """The file as bytes, its compression undone; progress follows the bytes on disk."""
        raw = self._stack.enter_context(self.path.open("rb"))
        size = max(1, self.path.stat().st_size)
        self._position = lambda: raw.tell() / size if not raw.closed else 1.0
        if self.path.suffix == ".gz":
            return cast("IO[bytes]", self._stack.enter_context(gzip.open(raw, "rb")))
        return raw

    def watch(self, position: Callable[[], float]) -> None:
        """Measure progress by ``position`` instead of bytes."""
        self._position = position


def _reader(path: Path) -> Callable[[FeedFile], Iterator[tuple[int, bytes]]]:
    name = path.name.lower().removesuffix(".gz")
    readers = {
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".csv": _csv_rows,
        ".parquet": _parquet_rows,
    }
    suffix = Path(name).suffix
    if suffix not in readers or (suffix == ".parquet" and path.suffix == ".gz"):
        raise FeedError(
            f"cannot tell the format of {path.name}: name it .jsonl, .jsonl.gz, .csv, .csv.gz "
            "or .parquet"
        )
    return readers[suffix]


def _json_lines(feed: FeedFile) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(_lines(feed.open())):
        payload = (line.removeprefix(BOM_UTF8) if number == 0 else line).rstrip(b"\r\n")
        yield number, b"" if payload.isspace() else payload


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline(_LINE_KEPT):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(_LINE_KEPT)):
            pass
        yield line


def _csv_rows(feed: FeedFile) -> Iterator[tuple[int, bytes]]:
    csv.field_size_limit(_LONGEST_CELL)
    text = io.TextIOWrapper(feed.open(), "utf-8-sig", errors="surrogateescape", newline="")
    with text:
        for number, row in enumerate(csv.DictReader(text)):
            yield number, _as_json(row)


def _parquet_rows(feed: FeedFile) -> Iterator[tuple[int, bytes]]:
    with parquet.ParquetFile(feed.path) as table:
        total = max(1, int(table.metadata.num_rows))
        number = 0

        def position() -> float:
            return number / total

        feed.watch(position)
        for batch in table.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield number - 1, _as_json(row)


def _as_json(row: Mapping[str | None, Any]) -> bytes:
    """A table's row as a record: empty cells are absent fields, a list cell is a list."""
    fields = {str(name): _text(value) for name, value in row.items() if value not in (None, "")}
    symbols = fields.get("symbols")
    if isinstance(symbols, str):
        fields["symbols"] = [name for name in re.split(r"[\s,;|]+", symbols) if name]
    try:
        return msgspec.json.encode(fields, enc_hook=_plain)
    except UnicodeEncodeError:  # bytes that are no UTF-8: let the decoder say so
        return "\x1f".join(map(str, fields.values())).encode("utf-8", "surrogateescape")


def _text(value: object) -> object:
    """Bytes are text: Parquet files of some writers hold their strings so."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
