"""Making weights, whole: probe, fine-tune or distil, calibrate, measure, and write the card.

The one place where the parts of training meet. It tells each stage and step to whoever asked;
it prints nothing and knows no command line.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as hf_logging

from classifier.continual.drift import make_reference
from classifier.data.datasets import DatasetError, Example, check_trainable
from classifier.data.rows import Rows
from classifier.engine import Engine
from classifier.evaluation.calibration import Calibration, calibrate, fit_temperature
from classifier.evaluation.card import CARD_FILE, CardFacts, Scores, Teacher, read_card, write_card
from classifier.evaluation.scores import evaluate
from classifier.model import TwoHeadedModel, open_base, save_weights
from classifier.recipe import DistilRecipe, Recipe
from classifier.training.distillation import ask_teachers, gather_texts
from classifier.training.finetuning import finetune, training_context
from classifier.training.pretraining import BASE_RECORD
from classifier.training.probe import fit_heads
from classifier.training.progress import Progress, forget_other_run
from classifier.training.trainer import LossSettings, SoftLabels

Tell = Callable[[str, int, int, Mapping[str, float]], None]
"""Called with the stage, steps done, steps in all, and the newest figures."""

HEADS = ("topic", "sentiment")


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it: the version of the weights, and their scores before and after."""

    version: str
    before: Scores
    after: Scores
    calibrations: tuple[Calibration, ...]


def make_weights(  # noqa: PLR0913 - what goes in, what comes out, and what is said of it
    recipe: Recipe,
    rows: Rows,
    base: str,
    output: Path,
    made_on: date,
    commands: Sequence[str],
    tell: Tell = lambda *_: None,
) -> Made:
    """Train what ``recipe`` says from ``base`` and write weights and card into ``output``.

    A folder beside it, ``OUTPUT.work``, holds what a killed run goes on from; it is removed at
    the end. Raises DatasetError, WeightsError, StrategyError or TeacherError before training.
    """
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    splits = rows.splits
    check_trainable(splits.train, rows.labels)
    if not splits.development:
        raise DatasetError("no development rows are left: give more rows, or a larger share")
    work = output.with_name(output.name + ".work")
    forget_other_run(work / "steps", (recipe, base, rows.labels, splits.train, splits.development))
    torch.manual_seed(recipe.seed)
    model, tokenizer, new = open_base(base, rows.labels, recipe.dropout)
    tell("linear probe", 0, 1, {})
    fit_heads(model, tokenizer, splits.train, training_context(model, recipe), new)
    tell("linear probe", 1, 1, {})
    before = _measure_before(model, tokenizer, work, rows, tell)
    taught, soft, losses = _teach(recipe, rows, work, tell)
    finetune(
        model,
        tokenizer,
        taught,
        splits.development,
        work / "steps",
        recipe,
        soft=soft,
        losses=losses,
        callbacks=[Progress(lambda *step: tell("fine-tuning", *step))],
    )
    calibrations = _calibrate(model, tokenizer, work / "uncalibrated", rows, tell)
    save_weights(model, tokenizer, output)
    engine = Engine(output)
    after = _measure(engine, rows, "measuring", tell)
    facts = CardFacts(
        version=engine.version,
        made_on=made_on,
        commands=[*_commands(base, recipe), *commands],
        summary=_summary(base, recipe),
        rows=_counts(rows, taught),
        tests=after,
        settings=recipe.model_dump(mode="json", exclude={"data", "base", "teachers"}),
        base=_origin(base),
        before=before,
        before_is="a linear probe on the base" if new else "the weights that it went on from",
        teachers=_teachers(recipe, rows, tell),
        calibrations=calibrations,
        reference=_reference(engine, splits.development),
    )
    write_card(output, engine.model, facts)
    shutil.rmtree(work, ignore_errors=True)
    return Made(engine.version, before, after, calibrations)


def _measure_before(
    model: TwoHeadedModel, tokenizer: PreTrainedTokenizerBase, work: Path, rows: Rows, tell: Tell
) -> Scores:
    folder = work / "before"
    save_weights(model, tokenizer, folder, torch.float32)
    return _measure(Engine(folder), rows, "measuring the base", tell)


def _measure(engine: Engine, rows: Rows, stage: str, tell: Tell) -> Scores:
    tests = rows.splits.tests
    total, done = sum(map(len, tests.values())), 0
    scores = {}
    for name, examples in tests.items():
        tell(stage, done, total, {})
        scores[name] = evaluate(engine, examples)
        done += len(examples)
    tell(stage, total, total, {})
    return scores


def _teach(
    recipe: Recipe, rows: Rows, work: Path, tell: Tell
) -> tuple[list[Example], SoftLabels | None, LossSettings | None]:
    """The rows to train on, and what teachers say of them if there are any."""
    if not isinstance(recipe, DistilRecipe):
        return rows.splits.train, None, None
    examples = gather_texts(rows.splits, rows.unlabelled, recipe)
    soft = ask_teachers(
        recipe.teachers,
        examples,
        rows.labels,
        work,
        lambda done, total: tell("asking the teachers", done, total, {}),
    )
    losses = LossSettings(
        hard_share=recipe.hard_share, temperature=recipe.temperature, direction=recipe.direction
    )
    return examples, soft, losses


def _calibrate(
    model: TwoHeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    rows: Rows,
    tell: Tell,
) -> tuple[Calibration, ...]:
    """Fit both temperatures on the development rows and fold them into the heads of ``model``."""
    tell("calibrating", 0, 1, {})
    save_weights(model, tokenizer, folder)
    engine = Engine(folder)
    development = rows.splits.development
    logits = engine.logits([row.text for row in development])
    temperatures = [
        fit_temperature(values, [getattr(row, head) for row in development])
        for head, values in zip(HEADS, logits, strict=True)
    ]
    found = []
    for index, head in enumerate(HEADS):
        test = [e for t in _separate_tests(rows, head) for e in t]
        if test:
            values = engine.logits([row.text for row in test])[index]
            targets = [getattr(row, head) for row in test]
            found.append(calibrate(head, temperatures[index], values, targets))
    model.divide_heads(*temperatures)
    tell("calibrating", 1, 1, {})
    return tuple(found)


def _separate_tests(rows: Rows, head: str) -> list[list[Example]]:
    """The test sets with labels of this head; none whose rows another holds too."""
    tests = [t for t in rows.splits.tests.values() if any(getattr(e, head) >= 0 for e in t)]
    kept: list[list[Example]] = []
    for test in sorted(tests, key=len):
        forms = {example.text for example in test}
        if not any(forms & {example.text for example in other} for other in kept):
            kept.append(test)
    return kept


def _reference(engine: Engine, development: Sequence[Example]) -> Mapping[str, Any]:
    texts = [row.text for row in development]
    topic, sentiment = engine.probabilities(texts)
    return make_reference(topic, sentiment, texts).as_json()


def _teachers(recipe: Recipe, rows: Rows, tell: Tell) -> list[Teacher]:
    if not isinstance(recipe, DistilRecipe):
        return []
    found = []
    for folder in recipe.teachers:
        engine = Engine(folder)
        scores = _measure(engine, rows, f"measuring the teacher {folder.name}", tell)
        found.append(Teacher(f"{folder.name} ({engine.version})", scores))
    return found


def _counts(rows: Rows, taught: Sequence[Example]) -> dict[str, int]:
    counts = {"train": len(rows.splits.train), "development": len(rows.splits.development)}
    if rows.corrections:
        counts["corrected"] = rows.corrections
    if len(taught) > len(rows.splits.train):
        counts["labelled by teachers only"] = len(taught) - len(rows.splits.train)
    return counts


def _commands(base: str, recipe: Recipe) -> list[str]:
    """The commands that made the base and the teachers, where they are known."""
    made = [_origin(base).get("command")]
    if isinstance(recipe, DistilRecipe):
        for folder in recipe.teachers:
            if (folder / CARD_FILE).is_file():
                made += read_card(folder)["commands"]
    return [command for command in made if command]


def _summary(base: str, recipe: Recipe) -> str:
    """Where the weights come from, in a sentence or two."""
    made = _origin(base)
    says = []
    if "texts" in made:
        says.append(_start(made))
    if isinstance(recipe, DistilRecipe):
        names = ", ".join(folder.name for folder in recipe.teachers)
        says.append(f"It was distilled from teachers that do not ship: {names}.")
    return " ".join(says)


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


def _origin(base: str) -> dict[str, Any]:
    record = Path(base) / BASE_RECORD
    made = json.loads(record.read_text()) if record.is_file() else {}
    return {"name": Path(base).name, **{k: v for k, v in made.items() if v is not None}}
