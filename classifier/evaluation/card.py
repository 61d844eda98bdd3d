"""The model card: what the weights are, how they were made, and how good they are.

Written beside the weights: ``card.json`` for programs, ``README.md`` and three pictures for people.
Only says what it is told: it measures nothing and reads no rows.
"""

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from classifier.evaluation.calibration import Calibration
from classifier.evaluation.card_page import render
from classifier.evaluation.scores import Score, as_json
from classifier.model import TwoHeadedModel, WeightsError

CARD_FILE = "card.json"
PAGE_FILE = "README.md"
RELIABILITY_FILE = "reliability.png"

_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "numpy", "scikit-learn")

LIMITATIONS = (
    "The test rows come from the same sources as the training rows. Expect less on other text.",
    "The probabilities are calibrated for text of that kind; measure them anew on yours.",
    "It says how a text sounds and what it is about, not whether it is true, nor where a price "
    "goes. It is no investment advice.",
    "Labels are one annotator's view. Where annotators would disagree, no classifier can be right.",
    "Classes with few rows have wide intervals; see the tables.",
)

Scores = Mapping[str, Sequence[Score]]
"""The scores of each head, by test set."""


@dataclass(frozen=True, slots=True)
class MeasuredTeacher:
    """A model that the weights were distilled from, and how it does on the same test sets."""

    name: str
    scores: Scores = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """All that the caller knows of the weights; what is left out is left out of the card."""

    version: str
    made_on: date
    commands: Sequence[str]
    """What to run to make them again, in order."""
    rows: Mapping[str, int]
    """How many rows each split has: train, development, and so on."""
    tests: Scores
    """The weights as they are served."""
    held_out: str = "No test row, in lower case and without links, was trained on."
    """To say otherwise where it is otherwise."""
    precision: str = ""
    """What the tests were measured in: fp32, bf16 or int8."""
    int8: Mapping[str, int] | None = None
    """Labels of development rows, and how many were told rightly in float32 and in int8."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the fine-tune; plain data."""
    base: Mapping[str, Any] = field(default_factory=dict)
    """What was fine-tuned: its name, and how it was pre-trained; plain data."""
    summary: str = ""
    """A sentence or two on where the weights come from."""
    before: Scores | None = None
    """The same test sets before fine-tuning."""
    before_is: str = "a linear probe on the base, before fine-tuning"
    """What was measured as ``before``."""
    teachers: Sequence[MeasuredTeacher] = ()
    calibrations: Sequence[Calibration] = ()
    """Each head's temperature, and its reliability on test rows before and after."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """The test set whose classes the page shows, by head; by default the first that has it."""
    reference: Mapping[str, Any] | None = None
    """What drift is measured against; plain data."""
    limitations: Sequence[str] = LIMITATIONS


def write_card(folder: Path, model: TwoHeadedModel, facts: CardFacts) -> None:
    """Write card, page and pictures into the folder of weights; they replace those before them."""
    card = _card(model, facts)
    (folder / CARD_FILE).write_text(dump(card) + "\n", encoding="utf-8")
    pictures = _draw(folder, facts)
    page = render(card, {score.head: (name, score) for name, score in _shown(facts)}, pictures)
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")


def read_card(folder: Path) -> dict[str, Any]:
    """The card beside the weights as plain data. Raises WeightsError."""
    path = folder / CARD_FILE
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(
            f"the weights in {folder} have no {CARD_FILE}; `tapewatch train` writes one"
        ) from error
    except (OSError, ValueError) as error:
        raise WeightsError(f"the card {path} cannot be read: {error}") from error
    if not isinstance(card, dict) or "version" not in card:
        raise WeightsError(f"{path} is no model card: it names no version")
    return card


def dump(value: object, indent: int = 0) -> str:
    """JSON of plain data with an indent, but every list of plain values on one line.

    A confusion matrix is then as many lines as classes. Floats have six decimals.
    """
    inner, outer = "\n" + " " * (indent + 1), "\n" + " " * indent
    if isinstance(value, Mapping) and value:
        lines = (f"{json.dumps(str(k))}: {dump(v, indent + 1)}" for k, v in value.items())
        return "{" + inner + ("," + inner).join(lines) + outer + "}"
    if isinstance(value, (list, tuple)) and any(
        isinstance(v, (Mapping, list, tuple)) for v in value
    ):
        return "[" + inner + ("," + inner).join(dump(v, indent + 1) for v in value) + outer + "]"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(dump(v) for v in value) + "]"
    plain = round(value, 6) if isinstance(value, float) else value
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def _card(model: TwoHeadedModel, facts: CardFacts) -> dict[str, Any]:
    config = model.trunk.config
    return {
        "version": facts.version,
        "made_on": facts.made_on.isoformat(),
        "summary": facts.summary,
        "commands": list(facts.commands),
        "settings": dict(facts.settings),
        "base": dict(facts.base),
        "teachers": [{"name": t.name, "tests": as_json(t.scores)} for t in facts.teachers],
        "architecture": type(model.trunk).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "layers": config.num_hidden_layers,
        "width": config.hidden_size,
        "vocabulary": config.vocab_size,
        "context": getattr(config, "max_position_embeddings", None),
        "rows": dict(facts.rows),
        "held_out": facts.held_out,
        "precision": facts.precision,
        "int8": None if facts.int8 is None else dict(facts.int8),
        "tests": as_json(facts.tests),
        "before": {"is": facts.before_is, "tests": as_json(facts.before)} if facts.before else None,
        "calibration": {c.head: asdict(c) for c in facts.calibrations},
        "labels": {
            "topics": list(model.labels.topics),
            "sentiments": list(model.labels.sentiments),
        },
        "versions": {"python": platform.python_version(), **_versions()},
        "limitations": list(facts.limitations),
        "reference": None if facts.reference is None else dict(facts.reference),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _shown(facts: CardFacts) -> Iterator[tuple[str, Score]]:
    """The test set and score of each head that the page has a table and a picture of."""
    seen = set()
    for name, of_set in facts.tests.items():
        for score in of_set:
            if score.head not in seen and facts.shown.get(score.head, name) == name:
                seen.add(score.head)
                yield name, score


def _draw(folder: Path, facts: CardFacts) -> list[str]:
    """Write the pictures; those of an earlier card that have no place now are removed."""
    from classifier.evaluation.plots import (  # noqa: PLC0415 - who only reads cards needs no matplotlib
        plot_confusion,
        plot_reliability,
    )

    for path in (*folder.glob("confusion-*.png"), folder / RELIABILITY_FILE):
        path.unlink(missing_ok=True)
    written = []
    for name, score in _shown(facts):
        written.append(f"confusion-{score.head}.png")
        title = f"{name}: {score.rows:,} rows"
        plot_confusion(folder / written[-1], score.names, score.confusion, title)
    if facts.calibrations:
        written.append(RELIABILITY_FILE)
        series = {
            c.head: {"before": c.before, f"temperature {c.temperature:.2f}": c.after}
            for c in facts.calibrations
        }
        plot_reliability(folder / RELIABILITY_FILE, series)
    return written
