"""The mean of weights that went on from one another, or from one start.

After Wortsman et al. 2022, "Model soups": where fine-tunes of one start differ in what they are
good at, the mean of their weights is often as good at all of it, and costs nothing when it serves.
Weights without such a common start have no mean worth having; the figures on the card show it.
Trains nothing.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from classifier.data.rows import Rows
from classifier.engine import Engine
from classifier.evaluation.card import write_card
from classifier.model import TwoHeadedModel, WeightsError, load_weights
from classifier.training import provenance
from classifier.training.finishing import Made, Tell, check_development, finish, measure
from classifier.training.progress import hush_transformers

_LEAST = 2


def average_weights(  # noqa: PLR0913 - what goes in, what comes out, and what is said of it
    parts: Sequence[Path],
    rows: Rows,
    output: Path,
    made_on: date,
    commands: Sequence[str],
    tell: Tell = lambda *_: None,
) -> Made:
    """Write the mean of the weights in ``parts``, in equal shares, and its card into ``output``.

    It is calibrated on the development rows and measured on the test rows of ``rows``, whose labels
    are those of the weights. Raises DatasetError, or WeightsError where there is no mean.
    """
    hush_transformers()
    check_development(rows)
    model, tokenizer = _mean(parts)
    before = measure(Engine(parts[0]), rows.splits.tests, f"measuring {parts[0].name}", tell)
    work = output.with_name(output.name + ".work")
    measured = finish(model, tokenizer, rows, rows.splits.train, output, work, made_on, tell)
    facts = replace(
        measured,
        commands=[*provenance.commands([*map(str, parts)]), *commands],
        summary=provenance.summary_of_mean(parts),
        base=provenance.origin(str(parts[0])),
        before=before,
        before_is="the first of those that it is the mean of",
    )
    write_card(output, model, facts)
    shutil.rmtree(work, ignore_errors=True)
    return Made(facts.version, before, facts.tests, facts.calibrations)


def _mean(parts: Sequence[Path]) -> tuple[TwoHeadedModel, PreTrainedTokenizerBase]:
    """The model whose every number is the mean of theirs, and their tokenizer."""
    if len(parts) < _LEAST:
        raise WeightsError(f"a mean needs {_LEAST} folders of weights or more: name others beside")
    model, tokenizer = load_weights(parts[0])
    total = {name: values.double() for name, values in model.state_dict().items()}
    for part in parts[1:]:
        other, words = load_weights(part)
        _check_alike(parts[0], (model, tokenizer), part, (other, words))
        for name, values in other.state_dict().items():
            total[name] += values
    model.load_state_dict({name: values / len(parts) for name, values in total.items()})
    return model, tokenizer


def _check_alike(
    first: Path,
    ours: tuple[TwoHeadedModel, PreTrainedTokenizerBase],
    part: Path,
    theirs: tuple[TwoHeadedModel, PreTrainedTokenizerBase],
) -> None:
    """Raise WeightsError where numbers in the same place do not mean the same."""
    (model, tokenizer), (other, words) = ours, theirs
    same = {
        "labels": model.labels == other.labels,
        "tokens": tokenizer.get_vocab() == words.get_vocab(),
        "the architecture": _architecture(model) == _architecture(other),
    }
    differing = [what for what, equal in same.items() if not equal]
    if differing:
        raise WeightsError(
            f"{first} and {part} have no mean: they differ in {', '.join(differing)}; average "
            "weights that went on from one another, or from one start"
        )


def _architecture(model: TwoHeadedModel) -> dict[str, Any]:
    """The trunk's settings that say what its numbers mean; dropout is for training alone."""
    settings: dict[str, Any] = model.trunk.config.to_dict()
    told = {"_name_or_path", "transformers_version", "dtype", "architectures"}
    return {k: v for k, v in settings.items() if k not in told and "drop" not in k}
