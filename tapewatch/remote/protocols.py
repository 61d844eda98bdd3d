"""The wire formats that a scorer may speak: our own, KServe v2 (Triton) and vLLM's ``/classify``.

Each asks a server about some texts and makes predictions of the answer, which is believed only as
far as it is right: as many entries as texts, as many probabilities as the model has classes, each
in [0, 1] and together one. Servers that do not name their classes are read by the names in
``labels.json`` of the weights. Knows no patience, no settings and no clock.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

import msgspec

from classifier.labels import Labels
from classifier.prediction import SCALE, Prediction
from tapewatch.remote.errors import ScorerError
from tapewatch.remote.wire import CHARACTERS_SENT, ModelCard, Predictions, Texts

T = TypeVar("T")

_SLACK = 0.01
"""How far probabilities as floats may be from adding up to one: bfloat16 has two good digits."""

_SCORE_NEEDS = {"negative", "positive"}
_NAMELESS = re.compile(r"LABEL_\d+")
"""What transformers calls the classes of a model that has no names for them."""


class Calls(Protocol):
    """What sends requests, see ``tapewatch.remote.transport``."""

    def get(self, url: str) -> bytes:
        """The body found there."""

    def post(self, url: str, body: object) -> bytes:
        """The answer to ``body``, sent as JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Predictions in the order of the texts, and the version and labels that they are by."""

    version: str
    labels: Labels
    predictions: list[Prediction]


class WireProtocol(Protocol):
    """How to ask one kind of server."""

    def describe(self, calls: Calls) -> Answer:
        """Version and labels of the model, without predictions. Raises ScorerError."""

    def ask(self, calls: Calls, texts: Sequence[str]) -> Answer:
        """The predictions of ``texts``, at least one. Raises ScorerError."""


class TapewatchProtocol:
    """``tapewatch serve`` at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = _checked(url)

    def describe(self, calls: Calls) -> Answer:
        """Ask which model serves."""
        url = f"{self._url}/v1/model"
        found = _decoded(calls.get(url), ModelCard, url)
        return Answer(found.version, _named(found.labels, url), [])

    def ask(self, calls: Calls, texts: Sequence[str]) -> Answer:
        """One request."""
        url = f"{self._url}/v1/predictions"
        sent = Texts([text[:CHARACTERS_SENT] for text in texts])
        found = _decoded(calls.post(url, sent), Predictions, url)
        labels = _named(found.model.labels, url)
        _count(len(found.predictions), len(texts), "predictions", url)
        predictions = [
            Prediction(
                _whole(labels.topics, said.topic_probabilities, url),
                _whole(labels.sentiments, said.sentiment_probabilities, url),
                found.model.version,
                said.tokens,
                said.truncated,
            )
            for said in found.predictions
        ]
        return Answer(found.model.version, labels, predictions)


class _Tensor(msgspec.Struct):
    """A tensor of the KServe v2 protocol: its metadata, or with ``data``, itself."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float | bool] = msgspec.field(default_factory=list)


class _KServeModel(msgspec.Struct):
    name: str
    inputs: list[_Tensor]
    versions: list[str] = msgspec.field(default_factory=list)


class _KServeAnswer(msgspec.Struct):
    model_name: str
    outputs: list[_Tensor]
    model_version: str | None = None


class KServeProtocol:
    """A model behind the KServe v2 protocol, as Triton speaks it, at ``url``.

    ``url`` ends with ``/v2/models/NAME``, or names a version as well. The model takes one BYTES
    tensor of texts, shape (N,) or (N, 1), and gives ``topic_probabilities`` (N, topics) and
    ``sentiment_probabilities`` (N, sentiments). It may give ``tokens`` and ``truncated``, each (N,)
    or (N, 1); without them tokens are estimated and no text counts as truncated.
    """

    def __init__(self, url: str, labels: Labels) -> None:
        self._url = _checked(url)
        self._labels = labels
        self._input: _Tensor | None = None

    def describe(self, calls: Calls) -> Answer:
        """Read the model's metadata."""
        model = _decoded(calls.get(self._url), _KServeModel, self._url)
        takes = [tensor for tensor in model.inputs if tensor.datatype == "BYTES"]
        if len(takes) != 1 or len(model.inputs) != 1 or len(takes[0].shape) not in {1, 2}:
            raise ScorerError(
                f"the model at {self._url} must take one BYTES tensor of shape (N,) or (N, 1)"
            )
        self._input = takes[0]
        version = _version(model.name, model.versions[-1] if model.versions else None)
        return Answer(version, self._labels, [])

    def ask(self, calls: Calls, texts: Sequence[str]) -> Answer:
        """One request."""
        if self._input is None:
            self.describe(calls)
        assert self._input is not None  # noqa: S101 - describe sets it
        url, rows = f"{self._url}/infer", len(texts)
        sent = {
            "name": self._input.name,
            "datatype": "BYTES",
            "shape": [rows] if len(self._input.shape) == 1 else [rows, 1],
            "data": [text[:CHARACTERS_SENT] for text in texts],
        }
        found = _decoded(calls.post(url, {"inputs": [sent]}), _KServeAnswer, url)
        given = {tensor.name: tensor for tensor in found.outputs}
        topics = _rows(given, "topic_probabilities", rows, self._labels.topics, url)
        sentiments = _rows(given, "sentiment_probabilities", rows, self._labels.sentiments, url)
        tokens = _column(given, "tokens", rows, url) or [estimated_tokens(text) for text in texts]
        truncated = _column(given, "truncated", rows, url) or [False] * rows
        version = _version(found.model_name, found.model_version)
        return Answer(
            version,
            self._labels,
            [
                Prediction(topic, sentiment, version, int(length), bool(cut))
                for topic, sentiment, length, cut in zip(
                    topics, sentiments, tokens, truncated, strict=True
                )
            ],
        )


class _Classified(msgspec.Struct):
    index: int
    probs: list[float]
    label: str | None = None


class _VllmAnswer(msgspec.Struct):
    model: str
    data: list[_Classified]


class _VllmModel(msgspec.Struct):
    id: str


class _VllmModels(msgspec.Struct):
    data: list[_VllmModel]


class VllmProtocol:
    """Two servers of vLLM, one a head: a topic model and a sentiment model, asked in turn.

    vLLM serves one head a process. It does not say which texts it cut, nor how many tokens each
    had: tokens are estimated, and no text counts as truncated.
    """

    def __init__(self, topics_url: str, sentiments_url: str, labels: Labels) -> None:
        self._heads = (
            (_checked(topics_url), labels.topics),
            (_checked(sentiments_url), labels.sentiments),
        )
        self._labels = labels

    def describe(self, calls: Calls) -> Answer:
        """Ask both servers which model they have."""
        names = [self._model(calls, url) for url, _ in self._heads]
        return Answer("+".join(names), self._labels, [])

    def ask(self, calls: Calls, texts: Sequence[str]) -> Answer:
        """One request a head."""
        (topic_model, topics), (sentiment_model, sentiments) = (
            self._classify(calls, url, classes, texts) for url, classes in self._heads
        )
        version = f"{topic_model}+{sentiment_model}"
        return Answer(
            version,
            self._labels,
            [
                Prediction(topic, sentiment, version, estimated_tokens(text))
                for topic, sentiment, text in zip(topics, sentiments, texts, strict=True)
            ],
        )

    @staticmethod
    def _model(calls: Calls, url: str) -> str:
        url = f"{url}/v1/models"
        found = _decoded(calls.get(url), _VllmModels, url).data
        if not found:
            raise ScorerError(f"{url} lists no model")
        return found[0].id

    @staticmethod
    def _classify(
        calls: Calls, url: str, classes: Sequence[str], texts: Sequence[str]
    ) -> tuple[str, list[dict[str, int]]]:
        url = f"{url}/classify"
        sent = {
            "input": [text[:CHARACTERS_SENT] for text in texts],
            "truncate_prompt_tokens": -1,  # to what the model takes
            "truncation_side": "right",
        }
        found = _decoded(calls.post(url, sent), _VllmAnswer, url)
        _count(len(found.data), len(texts), "predictions", url)
        entries = sorted(found.data, key=lambda entry: entry.index)
        if [entry.index for entry in entries] != list(range(len(texts))):
            raise ScorerError(f"{url} numbers its predictions wrongly")
        scored = [_fractions(classes, entry.probs, url) for entry in entries]
        for entry in entries:
            _check_label(entry, classes, url)
        return found.model, scored


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has, the end token included: four characters each."""
    return len(text[:CHARACTERS_SENT]) // 4 + 2


def read_label_names(weights: Path) -> Labels:
    """The labels of the weights in that folder, read without torch. Raises ScorerError."""
    path = weights / "labels.json"
    try:
        return _named(msgspec.json.decode(path.read_bytes(), type=Labels), str(path))
    except (OSError, msgspec.MsgspecError) as error:
        raise ScorerError(
            f"the scorer does not name its classes, and {path} cannot be read: {error}; point "
            "TAPEWATCH_WEIGHTS at a folder with the labels.json of the model that is served"
        ) from error


def _checked(url: str) -> str:
    if not re.match(r"https?://[^/\s]+", url):
        raise ScorerError(f"TAPEWATCH_SCORER_URL is no http:// or https:// address: {url!r}")
    return quote(url.rstrip("/"), safe="/:@[]?=&%.~-_")


def _decoded(data: bytes, kind: type[T], url: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ScorerError(
            f"{url} does not answer as its protocol says: {error}; check "
            "TAPEWATCH_SCORER_URL and TAPEWATCH_SCORER_PROTOCOL"
        ) from error


def _named(labels: Labels, url: str) -> Labels:
    """``labels`` if predictions can be made with them."""
    distinct = all(len(set(n)) == len(n) > 0 for n in (labels.topics, labels.sentiments))
    if not distinct or not set(labels.sentiments) >= _SCORE_NEEDS:
        raise ScorerError(f"{url} names classes that no prediction can be made of: {labels}")
    return labels


def _count(found: int, wanted: int, what: str, url: str) -> None:
    if found != wanted:
        raise ScorerError(f"{url} answered {found} {what} where {wanted} were asked for")


def _whole(classes: Sequence[str], probabilities: Sequence[int], url: str) -> dict[str, int]:
    """Integers of 1e-4 by name; each may be rounded, so that the sum is off by some."""
    _count(len(probabilities), len(classes), "probabilities of a text", url)
    if abs(sum(probabilities) - SCALE) > len(classes):
        raise ScorerError(f"{url} answered probabilities that do not add up to one")
    return dict(zip(classes, probabilities, strict=True))


def _fractions(classes: Sequence[str], probabilities: Sequence[float], url: str) -> dict[str, int]:
    """The same, of fractions of one, rounded as the engine rounds."""
    _count(len(probabilities), len(classes), "probabilities of a text", url)
    inside = all(-_SLACK <= p <= 1 + _SLACK for p in probabilities)
    if not inside or abs(sum(probabilities) - 1) > _SLACK:
        raise ScorerError(f"{url} answered what are no probabilities, perhaps logits")
    scaled = (min(max(round(p * SCALE), 0), SCALE) for p in probabilities)
    return dict(zip(classes, scaled, strict=True))


def _rows(
    given: dict[str, _Tensor], name: str, rows: int, classes: Sequence[str], url: str
) -> list[dict[str, int]]:
    """The rows of a tensor of probabilities, by name."""
    tensor = given.get(name)
    width = len(classes)
    if tensor is None or tensor.shape != [rows, width] or len(tensor.data) != rows * width:
        shape = tensor.shape if tensor else "missing"
        raise ScorerError(f"{url}: the output {name} is {shape}, should be [{rows}, {width}]")
    starts = range(0, rows * width, width)
    return [_fractions(classes, tensor.data[at : at + width], url) for at in starts]


def _column(given: dict[str, _Tensor], name: str, rows: int, url: str) -> list[float | bool] | None:
    tensor = given.get(name)
    if tensor is None:
        return None
    _count(len(tensor.data), rows, f"elements of the output {name}", url)
    return tensor.data


def _version(name: str, version: str | None) -> str:
    return f"{name}-{version}" if version else name


def _check_label(entry: _Classified, classes: Sequence[str], url: str) -> None:
    """The server's own name for the likeliest class tells an order that is not ours."""
    likeliest = classes[max(range(len(classes)), key=entry.probs.__getitem__)]
    label = entry.label
    if label is not None and not _NAMELESS.fullmatch(label) and label != likeliest:
        raise ScorerError(
            f"{url} calls {label!r} what the labels of the weights call {likeliest!r}: the order "
            "of the classes differs"
        )
