"""Where weights come from, for their card: the commands that made them, and a sentence or two.

It reads what ``pretrain`` wrote beside a base, and the cards of weights that were gone on from or
taught. Knows no models and no rows.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from classifier.evaluation.card import CARD_FILE, read_card
from classifier.recipe import Teacher
from classifier.training.pretraining import BASE_RECORD


def origin(base: str) -> dict[str, Any]:
    """What is known of a base: its name, and how its trunk was made.

    Weights with a card go by their version, and hand on what was known of their own base.
    """
    card, record = _card(base), Path(base) / BASE_RECORD
    if card:
        return {**card["base"], "name": card["version"]}
    made = json.loads(record.read_text()) if record.is_file() else {}
    return {"name": Path(base).name, **{k: v for k, v in made.items() if v is not None}}


def commands(folders: Sequence[str]) -> list[str]:
    """The commands that made these bases and weights, where they are known, each once."""
    made = [c for f in folders for c in (origin(f).get("command"), *_card(f).get("commands", ()))]
    return list(dict.fromkeys(command for command in made if command))


def summary(base: str, teachers: Sequence[Teacher]) -> str:
    """Where the weights come from, in a sentence or two."""
    made = origin(base)
    says = [f"It goes on from {made['name']}."] if _card(base) else []
    if "texts" in made:
        says.append(_start(made))
    weights = list(dict.fromkeys(teacher.weights for teacher in teachers))
    names = [_name(folder) for folder in weights if str(folder) != base]
    if len(names) < len(weights):
        names.insert(0, "what it goes on from")
    if names:
        says.append(f"It was distilled from {_listed(names)}.")
    return " ".join(says)


def summary_of_mean(parts: Sequence[Path]) -> str:
    """Where the mean of these weights comes from, in a sentence or two."""
    made = origin(str(parts[0]))
    start = [_start(made)] if "texts" in made else []
    return " ".join([f"It is the mean of the weights {_listed([*map(_name, parts)])}.", *start])


def _name(weights: Path) -> str:
    card = _card(str(weights))
    return f"{weights.name} ({card['version']})" if card else weights.name


def _card(folder: str) -> dict[str, Any]:
    path = Path(folder)
    return read_card(path) if (path / CARD_FILE).is_file() else {}


def _start(made: Mapping[str, Any]) -> str:
    """How the trunk was made, in a sentence."""
    trained = f"pre-trained on {made['texts']:,} texts"
    if made.get("blocks_from") is not None:
        encoder = Path(made["blocks_from"]).name
        then = f", {trained}" if made["epochs"] else ""
        first = "block" if made["layers"] == 1 else f"{made['layers']} blocks"
        return f"Its trunk started from the first {first} of {encoder}{then}."
    start = "from scratch" if made.get("base") is None else f"on top of {made['base']}"
    return f"Its trunk was {trained} {start}."


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
