"""``rescore``: the documents of a run scored anew by the weights at hand; the old scores are kept.

Batches are independent transactions: an interrupted command is run again and goes on. With
``--input`` the documents are those of an archive instead, see ``tapewatch.commands.archiving``.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from classifier.prediction import Prediction
from store.commits import register_model
from store.database import Database
from store.rescoring import Replaced, count_to_rescore, documents_to_rescore, replace_scores
from store.runs import LIVE, Run
from tapewatch import console
from tapewatch.champion import Model
from tapewatch.commands.archiving import EngineName, rescore_archive, show_archive
from tapewatch.commands.options import Device, Json
from tapewatch.database import open_database
from tapewatch.remote.errors import ScorerError
from tapewatch.settings import Settings
from tapewatch.wiring import existing_run, open_model


@dataclass(frozen=True, slots=True)
class RescoreReport:
    """What a rescoring came to, for people and for programs.

    ``remaining`` documents came from another model while it went on.
    """

    run: str
    model: str
    documents: int
    topics_changed: int
    sentiments_changed: int
    remaining: int
    seconds: float


def rescore(  # noqa: PLR0913 - the options of the command
    run: Annotated[
        str | None, typer.Option("--run", help="Name of the run; by default `live`.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", help="Parquet file or folder to score instead: id, text, title."),
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--output", help="Folder for its predictions (Parquet).")
    ] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="What scores an archive; by default `local`.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Workers of Ray; by default one a GPU or four processors."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Documents at once, not TAPEWATCH_BATCH_DOCUMENTS.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score a run or an archive anew; a run keeps its old scores, and its alerts stay."""
    settings = Settings()
    if batch:
        settings = settings.model_copy(update={"batch_documents": batch})
    if source is None and target is None:
        if engine or workers:
            raise typer.BadParameter("--engine and --workers are for archives: add --input")
        _rescore_run(settings, run or LIVE, device, as_json=as_json)
        return
    if source is None or target is None or run is not None:
        raise typer.BadParameter("give --input and --output, or a run")
    if workers and engine is not EngineName.RAY:
        raise typer.BadParameter("--workers is for --engine ray")
    named = engine or EngineName.LOCAL
    report = rescore_archive(settings, source, target, named, device, workers or 0)
    show_archive(report, as_json=as_json)


def _rescore_run(settings: Settings, run: str, device: str, *, as_json: bool) -> None:
    with open_database(settings) as database, console.progress_bar() as progress:
        found = existing_run(database, run)
        task = progress.add_task("Loading the model", total=None, detail="")
        model = open_model(settings, device)

        def on_progress(read: int, total: int) -> None:
            name = f"Rescoring {run}"
            detail = f"{read:,} of {total:,} documents"
            progress.update(task, description=name, completed=read, total=total, detail=detail)

        report = rescore_run(database, model, found, settings.batch_documents, on_progress)
    if as_json:
        console.print_json(asdict(report))
        return
    console.output.print(
        f"Run {report.run}: {report.documents:,} documents rescored by {report.model}, "
        f"{report.topics_changed:,} with another topic, "
        f"{report.sentiments_changed:,} with another sentiment; {report.seconds:.1f} s"
    )
    if report.remaining:
        console.output.print(
            f"{report.remaining:,} documents came from another model meanwhile; run it again"
        )


def rescore_run(
    database: Database,
    model: Model,
    run: Run,
    batch_documents: int,
    on_progress: Callable[[int, int], None] = lambda _, __: None,
) -> RescoreReport:
    """Go once over every document of ``run`` that another model than ``model`` has scored.

    ``on_progress`` takes the documents done and those to be done. Raises DatabaseUnavailableError,
    and ScorerError if a server that scores changes its weights; what was done stays done.
    """
    begun, version = time.monotonic(), model.version
    with database.transaction() as connection:
        register_model(connection, version, model.labels)
        total = count_to_rescore(connection, run.id, version)
    replaced, read, last = Replaced(), 0, ""
    on_progress(read, total)
    while True:
        with database.transaction() as connection:
            batch = documents_to_rescore(connection, run.id, version, last, batch_documents)
        if not batch:
            break
        predictions = model.score([document.text for document in batch])
        _check_version(predictions, version)
        with database.transaction() as connection:
            replaced += replace_scores(connection, run.id, batch, predictions)
        read, last = read + len(batch), batch[-1].id
        on_progress(read, max(read, total))
    with database.transaction() as connection:
        remaining = count_to_rescore(connection, run.id, version)
    return RescoreReport(
        run=run.name,
        model=version,
        documents=replaced.documents,
        topics_changed=replaced.topics,
        sentiments_changed=replaced.sentiments,
        remaining=remaining,
        seconds=round(time.monotonic() - begun, 2),
    )


def _check_version(predictions: Sequence[Prediction], version: str) -> None:
    """Only a server can change its weights meanwhile."""
    others = {said.model for said in predictions} - {version}
    if others:
        raise ScorerError(
            f"the scorer changed from {version} to {', '.join(sorted(others))} meanwhile; "
            "run it again"
        )
