"""``rescore --input``: an archive of documents in Parquet scored into another, by engine or Ray."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa

from classifier.labels import Labels
from tapewatch import console
from tapewatch.archives import (
    Archive,
    ArchiveError,
    check_output,
    open_archive,
    schema_of,
    score_table,
    write_scored,
)
from tapewatch.champion import serving_folder
from tapewatch.ray_scoring import RayOptions, score_on_ray
from tapewatch.remote.protocols import read_label_names
from tapewatch.settings import Settings
from tapewatch.wiring import open_model


class EngineName(StrEnum):
    """What scores an archive: the model in this process, or one in each of several of Ray's."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What the scoring of an archive came to, for people and for programs.

    ``unscored`` rows held no text. ``model`` is None if all of them did.
    """

    input: str
    output: str
    engine: str
    model: str | None
    documents: int
    unscored: int
    truncated: int
    seconds: float


def rescore_archive(  # noqa: PLR0913 - the options of the command
    settings: Settings, source: Path, target: Path, engine: EngineName, device: str, workers: int
) -> ArchiveReport:
    """Score the archive at ``source`` into the folder ``target``. Raises ArchiveError."""
    archive = open_archive(source)
    check_output(target)
    begun = time.monotonic()
    with console.progress_bar() as progress:
        task = progress.add_task("Loading the model", total=archive.rows, detail="")
        labels, tables = _scored(settings, archive, engine, device, workers)

        def on_written(rows: int) -> None:
            detail = f"{rows:,} of {archive.rows:,} documents"
            name = f"Scoring {source.name}"
            progress.update(task, description=name, completed=rows, detail=detail)

        written = write_scored(target, schema_of(labels), tables, on_written)
    return ArchiveReport(
        input=str(source),
        output=str(target),
        engine=engine.value,
        model=written.model,
        documents=written.rows,
        unscored=written.unscored,
        truncated=written.truncated,
        seconds=round(time.monotonic() - begun, 2),
    )


def show_archive(report: ArchiveReport, *, as_json: bool) -> None:
    """The report."""
    if as_json:
        console.print_json(asdict(report))
        return
    console.output.print(
        f"{report.output}: {report.documents:,} documents scored by {report.model}, "
        f"{report.truncated:,} of them truncated; {report.seconds:.1f} s"
    )
    if report.unscored:
        console.output.print(f"{report.unscored:,} rows hold no text and were not scored")


def _scored(
    settings: Settings, archive: Archive, engine: EngineName, device: str, workers: int
) -> tuple[Labels, Iterator[pa.Table]]:
    if engine is EngineName.RAY:
        if settings.scorer_url:
            raise ArchiveError(
                "--engine ray loads the weights in each worker: unset TAPEWATCH_SCORER_URL, or say "
                "--engine local"
            )
        weights = serving_folder(settings)
        labels = read_label_names(weights)
        options = RayOptions(
            device, workers, settings.batch_documents, settings.threads, settings.precision
        )
        return labels, score_on_ray(archive, weights, labels, options)
    model = open_model(settings, device)
    schema = schema_of(model.labels)
    batches = archive.batches(settings.batch_documents)
    return model.labels, (score_table(batch, model, schema) for batch in batches)
