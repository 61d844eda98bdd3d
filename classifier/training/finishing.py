"""What all new weights go through at the end: calibrated, saved, narrowed, and measured.

Knows how weights are judged, and nothing of how they came to be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from classifier.continual.drift import make_reference
from classifier.data.datasets import DatasetError, Example
from classifier.data.rows import Rows
from classifier.engine import Engine
from classifier.evaluation.calibration import Calibration, calibrate, fit_temperature
from classifier.evaluation.card import CardFacts, Scores
from classifier.evaluation.scores import evaluate
from classifier.model import TwoHeadedModel, save_weights
from classifier.training.narrowing import narrow
from classifier.training.trainer import HEADS

Tell = Callable[[str, int, int, Mapping[str, float]], None]
"""Called with the stage, steps done, steps in all, and the newest figures."""

Tests = Mapping[str, Sequence[Example]]


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it: the version of the weights, and their scores before and after."""

    version: str
    before: Scores
    after: Scores
    calibrations: Sequence[Calibration]


def check_development(rows: Rows) -> None:
    """Raise DatasetError if there are no rows to calibrate on."""
    if not rows.splits.development:
        raise DatasetError("no development rows are left: give more rows, or a larger share")


def finish(  # noqa: PLR0913 - what is finished, with which rows, where, when, and who is told
    model: TwoHeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Rows,
    taught: Sequence[Example],
    output: Path,
    work: Path,
    made_on: date,
    tell: Tell = lambda *_: None,
) -> CardFacts:
    """Calibrate ``model``, write it into ``output``, narrow and measure it.

    ``taught`` are the texts that it was taught. The card's facts lack what only the caller knows:
    the commands, and where the weights come from.
    """
    calibrations = _calibrate(model, tokenizer, work / "uncalibrated", rows, tell)
    save_weights(model, tokenizer, output)
    cost = narrow(output, taught, rows.splits.development)
    engine = Engine(output)
    return CardFacts(
        version=engine.version,
        made_on=made_on,
        commands=(),
        rows=_counts(rows, taught),
        tests=measure(engine, rows.splits.tests, "measuring", tell),
        precision=engine.precision,
        int8=None if cost is None else asdict(cost),
        calibrations=calibrations,
        reference=_reference(engine, rows.splits.development),
    )


def measure(engine: Engine, tests: Tests, stage: str, tell: Tell) -> Scores:
    """The scores of every test set, told as ``stage``."""
    total, done = sum(map(len, tests.values())), 0
    scores = {}
    for name, examples in tests.items():
        tell(stage, done, total, {})
        scores[name] = evaluate(engine, examples)
        done += len(examples)
    tell(stage, total, total, {})
    return scores


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


def _counts(rows: Rows, taught: Sequence[Example]) -> dict[str, int]:
    counts = {"train": len(rows.splits.train), "development": len(rows.splits.development)}
    if rows.corrections:
        counts["corrected"] = rows.corrections
    if len(taught) > len(rows.splits.train):
        counts["labelled by teachers only"] = len(taught) - len(rows.splits.train)
    return counts
