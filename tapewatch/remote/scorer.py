"""The scorer that asks a server: what the pipeline sees instead of an engine of its own.

A batch goes out in requests of bounded size. If its answers are by more than one version, because
the server's weights were changed meanwhile, all of it is asked again: one batch, one version.
Needs no torch, so a worker that scores this way is small. Knows neither Kafka nor the store.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog

from classifier.labels import Labels
from classifier.prediction import Prediction
from tapewatch.champion import serving_folder
from tapewatch.remote.errors import ScorerError
from tapewatch.remote.protocols import (
    Answer,
    KServeProtocol,
    TapewatchProtocol,
    VllmProtocol,
    WireProtocol,
    estimated_tokens,
    read_label_names,
)
from tapewatch.remote.transport import Transport
from tapewatch.remote.wire import CHARACTERS_SENT, MAX_TEXTS, REQUEST_BYTES
from tapewatch.settings import Settings

log = structlog.get_logger(__name__)

ROUNDS = 5
"""How often a batch is asked anew because the version changed in the middle of it."""


@dataclass(frozen=True, slots=True)
class RemoteText:
    """A text that a server will tokenize; ``len`` estimates its tokens, for batching only."""

    text: str

    def __len__(self) -> int:
        return estimated_tokens(self.text)


class HttpScorer:
    """Scores by the server behind ``protocol``, which is asked for its model at once.

    Raises ScorerError where the server is not what it should be, ScorerUnavailableError where it
    is away for longer than the patience of ``transport``.
    """

    def __init__(self, protocol: WireProtocol, transport: Transport) -> None:
        self._protocol = protocol
        self._transport = transport
        self._known: dict[str, Labels] = {}
        self._model = self._believed(protocol.describe(transport))

    @property
    def version(self) -> str:
        """The version that scored last, or said that it would score first."""
        return self._model.version

    @property
    def labels(self) -> Labels:
        """The labels of that version."""
        return self._model.labels

    def tokenize(self, texts: Sequence[str]) -> list[RemoteText]:
        """The texts with an estimate of their tokens: the server tokenizes."""
        return [RemoteText(text) for text in texts]

    def predict(self, tokenized: Sequence[RemoteText]) -> list[Prediction]:
        """The predictions of ``tokenized``, in order, all by one version."""
        return self.score([item.text for item in tokenized])

    def score(self, texts: Sequence[str]) -> list[Prediction]:
        """The predictions of ``texts``, in order, all by one version."""
        for _ in range(ROUNDS):
            answers = [self._ask(part) for part in _parts(texts)]
            versions = {answer.version for answer in answers}
            if len(versions) <= 1:
                if answers:
                    self._model = answers[-1]
                return [said for answer in answers for said in answer.predictions]
            log.info("batch_asked_again", versions=sorted(versions))
        raise ScorerError(
            f"the scorer changed its version in each of {ROUNDS} attempts at a batch: are several "
            "servers with different weights behind one address?"
        )

    def close(self) -> None:
        """Close the connections; a wait under way ends with an error."""
        self._transport.close()

    def _ask(self, texts: Sequence[str]) -> Answer:
        return self._believed(self._protocol.ask(self._transport, texts))

    def _believed(self, answer: Answer) -> Answer:
        """A version has the same labels each time, or something is wrong over there."""
        known = self._known.setdefault(answer.version, answer.labels)
        if known != answer.labels:
            raise ScorerError(f"the scorer's version {answer.version} had other labels before")
        return answer


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Runs of texts of which each fits into one request."""
    first, size = 0, 0
    for index, text in enumerate(texts):
        # A character takes at most six bytes in JSON, and most take one.
        bytes_of = 6 * len(text[:CHARACTERS_SENT])
        if index > first and (index - first == MAX_TEXTS or size + bytes_of > REQUEST_BYTES):
            yield texts[first:index]
            first, size = index, 0
        size += bytes_of
    if first < len(texts):
        yield texts[first:]


def open_http_scorer(settings: Settings) -> HttpScorer:
    """The scorer of TAPEWATCH_SCORER_URL. Raises ScorerError."""
    token = settings.scorer_token
    transport = Transport(
        token.get_secret_value() if token else None,
        settings.scorer_timeout_seconds,
        settings.scorer_patience_seconds,
    )
    try:
        return HttpScorer(_protocol(settings), transport)
    except BaseException:
        transport.close()
        raise


def _protocol(settings: Settings) -> WireProtocol:
    urls = [url.strip() for url in (settings.scorer_url or "").split(",")]
    wanted = 2 if settings.scorer_protocol == "vllm" else 1
    if len(urls) != wanted:
        raise ScorerError(
            f"TAPEWATCH_SCORER_URL names {len(urls)} addresses; the protocol "
            f"{settings.scorer_protocol} needs {wanted}"
            + (": that of the topic model, a comma, that of the sentiment model" * (wanted == 2))
        )
    if settings.scorer_protocol == "tapewatch":
        return TapewatchProtocol(urls[0])
    labels = read_label_names(serving_folder(settings))
    if settings.scorer_protocol == "kserve":
        return KServeProtocol(urls[0], labels)
    return VllmProtocol(urls[0], urls[1], labels)
