"""``classify``: texts in, predictions out, without Kafka or a database."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from classifier.prediction import SCALE, Prediction
from ingest.files import FeedFile
from tapewatch import console
from tapewatch.commands.options import Device, Json
from tapewatch.settings import Settings
from tapewatch.wiring import open_engine

_BATCH = 1024


class _Line(msgspec.Struct):
    """What ``classify`` reads of a line; everything else is let be."""

    text: str
    title: str | None = None
    id: str | int | None = None


def classify(
    text: Annotated[str | None, typer.Argument(help="The text to classify.")] = None,
    source: Annotated[
        Path | None, typer.Option("--input", help="JSONL, CSV or Parquet with a field `text`.")
    ] = None,
    target: Annotated[Path | None, typer.Option("--output", help="JSONL to write.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Say what a text is about and how it feels."""
    if (text is None) == (source is None):
        raise typer.BadParameter("give either a text or --input FILE")
    settings = Settings()
    if source is not None:
        _classify_file(settings, source, target, device)
        return
    engine = open_engine(settings, device)
    prediction = engine.score([text or ""])[0]
    if as_json:
        console.print_json(as_plain(None, prediction))
    else:
        _show(prediction)


def as_plain(identity: str | None, prediction: Prediction) -> dict[str, Any]:
    """A prediction as plain data, probabilities as fractions of one."""
    return {
        "id": identity,
        "topic": prediction.topic,
        "sentiment": prediction.sentiment,
        "score": prediction.score / SCALE,
        "topic_probabilities": _fractions(prediction.topic_probabilities),
        "sentiment_probabilities": _fractions(prediction.sentiment_probabilities),
        "truncated": prediction.truncated,
        "model": prediction.model,
    }


def _fractions(probabilities: dict[str, int]) -> dict[str, float]:
    return {name: value / SCALE for name, value in probabilities.items()}


def _classify_file(settings: Settings, source: Path, target: Path | None, device: str) -> None:
    feed = FeedFile(source)
    engine = open_engine(settings, device)
    done = 0
    with console.progress_bar() as progress:
        task = progress.add_task(f"Classifying {source.name}", total=1.0, detail="")
        stream = target.open("wb") if target else None
        try:
            for lines in _in_batches(_read(feed, source)):
                predictions = engine.score([_content(line) for line in lines])
                for line, prediction in zip(lines, predictions, strict=True):
                    plain = as_plain(None if line.id is None else str(line.id), prediction)
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
