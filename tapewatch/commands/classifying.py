"""``classify``: texts in, predictions out, without Kafka or a database."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.text import Text

from classifier.attribution import Explanation, class_of
from classifier.prediction import SCALE, Prediction
from ingest.files import FeedFile
from tapewatch import console
from tapewatch.commands.options import Device, Json
from tapewatch.settings import Settings
from tapewatch.wiring import open_engine

if TYPE_CHECKING:
    from classifier.engine import Engine

_BATCH = 1024
_STRONGEST = 12
_LIGHT = 0.1
"""Words below this part of the strongest word's weight are printed without colour."""


class _Line(msgspec.Struct):
    """What ``classify`` reads of a line; everything else is let be."""

    text: str
    title: str | None = None
    id: str | int | None = None


def classify(  # noqa: PLR0913 - the options of the command
    text: Annotated[str | None, typer.Argument(help="The text to classify.")] = None,
    source: Annotated[
        Path | None, typer.Option("--input", help="JSONL, CSV or Parquet with a field `text`.")
    ] = None,
    target: Annotated[Path | None, typer.Option("--output", help="JSONL to write.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say how much each word counted.")
    ] = False,
    explained: Annotated[
        str | None,
        typer.Option("--target", help="The sentiment or topic to explain; by default `negative`."),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Say what a text is about and how it feels, and with --explain, which words made it so."""
    if (text is None) == (source is None):
        raise typer.BadParameter("give either a text or --input FILE")
    if explained is not None and not explain:
        raise typer.BadParameter("--target names the class to explain: add --explain")
    settings = Settings()
    name = (explained or "negative") if explain else None
    if source is not None:
        _classify_file(settings, source, target, device, name)
        return
    read = _readable(text or "")
    engine = _open(settings, device, name)
    prediction = engine.score([read])[0]
    explanation = _explain(engine, read, name) if name else None
    if as_json:
        console.print_json(as_plain(None, prediction, explanation))
        return
    _show(prediction)
    if explanation:
        _show_explanation(explanation)


def as_plain(
    identity: str | None, prediction: Prediction, explanation: Explanation | None = None
) -> dict[str, Any]:
    """A prediction as plain data, probabilities as fractions of one; explained if it was."""
    plain: dict[str, Any] = {
        "id": identity,
        "topic": prediction.topic,
        "sentiment": prediction.sentiment,
        "score": prediction.score / SCALE,
        "topic_probabilities": _fractions(prediction.topic_probabilities),
        "sentiment_probabilities": _fractions(prediction.sentiment_probabilities),
        "truncated": prediction.truncated,
        "model": prediction.model,
    }
    if explanation:
        plain["explanation"] = {
            "target": explanation.target,
            "baseline": explanation.baseline,
            "output": explanation.output,
            "completeness_error": explanation.error,
            "words": [{"text": word.text, "weight": word.weight} for word in explanation.words],
        }
    return plain


def _readable(argument: str) -> str:
    """An argument of the command line, with a mark for each byte that is no UTF-8."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _open(settings: Settings, device: str, explained: str | None) -> "Engine":
    """The engine. Raises ExplanationError if the class to explain is none of its own."""
    engine = open_engine(settings, device)
    if explained:
        class_of(engine.labels, explained)
    return engine


def _explain(engine: "Engine", text: str, target: str) -> Explanation:
    """Why ``text`` is what it is; captum is imported here and not before, it takes a while."""
    from classifier.explanation import explain  # noqa: PLC0415

    return explain(engine, text, target)


def _fractions(probabilities: dict[str, int]) -> dict[str, float]:
    return {name: value / SCALE for name, value in probabilities.items()}


def _classify_file(
    settings: Settings, source: Path, target: Path | None, device: str, explained: str | None
) -> None:
    feed = FeedFile(source)
    engine = _open(settings, device, explained)
    done = 0
    with console.progress_bar() as progress:
        task = progress.add_task(f"Classifying {source.name}", total=1.0, detail="")
        stream = target.open("wb") if target else None
        try:
            for lines in _in_batches(_read(feed, source)):
                predictions = engine.score([_content(line) for line in lines])
                for line, prediction in zip(lines, predictions, strict=True):
                    because = _explain(engine, _content(line), explained) if explained else None
                    identity = None if line.id is None else str(line.id)
                    plain = as_plain(identity, prediction, because)
                    if stream:
                        stream.write(msgspec.json.encode(plain) + b"\n")
                    else:
                        console.print_json(plain)
                done += len(lines)
                progress.update(task, completed=feed.progress, detail=f"{done:,} texts")
            progress.update(task, completed=1.0)
        finally:
            if stream:
                stream.close()
            feed.close()


def _content(line: _Line) -> str:
    return f"{line.title}\n{line.text}" if line.title else line.text


def _read(feed: FeedFile, source: Path) -> Iterator[_Line]:
    decoder = msgspec.json.Decoder(_Line)
    for record in feed:
        try:
            yield decoder.decode(record.payload or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"{source.name}, line {record.offset + 1}: {error}") from error


def _in_batches(lines: Iterator[_Line]) -> Iterator[list[_Line]]:
    batch: list[_Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _show(prediction: Prediction) -> None:
    console.output.print(
        f"{prediction.sentiment} (score {prediction.score / SCALE:+.2f}), {prediction.topic}"
        + (", text truncated" if prediction.truncated else "")
    )
    likeliest = sorted(prediction.topic_probabilities.items(), key=lambda item: -item[1])[:3]
    rows: Sequence[tuple[str, str]] = [
        *((name, f"{value / SCALE:.3f}") for name, value in likeliest),
        *((n, f"{v / SCALE:.3f}") for n, v in prediction.sentiment_probabilities.items()),
    ]
    console.print_table(prediction.model, ("class", "probability"), rows)


def _show_explanation(explanation: Explanation) -> None:
    """The text with its weighty words in colour, and the strongest with their signed weights."""
    target = explanation.target
    console.output.print(
        f"P({target}) is {explanation.output:.3f}: {explanation.baseline:.3f} without the text, "
        f"{explanation.output - explanation.baseline:+.3f} by its words "
        f"(completeness error {explanation.error:+.4f})"
    )
    strongest = explanation.strongest(_STRONGEST)
    if not strongest:
        return
    least = _LIGHT * abs(strongest[0].weight)
    console.output.print(_coloured(explanation, least))
    rows = [(_visible(word.text), f"{word.weight:+.3f}") for word in strongest]
    console.print_table(f"For (+) and against (-) {target}", ("word", "weight"), rows)


def _coloured(explanation: Explanation, least: float) -> Text:
    """The text as far as it is read: red speaks for the class, blue against it."""
    words = list(explanation.words)
    while words and not words[-1].weight:
        words.pop()
    text = Text()
    for word in words:
        style = "bold red" if word.weight > 0 else "bold blue"
        text.append(_visible(word.text), style if abs(word.weight) >= least else "")
        text.append(" " if word.text[-1].isspace() else "")
    return text


def _visible(text: str) -> str:
    """One line of feed text that moves no cursor: what a terminal might obey is left out."""
    joiner = "\u200d"
    shown = "".join(c if c.isprintable() or c == joiner else " " for c in text)
    return " ".join(shown.split())
