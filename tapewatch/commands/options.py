"""Options that several commands share, so that they read and behave the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RunName = Annotated[str, typer.Option("--run", help="Name of the run.")]
RulesFile = Annotated[
    Path | None, typer.Option("--rules", help="Rules file instead of TAPEWATCH_RULES.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
