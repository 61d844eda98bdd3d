"""Documents drawn as a timeline, committed into a run: what tests of alerts begin with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alerts.rules import Metric, ThresholdRule
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from store import runs
from store.commits import commit_batch
from store.database import Database
from store.preparing import prepare_batch
from store.runs import Run

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PART = Partition("topic", 0)


RULE = ThresholdRule(
    name="mood",
    metric=Metric.NEGATIVE_SHARE,
    threshold=0.6,
    clear=0.4,
    scope="all",
    window=3 * MINUTE,
    every=MINUTE,
    min_documents=2,
)
SCARE = "====-----=====----====="
"""A minute a letter, as `commit_drawn` takes them: two firings of the rule."""


def open_run(database: Database, name: str) -> Run:
    """The run of that name."""
    with database.transaction() as connection:
        return runs.open_run(connection, name)


def at(minute: float) -> datetime:
    """So many minutes after noon."""
    return NOON + minute * MINUTE


def commit_drawn(
    database: Database, run: Run, timeline: str, first: int = 0, symbols: tuple[str, ...] = ()
) -> None:
    """One document a letter, a minute each: `-` negative, `=` neutral, `.` none."""
    moods = [(at(first + i), letter) for i, letter in enumerate(timeline) if letter != "."]
    documents = [
        Document(
            id=f"{moment}", source="s", kind="news", published_at=moment, text="x", symbols=symbols
        )
        for moment, _ in moods
    ]
    with database.transaction() as connection:
        before = runs.read_checkpoints(connection, run.id).get(PART)
        start = before.next_offset if before else 0
        # A gap at the end moves the checkpoint too: the feed has reached that minute.
        newest = at(first + len(timeline) - 1)
        step = Advance(PART, before and before.next_offset, Checkpoint(start + 1, newest))
        predictions = [_predicted(letter) for _, letter in moods]
        commit_batch(
            connection, run.id, prepare_batch(ScoredBatch(documents, predictions, [], [step]))
        )


def _predicted(letter: str) -> Prediction:
    sure = {"negative": 0, "neutral": 0, "positive": 0}
    sure["negative" if letter == "-" else "neutral"] = 10_000
    return Prediction({"Macro": 10_000}, sure, "m", 1)
