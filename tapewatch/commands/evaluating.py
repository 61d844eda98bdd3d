"""``evaluate``: weights and baselines in one table, on the same labelled rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress

from tapewatch import console
from tapewatch.champion import serving_folder
from tapewatch.commands import standings
from tapewatch.commands.options import Device, Json
from tapewatch.settings import Settings
from tapewatch.wiring import load_engine

if TYPE_CHECKING:
    from classifier.data.datasets import Example
    from classifier.evaluation.contest import Contest, Entry
    from classifier.evaluation.scores import Advance, ProbabilisticClassifier
    from classifier.labels import Labels


class Baseline(StrEnum):
    """What weights can be compared with."""

    MAJORITY = "majority"
    LINEAR = "linear"
    ZERO_SHOT = "zero-shot"
    FEW_SHOT = "few-shot"

    @property
    def fitted(self) -> bool:
        """Whether it needs training rows."""
        return self is not Baseline.ZERO_SHOT

    @property
    def prompted(self) -> bool:
        """Whether it needs a language model."""
        return self in (Baseline.ZERO_SHOT, Baseline.FEW_SHOT)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The sets of rows to judge, and the rows that baselines may learn from."""

    tests: "dict[str, list[Example]]"
    train: "list[Example]"


@dataclass(frozen=True, slots=True)
class _Prompting:
    """How a language model is prompted."""

    lm: str
    shots: int
    seed: int
    device: str


def evaluate(  # noqa: PLR0913 - the options of the command
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Folder of weights; by default who serves.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Folder of the public sets, or of one of them: its fixed test rows are judged.",
        ),
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--input", help="Labelled CSV, JSONL or Parquet to judge on.")
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            "--train", help="Labelled file that baselines learn from, if not from --data."
        ),
    ] = None,
    text_column: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    topic_column: Annotated[
        str | None, typer.Option(help='Column of the topic, by default "topic"; "" for none.')
    ] = None,
    sentiment_column: Annotated[
        str | None, typer.Option(help="Column of the sentiment; as --topic-column.")
    ] = None,
    baseline: Annotated[
        list[Baseline] | None, typer.Option("--baseline", help="May be given more than once.")
    ] = None,
    lm: Annotated[
        str | None, typer.Option("--lm", help="Language model to prompt: folder or Hub name.")
    ] = None,
    shots: Annotated[int, typer.Option(min=1, help="Examples in a few-shot prompt.")] = 16,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Judge so many rows of each set only: for a try.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random draw.")] = 7,
    classes: Annotated[
        bool, typer.Option("--classes", help="Print the weights' figures of each class too.")
    ] = False,
    plots: Annotated[
        Path | None, typer.Option("--plots", help="Folder for confusion and reliability pictures.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure weights on labelled rows, beside baselines on the same rows."""
    baselines = list(dict.fromkeys(baseline or ()))
    _check(data, source, train, baselines, lm)
    from classifier.data.sources import Columns  # noqa: PLC0415
    from classifier.evaluation.contest import Contest, check_tests  # noqa: PLC0415 - torch takes seconds

    settings = Settings()
    engine = load_engine(settings, weights or serving_folder(settings), device)
    columns = Columns(text_column, topic_column, sentiment_column)
    found = _read(data, source, train, columns, engine.labels, rows)
    check_tests(found.tests, engine.labels)
    contest = Contest(engine.labels, found.tests, seed)
    prompting = _Prompting(lm or "", shots, seed, device)
    with console.progress_bar() as progress:
        others = _opened(baselines, contest, found, engine.labels, prompting, progress)
        entries = [_enter(contest, classifier, progress) for classifier in chain([engine], others)]
    if plots is not None:
        _draw(plots, contest, entries)
    if as_json:
        console.print_json(standings.as_plain(contest, entries))
    else:
        standings.show(contest, entries, with_classes=classes)


def _check(
    data: Path | None,
    source: Path | None,
    train: Path | None,
    baselines: Sequence[Baseline],
    lm: str | None,
) -> None:
    """What is wrong with the call, before anything that takes time."""
    if (data is None) == (source is None):
        raise typer.BadParameter("give either --data DIR or --input FILE")
    unfed = [b for b in baselines if b.fitted]
    if unfed and data is None and train is None:
        raise typer.BadParameter(f"the baseline {unfed[0]} learns from rows: give --train FILE")
    prompted = [b for b in baselines if b.prompted]
    if prompted and lm is None:
        raise typer.BadParameter(f"the baseline {prompted[0]} prompts a language model: give --lm")
    if lm is not None and not prompted:
        raise typer.BadParameter("--lm does nothing without --baseline zero-shot or few-shot")


def _read(  # noqa: PLR0913 - where rows may come from
    data: Path | None,
    source: Path | None,
    train: Path | None,
    columns: Any,  # noqa: ANN401 - classifier.data.sources.Columns, not to be imported yet
    labels: "Labels",
    rows: int | None,
) -> _Rows:
    from classifier.data.datasets import DatasetError, draw  # noqa: PLC0415
    from classifier.data.public import named_splits  # noqa: PLC0415
    from classifier.data.sources import read_file  # noqa: PLC0415
    from classifier.evaluation.contest import without_leaks  # noqa: PLC0415
    from classifier.labels import TOPICS  # noqa: PLC0415

    learned: list[Example] = []
    if data is not None:
        splits = named_splits([data])
        if not splits.tests:
            raise DatasetError(f"{data} holds no test rows: name another set, or all with DIR")
        judged = chain(*splits.tests.values())
        if labels.topics != TOPICS and any(example.topic >= 0 for example in judged):
            raise DatasetError(
                "the weights have topics of their own, which the public sets do not know: judge "
                "them on a file of yours, with --input"
            )
        tests, learned = splits.tests, splits.train
    else:
        assert source is not None  # noqa: S101 - _check has seen to it
        read = read_file(source, columns, labels)
        tests = {source.name: read.examples}
        _tell_left_out(source, read.left_out)
    if train is not None:
        read = read_file(train, columns, labels)
        _tell_left_out(train, read.left_out)
        learned = without_leaks(read.examples, tests)
        if not learned:
            raise DatasetError(
                f"{train.name}: no row is left to learn from, since all repeat rows to judge: give "
                "the baselines rows of their own with --train"
            )
        if len(learned) < len(read.examples):
            repeated = len(read.examples) - len(learned)
            console.messages.print(
                f"{train.name}: {repeated:,} rows repeat rows to judge; not used"
            )
    if rows is not None:
        tests = {name: draw(of_set, rows) for name, of_set in tests.items()}
    return _Rows(tests, learned)


def _tell_left_out(path: Path, left_out: Any) -> None:  # noqa: ANN401 - a count by reason
    for reason, count in left_out.items():
        if count:
            console.messages.print(f"{path.name}: {count:,} rows {reason} left out")


def _enter(
    contest: "Contest", classifier: "ProbabilisticClassifier", progress: Progress
) -> "Entry":
    return contest.enter(classifier, _bar(progress, classifier.version, len(contest.texts)))


def _bar(progress: Progress, name: str, total: int) -> "Advance":
    task = progress.add_task(name, total=total, detail="")

    def advance(count: int) -> None:
        progress.advance(task, count)

    return advance


def _opened(  # noqa: PLR0913 - all that baselines are made of
    baselines: Sequence[Baseline],
    contest: "Contest",
    rows: _Rows,
    labels: "Labels",
    prompting: _Prompting,
    progress: Progress,
) -> "Iterator[ProbabilisticClassifier]":
    """Each baseline, fitted when its turn comes; the language model is loaded once."""
    language_model = None
    for baseline in baselines:
        if not baseline.prompted:
            yield _fitted(baseline, rows, labels, progress)
            continue
        from classifier.evaluation.prompting import (  # noqa: PLC0415
            PromptedClassifier,
            PromptSettings,
            load_language_model,
        )

        language_model = language_model or load_language_model(prompting.lm, prompting.device)
        shots = prompting.shots if baseline is Baseline.FEW_SHOT else 0
        total = sum(len(contest.texts_with(head)) for head in contest.heads)
        yield PromptedClassifier(
            language_model,
            labels,
            PromptSettings(shots=shots, seed=prompting.seed),
            rows.train if shots else (),
            contest.heads,
            _bar(progress, f"{language_model.name}, {baseline}", total),
        )


def _fitted(
    baseline: Baseline, rows: _Rows, labels: "Labels", progress: Progress
) -> "ProbabilisticClassifier":
    try:
        from classifier.evaluation.baselines import LinearBaseline, MajorityBaseline  # noqa: PLC0415
    except ImportError as error:
        raise typer.BadParameter(f"{error}: pip install 'tapewatch[train]'") from error

    if baseline is Baseline.MAJORITY:
        return MajorityBaseline(rows.train, labels)
    task = progress.add_task(f"fitting {baseline}", total=None, detail=f"{len(rows.train):,} rows")
    fitted = LinearBaseline(rows.train, labels)
    progress.remove_task(task)
    return fitted


def _draw(folder: Path, contest: "Contest", entries: "Sequence[Entry]") -> None:
    try:
        standings.draw(folder, contest, entries)
    except ImportError as error:
        raise typer.BadParameter(f"{error}: pip install 'tapewatch[train]'") from error
    console.messages.print(f"pictures are in {folder}")
