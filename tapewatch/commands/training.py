"""``pretrain`` and ``train``: from texts to the weights that ship."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tapewatch import console

Data = Annotated[Path, typer.Option("--data", help="Folder of the training sets: docs/data.md.")]


def pretrain(
    data: Data,
    output: Annotated[Path, typer.Option("--output", help="Folder for the base.")],
    epochs: Annotated[float, typer.Option(help="Passes over the texts.")] = 2.5,
    texts: Annotated[int | None, typer.Option(help="Use so many texts only: for a try.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random draw.")] = 7,
) -> None:
    """Train a tokenizer and a language model from scratch on unlabelled texts."""
    from classifier.datasets import load_corpus  # noqa: PLC0415 - torch takes seconds
    from classifier.pretraining import PretrainingSettings  # noqa: PLC0415
    from classifier.pretraining import pretrain as pretrain_base  # noqa: PLC0415

    corpus = load_corpus(data)[:texts]
    console.messages.print(f"{len(corpus):,} distinct texts, no test text among them")
    loss = pretrain_base(corpus, output, PretrainingSettings(epochs=epochs, seed=seed))
    console.output.print(f"{output}: {loss:.3f} nats a token on held-out texts")


def train(  # noqa: PLR0913 - the options of the command
    data: Data,
    base: Annotated[str, typer.Option("--base", help="Folder or Hub name of a causal LM.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for the weights.")],
    epochs: Annotated[float, typer.Option(help="Passes over the labelled rows.")] = 5.0,
    rows: Annotated[int | None, typer.Option(help="Use so many rows only: for a try.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random draw.")] = 7,
) -> None:
    """Fine-tune both heads on labelled texts, measure them, and write weights and card."""
    from classifier.card import write_card  # noqa: PLC0415 - torch takes seconds
    from classifier.datasets import load_splits  # noqa: PLC0415
    from classifier.engine import Engine  # noqa: PLC0415
    from classifier.evaluation import evaluate  # noqa: PLC0415
    from classifier.finetuning import FinetuningSettings, finetune  # noqa: PLC0415
    from classifier.model import save_weights  # noqa: PLC0415
    from classifier.pretraining import BASE_RECORD  # noqa: PLC0415

    splits = load_splits(data)
    labelled = splits.train[:rows]
    work = output.with_name(output.name + ".work")
    settings = FinetuningSettings(epochs=epochs, seed=seed)
    model, tokenizer = finetune(base, labelled, splits.development, work, settings=settings)
    save_weights(model, tokenizer, output)
    shutil.rmtree(work, ignore_errors=True)
    engine = Engine(output)
    scores = {name: evaluate(engine, test) for name, test in splits.tests.items()}
    command = (
        f"tapewatch train --data DATA --base {Path(base).name} --output {output.name} "
        f"--epochs {epochs:g} --seed {seed}" + (f" --rows {rows}" if rows else "")
    )
    counted = {"train": len(labelled), "development": len(splits.development)}
    today = datetime.now(UTC).date()
    record = Path(base) / BASE_RECORD
    origin = json.loads(record.read_text()) if record.is_file() else None
    write_card(output, model, engine.version, scores, command, counted, today, origin)
    table = [
        (name, s.head, s.rows, f"{s.accuracy:.3f}", f"{s.macro_f1:.3f}")
        for name, of_set in scores.items()
        for s in of_set
    ]
    console.print_table(engine.version, ("test", "head", "rows", "accuracy", "macro F1"), table)
