"""A database with a small story in it: calm hours, a scare, and headlines that mean harm."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from classifier.labels import SENTIMENTS, TOPICS, Labels
from classifier.prediction import Prediction
from ingest.batch import DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Document, Reason
from store.alertlog import EventRow, StateRow, append_events, write_states
from store.cards import NewCard, write_cards
from store.commits import commit_batch, register_model
from store.database import Database
from store.preparing import prepare_batch
from store.runs import finish_run, open_run

START = datetime(2026, 3, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOSTILE = (
    "<img src=http://evil.example/a.png onerror=alert(1)> **bold** $x^2$ costs $5 "
    "[click](javascript:alert(1)) ![i](http://evil.example/b.png) :red[boo] "
    "http://evil.example/c \u202etxt.exe\u202c \x07bell"
)


class Scene:
    """A database to be filled; hours are counted from the scene's first day."""

    def __init__(self, url):
        self.database = Database(url)
        self.database.migrate()

    def add_documents(
        self,
        run_name,
        count,
        *,
        hour=0,
        topic="Macro",
        sentiment="neutral",
        topics=TOPICS,
        model="model-1",
        **fields,
    ):
        """Add ``count`` documents of an hour to a run."""
        with self.database.transaction() as connection:
            run = open_run(connection, run_name)
            register_model(connection, model, Labels(topics))
            documents = [_document(hour, topic, n, count, fields) for n in range(count)]
            predictions = [_prediction(topic, sentiment, topics, model)] * count
            commit_batch(
                connection, run.id, prepare_batch(ScoredBatch(documents, predictions, [], []))
            )

    def add_alert(
        self,
        run_name,
        rule,
        key="Financials",
        *,
        fired=12.0,
        resolved=None,
        severity=8,
        card=None,
        reason=None,
    ):
        """Let an alert fire at an hour, with a card or without, and resolve at another."""
        changes = [("firing", fired)] + ([("resolved", resolved)] if resolved else [])
        with self.database.transaction() as connection:
            run = open_run(connection, run_name)
            rows = [_event(rule, key, severity, fired, *change) for change in changes]
            numbers = append_events(connection, run.id, rows)
            if resolved is None:
                at = START + fired * HOUR
                write_states(connection, run.id, [StateRow(rule, key, "firing", at, at)], [])
            if card is not None or reason is not None:
                write_cards(connection, [NewCard(numbers[0], card, reason)])

    def add_dead_letters(self, run_name, *payloads, reason=Reason.NOT_JSON):
        """Have records turned away that hold these bytes."""
        with self.database.transaction() as connection:
            run = open_run(connection, run_name)
            letters = [
                DeadLetter(Record(Partition("feed", 0), offset, payload), reason, "broken")
                for offset, payload in enumerate(payloads)
            ]
            commit_batch(connection, run.id, prepare_batch(ScoredBatch([], [], letters, [])))

    def finish(self, *run_names):
        """Mark runs as complete."""
        with self.database.transaction() as connection:
            for name in run_names:
                finish_run(connection, open_run(connection, name).id)

    def tell_story(self):
        """A finished replay with a scare at noon, and a quiet one made before it."""
        self.add_documents("quiet", 5)
        for hour in range(24):
            self.add_documents("replay", 6, hour=hour)
            self.add_documents("replay", 4, hour=hour, topic="Treasuries | Corporate Debt")
        scare = {"topic": "Financials", "sentiment": "negative"}
        self.add_documents("replay", 30, hour=12, symbols=("HUB",), **scare)
        self.add_documents("replay", 1, hour=13, title=HOSTILE, **scare)
        self.add_alert("replay", "bank-run", fired=12.5)
        self.add_alert("replay", "negative-share", fired=12.75, resolved=14, severity=3)
        self.finish("quiet", "replay")

    def close(self):
        """Leave the database."""
        self.database.close()


@pytest.fixture(scope="session")
def new_scene() -> type[Scene]:
    return Scene


@pytest.fixture
def scene(database_url) -> Iterator[Scene]:
    scene = Scene(database_url)
    yield scene
    scene.close()


@pytest.fixture
def story(scene) -> Scene:
    scene.tell_story()
    return scene


def _document(hour, topic, number, count, fields):
    at = START + hour * HOUR + number * HOUR / count
    values = {"kind": "news", "source": "wire", "text": f"{topic} at {at:%H:%M}", **fields}
    identity = f"{topic}-{hour}-{number}-{len(values['text'])}-{values['kind']}"
    return Document(id=identity, published_at=at, **values)


def _prediction(topic, sentiment, topics, model):
    return Prediction(
        {name: 10_000 if name == topic else 0 for name in topics},
        {name: 8000 if name == sentiment else 1000 for name in SENTIMENTS},
        model,
        5,
    )


def _event(rule, key, severity, fired, state, hour):
    at = START + hour * HOUR
    return EventRow(
        rule=rule,
        key=key,
        scope="topic",
        at=at,
        previous="pending",
        state=state,
        reason="beyond_threshold",
        severity=severity,
        fired_at=START + fired * HOUR,
        value=0.875,
        documents=31,
        window_start=at - HOUR,
        window_end=at,
    )
