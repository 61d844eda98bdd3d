"""``rescore``: the documents of a run scored anew by the weights at hand; the old scores are kept.

Batches are independent transactions: an interrupted command is run again and goes on.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from store.commits import register_model
from store.database import Database
from store.rescoring import Replaced, count_to_rescore, documents_to_rescore, replace_scores
from store.runs import LIVE, Run
from tapewatch import console
from tapewatch.champion import Model
from tapewatch.commands.options import Device, Json, RunName
from tapewatch.database import open_database
from tapewatch.settings import Settings
from tapewatch.wiring import existing_run, open_engine


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


def rescore(run: RunName = LIVE, device: Device = "auto", as_json: Json = False) -> None:
    """Score a run's documents anew with these weights; old scores are kept, alerts stay."""
    settings = Settings()
    with open_database(settings) as database, console.progress_bar() as progress:
        found = existing_run(database, run)
        task = progress.add_task("Loading the model", total=None, detail="")
        model = open_engine(settings, device)

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

    ``on_progress`` takes the documents done and those to be done. Raises DatabaseUnavailableError;
    what was done until then stays done.
    """
    begun = time.monotonic()
    with database.transaction() as connection:
        register_model(connection, model.version, model.labels)
        total = count_to_rescore(connection, run.id, model.version)
    replaced, read, last = Replaced(), 0, ""
    on_progress(read, total)
    while True:
        with database.transaction() as connection:
            batch = documents_to_rescore(connection, run.id, model.version, last, batch_documents)
        if not batch:
            break
        predictions = model.score([document.text for document in batch])
        with database.transaction() as connection:
            replaced += replace_scores(connection, run.id, batch, predictions)
        read, last = read + len(batch), batch[-1].id
        on_progress(read, max(read, total))
    with database.transaction() as connection:
        remaining = count_to_rescore(connection, run.id, model.version)
    return RescoreReport(
        run=run.name,
        model=model.version,
        documents=replaced.documents,
        topics_changed=replaced.topics,
        sentiments_changed=replaced.sentiments,
        remaining=remaining,
        seconds=round(time.monotonic() - begun, 2),
    )
