"""Archives: documents in Parquet files, and their predictions in others.

An archive is a file or a folder of files with the columns ``id``, ``text`` and perhaps ``title``.
Out comes one row for each row, in the same order: the id, the classes, probabilities as integers
of 1e-4 and the model. A text that holds nothing but white space is not scored; its row says so by
being empty. The output appears whole or not at all. Knows no device and no database.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import compute, parquet

from classifier.labels import Labels
from classifier.prediction import Prediction

REQUIRED = ("id", "text")
GROUP_ROWS = 65_536
"""Rows of a row group of the output."""

PART_GROUPS = 16
"""Row groups of one file of the output."""


class ArchiveError(Exception):
    """An archive cannot be read or written; the message says why and what to do."""


class Scores(Protocol):
    """What scores texts."""

    def score(self, texts: Sequence[str]) -> Sequence[Prediction]:
        """One prediction a text, in order."""


@dataclass(frozen=True)
class Archive:
    """Parquet files that were found to hold documents."""

    files: tuple[Path, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the first file."""
        return parquet.read_schema(self.files[0])

    @cached_property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(int(parquet.read_metadata(path).num_rows) for path in self.files)

    def batches(self, size: int) -> Iterator[pa.Table]:
        """Tables of at most ``size`` rows, in order, of the columns of ours that there are."""
        for path in self.files:
            with parquet.ParquetFile(path) as file:
                names = columns_of(file.schema_arrow)
                for batch in file.iter_batches(batch_size=size, columns=names):
                    yield pa.Table.from_batches([batch])


def open_archive(path: Path) -> Archive:
    """The archive at ``path``, a file or a folder. Raises ArchiveError."""
    if not path.exists():
        raise ArchiveError(f"there is no archive at {path}")
    files = tuple(sorted(path.rglob("*.parquet"))) if path.is_dir() else (path,)
    if not files:
        raise ArchiveError(f"no file in {path} ends with .parquet")
    for file in files:
        try:
            schema = parquet.read_schema(file)
        except (pa.ArrowInvalid, OSError) as error:
            raise ArchiveError(f"{file} cannot be read as Parquet: {error}") from error
        missing = [name for name in REQUIRED if name not in schema.names]
        if missing:
            raise ArchiveError(
                f"{file} lacks the column {' and '.join(missing)}; it has "
                f"{', '.join(schema.names) or 'none'}"
            )
        _check_types(file, schema)
    return Archive(files)


def columns_of(schema: pa.Schema) -> list[str]:
    """The columns of ours that the schema has."""
    return [name for name in (*REQUIRED, "title") if name in schema.names]


def schema_of(labels: Labels) -> pa.Schema:
    """What the output looks like: a field for each class of the model."""
    return pa.schema(
        [
            ("id", pa.string()),
            ("topic", pa.string()),
            ("sentiment", pa.string()),
            ("score", pa.int16()),
            ("topic_probabilities", _classes(labels.topics)),
            ("sentiment_probabilities", _classes(labels.sentiments)),
            ("truncated", pa.bool_()),
            ("model", pa.string()),
        ]
    )


def score_table(documents: pa.Table, model: Scores, schema: pa.Schema) -> pa.Table:
    """The rows of the output for those of ``documents``, in their order."""
    contents = [
        content(text, title)
        for text, title in zip(_strings(documents, "text"), _strings(documents, "title"),
                               strict=True)
    ]  # fmt: skip
    readable = [index for index, text in enumerate(contents) if text]
    predictions: list[Prediction | None] = [None] * len(contents)
    for index, said in zip(
        readable, model.score([contents[index] for index in readable]) if readable else (),
        strict=True,
    ):  # fmt: skip
        predictions[index] = said
    rows = [
        {"id": identity, **(_row(said) if said else {})}
        for identity, said in zip(_strings(documents, "id"), predictions, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema)


def content(text: str | None, title: str | None) -> str:
    """What the model reads of a row: what it reads of the same document in a feed."""
    read, headline = ((part or "").replace("\x00", "").strip() for part in (text, title))
    if not read:
        return ""
    return f"{headline}\n{read}" if headline else read


@dataclass(slots=True)
class Written:
    """What has been written: rows, those without a prediction, those whose text was cut."""

    rows: int = 0
    unscored: int = 0
    truncated: int = 0
    model: str | None = None

    def count(self, table: pa.Table) -> None:
        """Count the rows of ``table``. Raises ArchiveError if another model made them."""
        self.rows += table.num_rows
        self.unscored += table["model"].null_count
        self.truncated += compute.sum(table["truncated"]).as_py() or 0
        for model in compute.unique(table["model"].drop_null()).to_pylist():
            if self.model not in {None, model}:
                raise ArchiveError(
                    f"the weights changed from {self.model} to {model} in the middle: run it again"
                )
            self.model = model


def write_scored(
    output: Path,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    on_written: Callable[[int], None] = lambda _: None,
) -> Written:
    """Write ``tables`` into the folder ``output``, which is there at the end and not before.

    ``on_written`` is told the rows so far. Raises ArchiveError if something is there already, or
    if the tables are by more than one model.
    """
    check_output(output)
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    written = Written()
    try:
        with closing(_Parts(unfinished, schema)) as parts:
            for table in tables:
                written.count(table)
                parts.add(table)
                on_written(written.rows)
        unfinished.replace(output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return written


def check_output(output: Path) -> None:
    """Nothing may be there that would be lost. Raises ArchiveError."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise ArchiveError(f"{output} is there already: name a folder that is not, or empty it")


class _Parts:
    """Files of even row groups, however small the tables are that come in."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._waiting: list[pa.Table] = []
        self._rows = self._groups = 0
        self._writer = self._open()

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        try:
            if self._waiting:
                self._flush()
        finally:
            self._writer.close()

    def _flush(self) -> None:
        if self._groups and self._groups % PART_GROUPS == 0:
            self._writer.close()
            self._writer = self._open()
        self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting, self._rows = [], 0
        self._groups += 1

    def _open(self) -> parquet.ParquetWriter:
        path = self._folder / f"part-{self._groups // PART_GROUPS:05}.parquet"
        return parquet.ParquetWriter(path, self._schema, compression="zstd")


def _check_types(file: Path, schema: pa.Schema) -> None:
    for name in columns_of(schema):
        kind = schema.field(name).type
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        textual = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
        fits = any(is_kind(inner) for is_kind in textual)
        if not (fits or (name == "id" and pa.types.is_integer(inner))):
            raise ArchiveError(f"{file}: the column {name} holds {kind}, not text")


def _classes(names: Sequence[str]) -> pa.DataType:
    return pa.struct([(name, pa.int16()) for name in names])


def _strings(table: pa.Table, name: str) -> list[str | None]:
    """A column as text; empty where there is none of that name."""
    if name not in table.column_names:
        return [None] * table.num_rows
    return [None if value is None else str(value) for value in table[name].to_pylist()]


def _row(said: Prediction) -> dict[str, Any]:
    return {
        "topic": said.topic,
        "sentiment": said.sentiment,
        "score": said.score,
        "topic_probabilities": said.topic_probabilities,
        "sentiment_probabilities": said.sentiment_probabilities,
        "truncated": said.truncated,
        "model": said.model,
    }
