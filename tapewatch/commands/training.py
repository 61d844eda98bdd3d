"""``pretrain``, ``train`` and ``distil``: from texts to weights, with their card."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from classifier.labels import UNSORTED, Labels
from classifier.recipe import CHAMPION, DistilRecipe, Recipe, read_recipe
from store.corrections import read_corrections
from tapewatch import console
from tapewatch.commands.options import Data, Json, Output
from tapewatch.commands.outcome import put_forward, show, telling, weights_named
from tapewatch.commands.recipes import (
    given_command,
    read_pairs,
    read_sources,
    read_teachers,
    with_shipped_teacher,
)
from tapewatch.database import open_database
from tapewatch.settings import Settings

Config = Annotated[
    Path | None, typer.Option("--config", help="Recipe (TOML): docs/training.md lists the keys.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE: any key of the recipe, such as optimizer=sgd."),
]


def pretrain(  # noqa: PLR0913 - the options of the command
    data: Annotated[
        list[Path],
        typer.Option("--data", help="A folder of the public sets, or files: a text a line."),
    ],
    output: Annotated[Path, typer.Option("--output", help="Folder for the base.")],
    base: Annotated[
        str | None,
        typer.Option(help="Go on from this language model (folder or Hub name), not from scratch."),
    ] = None,
    embeddings: Annotated[
        str | None, typer.Option(help="Encoder that the word embeddings start from.")
    ] = None,
    blocks_from: Annotated[
        str | None,
        typer.Option(help="Encoder (BERT) that the first blocks and the embeddings start from."),
    ] = None,
    layers: Annotated[int, typer.Option(min=1, help="Blocks, from scratch.")] = 6,
    width: Annotated[int, typer.Option(min=8, help="Width, from scratch.")] = 256,
    heads: Annotated[int, typer.Option(min=1, help="Attention heads, from scratch.")] = 4,
    vocabulary: Annotated[int, typer.Option(min=300, help="Tokens, from scratch.")] = 10_240,
    context: Annotated[int, typer.Option(min=16, help="Tokens of a block.")] = 128,
    epochs: Annotated[float, typer.Option(min=0, help="Passes over the texts.")] = 2.5,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-3,
    texts: Annotated[int | None, typer.Option(help="Use so many texts only: for a try.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random draw.")] = 7,
    as_json: Json = False,
) -> None:
    """Train a language model on unlabelled texts, from scratch or on top of one."""
    from classifier.data.public import read_texts  # noqa: PLC0415
    from classifier.training.pretraining import PretrainingSettings  # noqa: PLC0415 - torch takes seconds
    from classifier.training.pretraining import pretrain as pretrain_base  # noqa: PLC0415
    from classifier.training.progress import Progress  # noqa: PLC0415

    corpus = read_texts(data)[:texts]
    console.messages.print(f"{len(corpus):,} distinct texts")
    settings = PretrainingSettings(
        layers=layers,
        width=width,
        heads=heads,
        vocabulary=vocabulary,
        context=context,
        epochs=epochs,
        learning_rate=learning_rate,
        base=base,
        embeddings=embeddings,
        blocks_from=blocks_from,
        seed=seed,
    )
    with telling() as tell:
        watch = Progress(lambda *step: tell("pre-training", *step))
        loss = pretrain_base(corpus, output, settings, [watch], given_command())
    if as_json:
        console.print_json({"base": str(output), "texts": len(corpus), "nats_per_token": loss})
    else:
        told = "left as it starts" if loss is None else f"{loss:.3f} nats a token on held-out texts"
        console.output.print(f"{output}: {told}")


def train(  # noqa: PLR0913 - the options of the command
    output: Output,
    config: Config = None,
    data: Data = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            "--from",
            help="What to start from: a folder or Hub name of a language model, `shipped`, or "
            "`champion`.",
        ),
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="heads, last, full or lora.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the rows.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    rows: Annotated[int | None, typer.Option(help="Use so many rows only: for a try.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    keys: Set = None,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="Add what analysts corrected in the dashboard.")
    ] = False,
    challenger: Annotated[
        bool, typer.Option("--challenger", help="Put the result into the registry as challenger.")
    ] = False,
    published: Annotated[
        bool,
        typer.Option(
            "--published-split",
            help="Train on the topic set's rows as published, though some repeat test rows.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Fine-tune on labelled texts, measure before and after, calibrate, write weights and card."""
    given = {
        "base": base,
        "data": read_sources(data),
        "strategy": strategy,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "rows": rows,
        "seed": seed,
        **read_pairs(keys),
    }
    recipe = read_recipe(Recipe, config, given)
    _make(recipe, output, feedback=feedback, challenger=challenger, published=published,
          as_json=as_json)  # fmt: skip


def distil(  # noqa: PLR0913 - the options of the command
    output: Output,
    config: Config = None,
    data: Data = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Language model of the student.")
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher",
            help="Folder of weights that teaches, or `shipped`; more than once: a mean. "
            "PATH:of=SET+SET: for the texts of these sets only, in place of the others.",
        ),
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the texts.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    rows: Annotated[int | None, typer.Option(help="Use so many rows only: for a try.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    keys: Set = None,
    challenger: Annotated[
        bool, typer.Option("--challenger", help="Put the result into the registry as challenger.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Teach a small GPT what larger models say of many texts, labelled or not."""
    given = {
        "base": base,
        "data": read_sources(data),
        "teachers": read_teachers(teacher),
        "epochs": epochs,
        "learning_rate": learning_rate,
        "rows": rows,
        "seed": seed,
        **read_pairs(keys),
    }
    recipe = with_shipped_teacher(read_recipe(DistilRecipe, config, given))
    _make(recipe, output, feedback=False, challenger=challenger, published=False, as_json=as_json)


def _make(  # noqa: PLR0913 - what both commands share
    recipe: Recipe,
    output: Path,
    *,
    feedback: bool,
    challenger: bool,
    published: bool,
    as_json: bool,
) -> None:
    from classifier.data.rows import gather  # noqa: PLC0415
    from classifier.model import LABELS_FILE, read_labels  # noqa: PLC0415
    from classifier.training.making import make_weights  # noqa: PLC0415 - torch takes seconds

    settings = Settings()
    base = weights_named(recipe.base, settings)
    theirs = read_labels(Path(base)) if (Path(base) / LABELS_FILE).is_file() else None
    known = theirs if recipe.base == CHAMPION else None
    otherwise = theirs or Labels(topics=(UNSORTED,))
    corrections = _corrections(settings) if feedback else []
    rows = gather(recipe, known, corrections, otherwise=otherwise, published=published)
    for note in rows.notes:
        console.messages.print(note)
    if feedback:
        console.messages.print(f"{rows.corrections} corrected rows, of {len(corrections)}")
    today = datetime.now(UTC).date()
    with telling() as tell:
        made = make_weights(recipe, rows, base, output, today, [given_command()], tell)
    if challenger:
        put_forward(settings, output, made.version, "tapewatch train", "trained")
    show(made, output, as_json=as_json)


def _corrections(settings: Settings) -> list[Any]:
    from classifier.data.rows import Correction  # noqa: PLC0415

    with open_database(settings) as database, database.transaction() as connection:
        found = read_corrections(connection)
    return [Correction(row.text, row.topic, row.sentiment) for row in found]
