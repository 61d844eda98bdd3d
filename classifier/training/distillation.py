"""Distillation: teachers label many texts, and a small GPT learns what they say.

The texts are the labelled training rows, unlabelled ones, ones that
``classifier.training.augmentation`` made of them, and ones that ``classifier.training.writing``
invented. Teachers are folders of weights, of any kind and size, with the student's labels; their
probabilities are averaged (an ensemble), and the first teacher's vectors give a direction for the
student's own. What teachers said is kept in the working folder, so that a killed run does not ask
again. No test or development text is ever among them.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.datasets import Example, Splits, normal_form
from classifier.engine import Engine
from classifier.errors import ClassifierError
from classifier.labels import Labels
from classifier.recipe import DistilRecipe
from classifier.training.augmentation import augment
from classifier.training.trainer import SoftLabels
from classifier.training.writing import write_sentences

_FLOOR = 1e-6


class TeacherError(ClassifierError, ValueError):
    """A teacher does not fit; the message names it and says why."""


def gather_texts(splits: Splits, unlabelled: Sequence[str], recipe: DistilRecipe) -> list[Example]:
    """Training rows, then distinct unlabelled texts, then made and written ones, as told."""
    seen = set(splits.held_out) | {normal_form(example.text) for example in splits.train}
    texts = _new(unlabelled, seen)
    generator = random.Random(recipe.seed)  # noqa: S311 - no secret
    labelled = [example.text for example in splits.train]
    made = augment(labelled, recipe.augmented, generator, seen)
    written = _new(write_sentences(recipe.written, generator), seen)
    if recipe.unlabelled is not None and recipe.unlabelled < len(texts):
        texts = generator.sample(texts, recipe.unlabelled)
    repeated = splits.train * recipe.labelled_repeats
    return [*repeated, *map(Example, [*texts, *made, *written])]


def _new(texts: Sequence[str], seen: set[str]) -> list[str]:
    """Those that are not ``seen`` yet, which it then holds."""
    new = []
    for text in texts:
        form = normal_form(text)
        if form and form not in seen:
            seen.add(form)
            new.append(text)
    return new


def ask_teachers(
    teachers: Sequence[Path],
    examples: Sequence[Example],
    labels: Labels,
    work: Path,
    tell: Callable[[int, int], None] = lambda _, __: None,
) -> SoftLabels:
    """What the teachers say of each example: the mean of their probabilities, as logarithms.

    ``tell`` hears how many texts of how many are done. Raises TeacherError.
    """
    texts = [example.text for example in examples]
    total = len(teachers) * len(texts)
    answers = []
    for number, folder in enumerate(teachers):
        before = number * len(texts)
        answers.append(_ask(folder, texts, labels, work, partial(_add, tell, before, total)))
    topic = np.mean([answer["topic"].astype(np.float32) for answer in answers], axis=0)
    sentiment = np.mean([answer["sentiment"].astype(np.float32) for answer in answers], axis=0)
    return SoftLabels(_logarithms(topic), _logarithms(sentiment), _centred(answers[0]["vector"]))


def _ask(
    folder: Path, texts: Sequence[str], labels: Labels, work: Path, tell: Callable[[int], None]
) -> dict[str, NDArray[np.float16]]:
    engine = Engine(folder)
    if engine.labels != labels:
        raise TeacherError(f"the teacher in {folder} knows other labels than the student")
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
    for indices, input_ids, lengths in engine.batches(tokens):
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


def _logarithms(probabilities: NDArray[np.float32]) -> NDArray[np.float16]:
    logarithms: NDArray[np.float16] = np.log(probabilities.clip(_FLOOR)).astype(np.float16)
    return logarithms
