"""``average``: the mean of weights that went on from one another, measured like any other."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from classifier.recipe import Recipe, read_recipe
from tapewatch import console
from tapewatch.commands.options import Data, Json, Output
from tapewatch.commands.outcome import put_forward, show, telling, weights_named
from tapewatch.commands.recipes import given_command, read_sources
from tapewatch.settings import Settings


def average(
    weights: Annotated[
        list[str],
        typer.Argument(
            help="Folders of weights that went on from one another or from one start, `shipped`, "
            "or `champion`; two or more."
        ),
    ],
    output: Output,
    data: Data = None,
    challenger: Annotated[
        bool, typer.Option("--challenger", help="Put the result into the registry as challenger.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the mean of weights, calibrate and measure it, write weights and card."""
    from classifier.data.rows import gather  # noqa: PLC0415
    from classifier.model import read_labels  # noqa: PLC0415
    from classifier.training.averaging import average_weights  # noqa: PLC0415 - torch takes seconds

    settings = Settings()
    parts = [Path(weights_named(name, settings)) for name in weights]
    recipe = read_recipe(Recipe, None, {"base": weights[0], "data": read_sources(data)})
    rows = gather(recipe, read_labels(parts[0]))
    for note in rows.notes:
        console.messages.print(note)
    today = datetime.now(UTC).date()
    with telling() as tell:
        made = average_weights(parts, rows, output, today, [given_command()], tell)
    if challenger:
        put_forward(settings, output, made.version, "tapewatch average", "averaged")
    show(made, output, as_json=as_json)
