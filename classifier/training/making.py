"""Making weights, whole: probe, fine-tune or distil, finish, and write the card.

The one place where the parts of training meet. It tells each stage and step to whoever asked;
it prints nothing and knows no command line.
"""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from classifier.data.datasets import Example, check_trainable, normal_form
from classifier.data.rows import Rows
from classifier.engine import Engine
from classifier.evaluation.card import MeasuredTeacher, write_card
from classifier.labels import UNLABELLED, Labels
from classifier.model import TwoHeadedModel, open_base, read_labels, save_weights
from classifier.recipe import DistilRecipe, Recipe, Teacher
from classifier.training import provenance
from classifier.training.distillation import as_logarithms, ask_teachers, gather_texts
from classifier.training.finetuning import finetune, training_context
from classifier.training.finishing import Made, Tell, Tests, check_development, finish, measure
from classifier.training.generation import generate_like
from classifier.training.pretraining import open_language_model
from classifier.training.probe import fit_heads, silence
from classifier.training.progress import Progress, forget_other_run, hush_transformers
from classifier.training.trainer import HEADS, LossSettings, SoftLabels
from classifier.training.vocabulary import grow_vocabulary

_TIMES_LABELLED = 4
"""How often a labelled row counts when words are learned, beside once an unlabelled text."""

_PLACES = {"data", "base", "teachers", "words_from", "generator"}
"""Keys that name folders, which the card tells in its own way."""


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
    hush_transformers()
    splits = rows.splits
    check_trainable(splits.train, rows.labels)
    check_development(rows)
    work = output.with_name(output.name + ".work")
    forget_other_run(work / "steps", (recipe, base, rows.labels, splits.train, splits.development))
    _check_readable(recipe, work)
    torch.manual_seed(recipe.seed)
    model, tokenizer, new = open_base(base, rows.labels, recipe.dropout)
    if recipe.vocabulary:
        words = _texts_for_words(rows)
        tokenizer = grow_vocabulary(model, tokenizer, words, recipe.vocabulary, recipe.words_from)
    tell("linear probe", 0, 1, {})
    fit_heads(model, tokenizer, splits.train, training_context(model, recipe), new)
    tell("linear probe", 1, 1, {})
    untaught = [head for head in HEADS if all(getattr(e, head) < 0 for e in splits.train)]
    silence(model, [head for head in untaught if head in new])
    starting = _save_start(model, tokenizer, work)
    before = measure(starting, splits.tests, "measuring the base", tell)
    taught, soft, losses = _teach(recipe, rows, work, tell)
    if soft is None:
        soft = _as_before(starting, taught, [head for head in untaught if head not in new])
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
    taught_by = recipe.teachers if isinstance(recipe, DistilRecipe) else ()
    measured = finish(model, tokenizer, rows, taught, output, work, made_on, tell)
    facts = replace(
        measured,
        commands=[*provenance.commands([base, *(str(t.weights) for t in taught_by)]), *commands],
        summary=provenance.summary(base, taught_by),
        settings=recipe.model_dump(mode="json", exclude=_PLACES),
        base=provenance.origin(base),
        before=before,
        before_is="a linear probe on the base" if new else "the weights that it went on from",
        teachers=_measured(taught_by, rows, tell),
    )
    write_card(output, model, facts)
    shutil.rmtree(work, ignore_errors=True)
    return Made(facts.version, before, facts.tests, facts.calibrations)


def _check_readable(recipe: Recipe, work: Path) -> None:
    """Raise WeightsError before anything is measured if who teaches or writes cannot be read."""
    if not isinstance(recipe, DistilRecipe):
        return
    for teacher in recipe.teachers:
        read_labels(teacher.weights)
    if recipe.generated and not (work / "generator").exists():
        open_language_model(str(recipe.generator))


def _texts_for_words(rows: Rows) -> list[str]:
    """What a vocabulary is learned from: no text that is held out, labelled ones more often."""
    held_out = rows.splits.held_out
    beside = [e.text for e in rows.unlabelled if normal_form(e.text) not in held_out]
    return [*beside, *[e.text for e in rows.splits.train] * _TIMES_LABELLED]


def _save_start(model: TwoHeadedModel, tokenizer: PreTrainedTokenizerBase, work: Path) -> Engine:
    folder = work / "before"
    save_weights(model, tokenizer, folder, torch.float32)
    return Engine(folder)


def _teach(
    recipe: Recipe, rows: Rows, work: Path, tell: Tell
) -> tuple[list[Example], SoftLabels | None, LossSettings | None]:
    """The rows to train on, and what teachers say of them if there are any."""
    if not isinstance(recipe, DistilRecipe):
        return rows.splits.train, None, None
    examples = gather_texts(rows.splits, rows.unlabelled, recipe)
    if recipe.generated:
        examples += generate_like(
            rows.splits,
            recipe,
            {normal_form(example.text) for example in examples},
            work / "generator",
            lambda *step: tell("tuning the generator", *step),
            lambda *step: tell("generating texts", *step),
        )
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


def _as_before(
    starting: Engine, taught: Sequence[Example], heads: Sequence[str]
) -> SoftLabels | None:
    """What the weights that it goes on from say with ``heads``, which no row has a label for.

    Learning it beside the new labels keeps the head from forgetting while the trunk moves under
    it (Li and Hoiem 2016, "Learning without Forgetting").
    """
    if not heads:
        return None
    said = zip(HEADS, starting.probabilities([row.text for row in taught]), strict=True)
    soft = {head: as_logarithms(shares) if head in heads else None for head, shares in said}
    return SoftLabels(soft["topic"], soft["sentiment"])


def _measured(teachers: Sequence[Teacher], rows: Rows, tell: Tell) -> list[MeasuredTeacher]:
    found = []
    for weights in dict.fromkeys(teacher.weights for teacher in teachers):
        engine = Engine(weights)
        name = weights.name
        asked = [teacher.of for teacher in teachers if teacher.weights == weights]
        sources = {source for of in asked for source in of} if all(asked) else ()
        tests = _tests_of(sources, engine.labels, rows)
        scores = measure(engine, tests, f"measuring the teacher {name}", tell)
        found.append(MeasuredTeacher(f"{name} ({engine.version})", scores))
    return found


def _tests_of(sources: Collection[str], known: Labels, rows: Rows) -> Tests:
    """The test rows of these sources (none: all), with the labels that a teacher shares."""

    def shared(example: Example) -> Example:
        topics = known.topics == rows.labels.topics
        sentiments = known.sentiments == rows.labels.sentiments
        return replace(
            example,
            topic=example.topic if topics else UNLABELLED,
            sentiment=example.sentiment if sentiments else UNLABELLED,
        )

    tests = {
        name: [shared(e) for e in examples if not sources or e.source in sources]
        for name, examples in rows.splits.tests.items()
    }
    return {
        name: examples
        for name, examples in tests.items()
        if any(getattr(example, head) >= 0 for example in examples for head in HEADS)
    }
