"""Documents drawn as a timeline, committed into a run: what tests of alerts begin with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from alerts.alerter import Alerter
from alerts.rules.ruleset import Metric, RuleSet, ThresholdRule
from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from store import runs
from store.commits import commit_batch, register_model
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
OF_SYMBOLS = replace(RULE, scope="symbol", clear=None)
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


def let_fire(
    database: Database,
    name: str,
    key: str,
    timeline: str = "====-----",
    severity: int = 5,
    dashboard: str | None = None,
) -> None:
    """Have an alert of the rule `mood` for a symbol in the run of that name, and tell of it.

    With the address of a ``dashboard``, the message has links.
    """
    with database.transaction() as connection:
        register_model(connection, "m", Labels(("Macro",)))
    run = open_run(database, name)
    commit_drawn(database, run, timeline, symbols=(key,))
    rules = RuleSet(rules=(replace(OF_SYMBOLS, severity=severity),), dashboard=dashboard)
    Alerter(database, run, rules, notify=True).advance(NOON, finish=True)


def _predicted(letter: str) -> Prediction:
    sure = {"negative": 0, "neutral": 0, "positive": 0}
    sure["negative" if letter == "-" else "neutral"] = 10_000
    return Prediction({"Macro": 10_000}, sure, "m", 1)
