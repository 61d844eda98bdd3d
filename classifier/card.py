"""The model card: what the weights are, how they were made, and how good they are.

Written beside the weights, as JSON for programs and Markdown for people.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
import transformers

from classifier.evaluation import Score, as_json
from classifier.model import TwoHeadedGPT


def write_card(  # noqa: PLR0913 - what a card says
    folder: Path,
    model: TwoHeadedGPT,
    version: str,
    scores: Mapping[str, Sequence[Score]],
    command: str,
    rows: Mapping[str, int],
    made_on: date,
    base: Mapping[str, Any] | None = None,
) -> None:
    """Write ``card.json`` and ``README.md`` into the folder of weights."""
    config = model.trunk.config
    card = {
        "version": version,
        "made_on": made_on.isoformat(),
        "command": command,
        "base": dict(base or {}),
        "architecture": type(model.trunk).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "layers": config.num_hidden_layers,
        "width": config.hidden_size,
        "vocabulary": config.vocab_size,
        "context": config.max_position_embeddings,
        "rows": dict(rows),
        "tests": as_json({name: list(of_set) for name, of_set in scores.items()}),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "labels": {
            "topics": list(model.labels.topics),
            "sentiments": list(model.labels.sentiments),
        },
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    (folder / "README.md").write_text(_markdown(card, scores))


def _markdown(card: Mapping[str, Any], scores: Mapping[str, Sequence[Score]]) -> str:
    table = [
        f"| {name} | {s.head} | {s.rows:,} | {s.majority_accuracy:.3f} "
        f"| {_with(s.accuracy, s.accuracy_interval)} | {_with(s.macro_f1, s.macro_f1_interval)} |"
        for name, of_set in scores.items()
        for s in of_set
    ]
    return "\n".join(
        [
            f"# {card['version']}",
            "",
            f"A {card['architecture']} with a topic head and a sentiment head on the last token: "
            f"{card['parameters'] / 1e6:.1f} million parameters, {card['layers']} layers, "
            f"{card['width']} wide, {card['vocabulary']:,} tokens, context {card['context']}. "
            "Pre-trained from scratch and fine-tuned on public financial news and comments in "
            "English; docs/data.md lists the sets. A longer text is cut: its first "
            f"{card['context'] - 1} tokens count.",
            "",
            "Made with:",
            "",
            "```",
            *_commands(card),
            "```",
            "",
            f"Trained on {card['rows']['train']:,} labelled rows; the best epoch was chosen on "
            f"{card['rows']['development']:,} development rows; no test row, in lower case and "
            "without links, was trained on. Intervals are 95 % bootstrap.",
            "",
            "| test rows | head | rows | majority | accuracy | macro F1 |",
            "|---|---|---|---|---|---|",
            *table,
            "",
        ]
    )


def _commands(card: Mapping[str, Any]) -> list[str]:
    base = card["base"]
    if not base:
        return [card["command"]]
    epochs, seed = base["epochs"], base["seed"]
    return [
        f"tapewatch pretrain --data DATA --output base --epochs {epochs:g} --seed {seed}"
        f"    # {base['texts']:,} texts, {base['nats_per_token']:.2f} nats a token held out",
        card["command"],
    ]


def _with(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"
