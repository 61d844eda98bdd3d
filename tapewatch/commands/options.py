"""Options that several commands share, so that they read and behave the same everywhere."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RunName = Annotated[str, typer.Option("--run", help="Name of the run.")]
RulesFile = Annotated[
    Path | None, typer.Option("--rules", help="Rules file instead of TAPEWATCH_RULES.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        help="Labelled rows: CSV, JSONL, Parquet, a folder of the public sets (docs/data.md) or of "
        "one of them, or a data set of the Hub. May be given more than once.",
    ),
]
Output = Annotated[Path, typer.Option("--output", help="Folder for the weights.")]


def user_name(option: str) -> str:
    """Who works at this machine; where it does not say, ``option`` must."""
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:  # KeyError before Python 3.13
        raise typer.BadParameter(f"this machine does not say who you are; add {option}") from error
