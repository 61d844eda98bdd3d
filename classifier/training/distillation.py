"""Distillation: teachers label many texts, and a small GPT learns what they say.

The texts are the labelled training rows, unlabelled ones, ones that
``classifier.training.augmentation`` made of them, ones that ``classifier.training.writing``
invented, and posts that ``classifier.training.headlines`` wrote as headlines. Teachers are folders
of weights, of any kind and size, with the student's labels. Those without ``of`` answer for every
text, and their probabilities are averaged (an ensemble). Those ``of`` some sets answer in their
place for these sets' texts, with the heads that the sets have labels for; for headlines that were
posts that is sentiment. An invented sentence that was written with a label keeps it. The first
teacher of everything gives a direction for the student's vectors. What teachers said is kept in
the working folder, so that a killed run does not ask again. No test or development text is ever
among them.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.datasets import DatasetError, Example, Splits, normal_form
from classifier.engine import Engine
from classifier.errors import ClassifierError
from classifier.labels import UNLABELLED, Labels
from classifier.recipe import DistilRecipe, Teacher
from classifier.training.augmentation import augment
from classifier.training.headlines import PLAIN, plain_headlines
from classifier.training.trainer import HEADS, SoftLabels
from classifier.training.writing import WRITTEN, write_sentences

_FLOOR = 1e-6
_DOUBT = 0.04
"""What is left to the other classes where a sentence was written with its label."""


class TeacherError(ClassifierError, ValueError):
    """A teacher does not fit; the message names it and says why."""


def gather_texts(
    splits: Splits, unlabelled: Sequence[Example], recipe: DistilRecipe
) -> list[Example]:
    """Training rows, then distinct unlabelled texts, then made, written and plain ones, as told.

    Raises DatasetError where no row can be what texts are to be made from.
    """
    seen = set(splits.held_out) | {normal_form(example.text) for example in splits.train}
    texts = _new(unlabelled, seen)
    generator = random.Random(recipe.seed)  # noqa: S311 - no secret
    models = [e for e in splits.train if not recipe.made_from or e.source in recipe.made_from]
    if recipe.augmented and not models:
        raise DatasetError(
            f"no training row is of {', '.join(recipe.made_from)}; there are those of "
            f"{', '.join(sorted({e.source for e in splits.train}))}: name some in made_from"
        )
    made = augment(models, recipe.augmented, generator, seen)
    written = _new(write_sentences(recipe.written, generator), seen)
    plain = _plain(splits, unlabelled, recipe, generator)
    if recipe.unlabelled is not None and recipe.unlabelled < len(texts):
        texts = generator.sample(texts, recipe.unlabelled)
    repeated = splits.train * recipe.labelled_repeats
    return [*repeated, *texts, *made, *written, *plain]


def _plain(
    splits: Splits, unlabelled: Sequence[Example], recipe: DistilRecipe, generator: random.Random
) -> list[Example]:
    """Posts as headlines; a row that has a sentiment keeps to it, as a post and as a headline."""
    posts = [*(row for row in splits.train if row.sentiment == UNLABELLED), *unlabelled]
    feeling = {normal_form(row.text) for row in splits.train if row.sentiment != UNLABELLED}
    return plain_headlines(posts, recipe.plain, generator, splits.held_out | feeling)


def _new(texts: Sequence[Example], seen: set[str]) -> list[Example]:
    """Those that are not ``seen`` yet, which it then holds."""
    new = []
    for example in texts:
        form = normal_form(example.text)
        if form and form not in seen:
            seen.add(form)
            new.append(example)
    return new


def ask_teachers(
    teachers: Sequence[Teacher],
    examples: Sequence[Example],
    labels: Labels,
    work: Path,
    tell: Callable[[int, int], None] = lambda _, __: None,
) -> SoftLabels:
    """What the teachers say of each example: the mean of their probabilities, as logarithms.

    ``tell`` hears how many texts of how many are done. Raises TeacherError.
    """
    sources = np.array([example.source for example in examples])
    asked = [np.isin(sources, t.of) if t.of else np.ones(len(sources), bool) for t in teachers]
    _check_texts(teachers, asked, sources)
    heard = {head: _heard(teachers, asked, head, examples, sources) for head in HEADS}
    total, done, answers = int(np.sum(asked)), 0, []
    for number, (teacher, rows) in enumerate(zip(teachers, asked, strict=True)):
        texts = [e.text for e, wanted in zip(examples, rows, strict=True) if wanted]
        engine = Engine(teacher.weights)
        _check(engine, teacher, labels, [head for head in HEADS if heard[head][number].any()])
        answers.append(_ask(engine, texts, work, partial(_add, tell, done, total)))
        done += len(texts)
    soft = {
        head: as_logarithms(
            _as_written(_mean([a[head] for a in answers], asked, heard[head]), examples, head)
        )
        for head in HEADS
    }
    first = next(index for index, teacher in enumerate(teachers) if not teacher.of)
    return SoftLabels(soft["topic"], soft["sentiment"], _centred(answers[first]["vector"]))


def _check_texts(
    teachers: Sequence[Teacher], asked: Sequence[NDArray[np.bool_]], sources: NDArray[np.str_]
) -> None:
    for teacher, rows in zip(teachers, asked, strict=True):
        if not rows.any():
            known = ", ".join(sorted(set(sources) - {""}))
            raise TeacherError(
                f"no text is of {', '.join(teacher.of)}, which {teacher.weights} teaches; there "
                f"are texts of {known}"
            )


def _heard(
    teachers: Sequence[Teacher],
    asked: Sequence[NDArray[np.bool_]],
    head: str,
    examples: Sequence[Example],
    sources: NDArray[np.str_],
) -> list[NDArray[np.bool_]]:
    """Of each teacher the texts (N,) whose ``head`` it has a say in."""
    labelled = {e.source for e in examples if getattr(e, head) != UNLABELLED}
    if head == "sentiment":
        labelled.add(PLAIN)  # which has no labels, and is there for this head
    known = np.isin(sources, list(labelled))
    special = [rows & known & bool(t.of) for t, rows in zip(teachers, asked, strict=True)]
    left = ~np.any(special, axis=0)
    return [mine if t.of else left for t, mine in zip(teachers, special, strict=True)]


def _mean(
    answers: Sequence[NDArray[np.float16]],
    asked: Sequence[NDArray[np.bool_]],
    heard: Sequence[NDArray[np.bool_]],
) -> NDArray[np.float32]:
    """The mean over those heard (N, C) of answers (n, C), each about the texts it was asked."""
    listened = [entry for entry in zip(answers, asked, heard, strict=True) if entry[2].any()]
    total = np.zeros((len(asked[0]), listened[0][0].shape[1]), np.float32)
    for answer, rows, mine in listened:
        total[mine] += answer[mine[rows]]
    mean: NDArray[np.float32] = total / np.sum(heard, axis=0)[:, None]
    return mean


def _as_written(
    shares: NDArray[np.float32], examples: Sequence[Example], head: str
) -> NDArray[np.float32]:
    """The shares (N, C), but of invented sentences those of the label they were written with.

    A teacher that misreads such a sentence would only teach its mistake.
    """
    written = [i for i, e in enumerate(examples) if e.source == WRITTEN and getattr(e, head) >= 0]
    if written:
        shares[written] = _DOUBT / (shares.shape[1] - 1)
        shares[written, [getattr(examples[i], head) for i in written]] = 1 - _DOUBT
    return shares


def _check(engine: Engine, teacher: Teacher, labels: Labels, heads: Sequence[str]) -> None:
    for head in heads:
        theirs, ours = (getattr(names, f"{head}s") for names in (engine.labels, labels))
        if theirs != ours:
            raise TeacherError(
                f"the teacher in {teacher.weights} knows other {head}s than the student: "
                f"{', '.join(theirs)}, not {', '.join(ours)}"
            )


def _ask(
    engine: Engine, texts: Sequence[str], work: Path, tell: Callable[[int], None]
) -> dict[str, NDArray[np.float16]]:
    state = hashlib.sha256("\0".join([engine.version, *texts]).encode())
    kept = work / f"teacher-{state.hexdigest()[:16]}.npz"
    if not kept.exists():
        answer = _answer(engine, texts, tell)
        work.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(".partial")
        with unfinished.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **answer)
        unfinished.rename(kept)
    tell(len(texts))
    with np.load(kept) as file:
        return {name: file[name] for name in ("topic", "sentiment", "vector")}


@torch.inference_mode()
def _answer(
    engine: Engine, texts: Sequence[str], tell: Callable[[int], None]
) -> dict[str, NDArray[np.float16]]:
    width = int(engine.model.trunk.config.hidden_size)
    answer = {
        "topic": np.empty((len(texts), len(engine.labels.topics)), np.float16),
        "sentiment": np.empty((len(texts), len(engine.labels.sentiments)), np.float16),
        "vector": np.empty((len(texts), width), np.float16),
    }
    tokens = engine.encode(texts)
    done = 0
    for indices, input_ids, lengths in engine.padded.batches(tokens, engine.token_budget):
        count, rows = len(indices), indices.numpy()
        vector = engine.model.read(input_ids, lengths)[:count]
        answer["topic"][rows] = engine.model.topic_head(vector).float().softmax(-1).cpu().numpy()
        sentiment = engine.model.sentiment_head(vector).float().softmax(-1)
        answer["sentiment"][rows] = sentiment.cpu().numpy()
        answer["vector"][rows] = vector.float().cpu().numpy()
        done += count
        tell(done)
    return answer


def _add(tell: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    tell(before + done, total)


def _centred(vectors: NDArray[np.float16]) -> NDArray[np.float16]:
    """Without their mean: encoders' vectors share most of their length, which says nothing."""
    mean = vectors.astype(np.float32).mean(axis=0)
    centred: NDArray[np.float16] = (vectors - mean).astype(np.float16)
    return centred


def as_logarithms(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
    """Soft labels as they are kept: logarithms, and no share below a millionth."""
    logarithms: NDArray[np.float16] = np.log(probabilities.clip(_FLOOR)).astype(np.float16)
    return logarithms
