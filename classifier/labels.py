"""The names a prediction may take. Knows no model and no store.

The default topics are the twenty classes of the public "twitter financial news topic" set, in
the order of its label numbers; a set of weights carries its own names in its configuration.
"""

from dataclasses import dataclass

SENTIMENTS = ("negative", "neutral", "positive")

TOPICS = (
    "Analyst Update",
    "Fed | Central Banks",
    "Company | Product News",
    "Treasuries | Corporate Debt",
    "Dividend",
    "Earnings",
    "Energy | Oil",
    "Financials",
    "Currencies",
    "General News | Opinion",
    "Gold | Metals | Materials",
    "IPO",
    "Legal | Regulation",
    "M&A | Investments",
    "Macro",
    "Markets",
    "Politics",
    "Personnel Change",
    "Stock Commentary",
    "Stock Movement",
)


UNSORTED = "Unsorted"
"""The only topic of a model that was never told any."""

UNLABELLED = -100
"""The class index that the loss ignores: a document that carries no label for that head."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The topic and sentiment names of one model, each in the order of its head's outputs."""

    topics: tuple[str, ...] = TOPICS
    sentiments: tuple[str, ...] = SENTIMENTS
