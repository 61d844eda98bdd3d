"""What becomes of new weights: told while they are made, shown, and put into the registry."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.recipe import CHAMPION, SHIPPED
from tapewatch import console
from tapewatch.champion import SHIPPED as SHIPPED_FOLDER
from tapewatch.champion import open_registry, serving_folder
from tapewatch.settings import Settings

if TYPE_CHECKING:
    from classifier.training.finishing import Made, Tell

_LINE_SECONDS = 30.0
"""How often progress is told in a log, where a bar does not move."""

_FIGURES = {"loss": "loss", "eval_loss": "development loss", "eval_macro_f1": "macro F1"}


def weights_named(name: str, settings: Settings) -> str:
    """The folder of ``shipped`` or of ``champion``; any other name is one itself."""
    if name == SHIPPED:
        return str(SHIPPED_FOLDER)
    return str(serving_folder(settings)) if name == CHAMPION else name


def put_forward(settings: Settings, folder: Path, version: str, by: str, reason: str) -> None:
    """Put the weights in ``folder`` into the registry as challenger: who did it, and why."""
    from classifier.continual.registry import Note  # noqa: PLC0415

    registry = open_registry(settings)
    registry.add(folder, version)
    registry.challenge(version, Note(at=datetime.now(UTC), by=by, reason=reason))
    console.messages.print(f"{version} is the challenger: `tapewatch promote` compares it")


def _plain(made: "Made", output: Path) -> dict[str, Any]:
    from classifier.evaluation.scores import as_json  # noqa: PLC0415

    return {
        "version": made.version,
        "weights": str(output),
        "before": as_json(made.before),
        "after": as_json(made.after),
        "calibration": {c.head: asdict(c) for c in made.calibrations},
    }


def show(made: "Made", output: Path, *, as_json: bool) -> None:
    """The scores before and after, as a table or as JSON."""
    if as_json:
        console.print_json(_plain(made, output))
        return
    before = {(name, s.head): s for name, of_set in made.before.items() for s in of_set}
    table = [
        (
            name,
            s.head,
            f"{s.rows:,}",
            f"{before[name, s.head].accuracy:.3f}",
            f"{s.accuracy:.3f}",
            f"{before[name, s.head].macro_f1:.3f}",
            f"{s.macro_f1:.3f}",
            f"{s.ece:.3f}",
        )
        for name, of_set in made.after.items()
        for s in of_set
    ]
    columns = ("test", "head", "rows", "accuracy before", "after", "macro F1 before", "after",
               "ECE")  # fmt: skip
    console.print_table(made.version, columns, table)


@contextmanager
def telling() -> Iterator["Tell"]:
    """A progress bar for each stage, with the newest losses beside it; lines where none moves."""
    with console.progress_bar() as progress:
        tasks: dict[str, Any] = {}
        told_at = time.monotonic()

        def tell(stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage.capitalize(), total=total, detail="")
            shown = [
                f"{name} {float(figures[key]):.3f}"
                for key, name in _FIGURES.items()
                if key in figures
            ]
            progress.update(tasks[stage], completed=done, total=total, detail=", ".join(shown))
            nonlocal told_at
            waited = time.monotonic() - told_at
            if not console.messages.is_terminal and waited >= _LINE_SECONDS:
                told_at += waited
                console.messages.print(", ".join([f"{stage} {done:,}/{total:,}", *shown]))

        yield tell
