"""How options and shorthands become a recipe: sources, teachers, keys, and the command itself."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from classifier.recipe import SHIPPED, DistilRecipe
from tapewatch.champion import SHIPPED as SHIPPED_FOLDER


def read_sources(data: Sequence[str] | None) -> list[dict[str, str]] | None:
    """``PATH`` or ``PATH:text=headline,topic=category``: a source and its columns."""
    if not data:
        return None
    sources = []
    for given in data:
        path, separator, columns = given.rpartition(":")
        named = dict(pair.split("=", 1) for pair in columns.split(",") if "=" in pair)
        if separator and named:
            sources.append({"path": path, **named})
        else:
            sources.append({"path": given})
    return sources


def read_teachers(teachers: Sequence[str] | None) -> list[dict[str, str]] | None:
    """``PATH`` or ``PATH:of=SET+SET``: a teacher and the sets that it alone is asked about."""
    if not teachers:
        return None
    found = []
    for given in teachers:
        path, _, sets = given.partition(":of=")
        found.append({"weights": path, "of": sets})
    return found


def read_pairs(keys: Sequence[str] | None) -> dict[str, str]:
    """``KEY=VALUE``: keys of the recipe. Raises typer.BadParameter."""
    pairs = {}
    for given in keys or ():
        name, separator, value = given.partition("=")
        if not separator:
            raise typer.BadParameter(f"--set {given}: give KEY=VALUE")
        pairs[name] = value
    return pairs


def given_command() -> str:
    """The command as it was given, its paths by their last part alone."""
    return shlex.join(["tapewatch", *map(_without_folders, sys.argv[1:])])


def _without_folders(word: str) -> str:
    """``a/b`` as ``b`` and ``key=a/b`` as ``key=b``."""
    name, separator, value = word.partition("=")
    if separator and name.isidentifier():
        return f"{name}={Path(value).name or value}"
    return Path(word).name or word


def with_shipped_teacher(recipe: DistilRecipe) -> DistilRecipe:
    """The recipe with the folder of the shipped weights where a teacher is `shipped`."""
    shipped = {"weights": SHIPPED_FOLDER}
    teachers = [
        teacher.model_copy(update=shipped if str(teacher.weights) == SHIPPED else {})
        for teacher in recipe.teachers
    ]
    return recipe.model_copy(update={"teachers": tuple(teachers)})
