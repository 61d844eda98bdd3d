"""The prediction contract: what the classifier says of one text. Knows no torch.

Probabilities are kept as integers of 1e-4 so that sums are exact in any order, on which the
digest of a run rests.
"""

import msgspec

SCALE = 10_000
"""Probabilities and scores are integers of one ten-thousandth."""


class Prediction(msgspec.Struct, frozen=True):
    """One text's topic and sentiment: probabilities by name, as integers of 1e-4."""

    topic_probabilities: dict[str, int]
    sentiment_probabilities: dict[str, int]
    model: str
    tokens: int
    truncated: bool = False

    @property
    def topic(self) -> str:
        """The likeliest topic; the first of equals, in the order of the labels."""
        return max(self.topic_probabilities, key=self.topic_probabilities.__getitem__)

    @property
    def sentiment(self) -> str:
        """The likeliest sentiment; the first of equals, so negative before neutral."""
        return max(self.sentiment_probabilities, key=self.sentiment_probabilities.__getitem__)

    @property
    def score(self) -> int:
        """P(positive) - P(negative), an integer of 1e-4 in [-10000, 10000]."""
        probabilities = self.sentiment_probabilities
        return probabilities["positive"] - probabilities["negative"]
