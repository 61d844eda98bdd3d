"""What ``tapewatch serve`` and its clients say to each other, and how much of it at once.

``POST /v1/predictions`` takes ``Texts`` and gives ``Predictions``; ``GET /v1/model`` gives
``ModelCard``. Every answer carries the names of its model's classes, so that an answer can be read
whichever version made it. Knows no server and no client.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from classifier.labels import Labels
from classifier.prediction import SCALE, Prediction

MAX_TEXTS = 1024
"""Texts of one request."""

MAX_REQUEST_BYTES = 8 * 1024 * 1024
REQUEST_BYTES = 7 * 1024 * 1024
"""Bytes that a client's texts take at most in one request; the rest is for what is around them."""

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
CHARACTERS_SENT = 16_385
"""One more than the engine reads of a text, so that it still sees that the text was longer."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Probability = Annotated[int, msgspec.Meta(ge=0, le=SCALE)]


class Texts(msgspec.Struct):
    """What is to be scored."""

    texts: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_TEXTS)]


class ModelCard(msgspec.Struct, frozen=True):
    """Which weights score, and the names of their classes in the order of the probabilities."""

    version: Name
    topics: tuple[Name, ...]
    sentiments: tuple[Name, ...]

    @property
    def labels(self) -> Labels:
        """The names, as the rest of the house knows them."""
        return Labels(self.topics, self.sentiments)


class Scored(msgspec.Struct):
    """One text's probabilities, integers of 1e-4."""

    topic_probabilities: list[Probability]
    sentiment_probabilities: list[Probability]
    tokens: Annotated[int, msgspec.Meta(ge=0)]
    truncated: bool


class Predictions(msgspec.Struct):
    """One entry a text, in the order of the request, all by ``model``."""

    model: ModelCard
    predictions: list[Scored]


class Problem(msgspec.Struct):
    """The body of every answer that is not 200."""

    error: str


def card(version: str, labels: Labels) -> ModelCard:
    """The card of a model."""
    return ModelCard(version, labels.topics, labels.sentiments)


def pack(predictions: Sequence[Prediction]) -> Predictions:
    """The answer that carries ``predictions``: at least one, all by one model."""
    first = predictions[0]
    labels = Labels(tuple(first.topic_probabilities), tuple(first.sentiment_probabilities))
    return Predictions(
        card(first.model, labels),
        [
            Scored(
                list(said.topic_probabilities.values()),
                list(said.sentiment_probabilities.values()),
                said.tokens,
                said.truncated,
            )
            for said in predictions
        ],
    )
