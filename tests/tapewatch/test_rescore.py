"""``rescore`` with real tiny weights: the run becomes that of a fresh replay with them."""

import json
import random

import pytest
import typer
from support.checks import buckets_equal_recount
from support.tiny_weights import FILLERS, write_weights
from typer.testing import CliRunner

from alerts.rules.ruleset import RuleSet
from classifier.engine import Engine
from store.digest import digest
from store.runs import delete_run, find_run
from tapewatch.commands import rescoring
from tapewatch.commands.rescoring import rescore_run
from tapewatch.remote.errors import ScorerError
from tapewatch.settings import Settings
from tapewatch.wiring import Replay, open_run

FIRST_TOPICS = {"Banks": "loan", "Oil": "barrel", "Gold": "coin"}
SECOND_TOPICS = {"Hailstorms": "barrel", "Tulips": "loan"}

app = typer.Typer()
app.command()(rescoring.rescore)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Weights for money, and weights for gardens, which read the same words otherwise."""
    folder = tmp_path_factory.mktemp("weights")
    words = {"negative": "falls", "positive": "rises"}
    swapped = {"negative": "rises", "positive": "report"}
    return (
        write_weights(folder / "first", FIRST_TOPICS, words),
        write_weights(folder / "second", SECOND_TOPICS, swapped, seed=2),
    )


@pytest.fixture(scope="module")
def engines(folders):
    return [Engine(folder, "cpu", threads=1) for folder in folders]


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    """Posts of four hours, some of them delivered once for each symbol."""
    chance = random.Random(5)
    path = tmp_path_factory.mktemp("feed") / "feed.jsonl"
    words = [*FILLERS, *FIRST_TOPICS.values(), "falls", "rises"]
    with path.open("w") as stream:
        for number in range(150):
            minute = chance.randrange(240)
            post = {
                "id": f"d{number * 7 % 101}",
                "source": chance.choice("st"),
                "kind": chance.choice(["news", "comment"]),
                "published_at": f"2026-03-10T{12 + minute // 60}:{minute % 60:02}:00Z",
                "text": " ".join(chance.choices(words, k=6)),
                "title": chance.choice([None, "barrel of the week"]),
                "symbol": chance.choice([None, "A", "B", "C"]),
            }
            stream.write(json.dumps(post) + "\n")
    return path


@pytest.fixture
def replayed(database, feed):
    """Replay the feed into a run of that name with an engine; gone after the test."""
    names = []

    def replay(name, engine):
        names.append(name)
        run = open_run(database, name, feed.name)
        settings = Settings(batch_documents=32)
        Replay(database, engine, RuleSet(rules=()), settings, run, feed).go()
        return run

    yield replay
    with database.transaction() as connection:
        for name in names:
            delete_run(connection, name)


def parts(database, name):
    """The digests of documents and buckets; and of the whole, since no rule was judged."""
    with database.transaction() as connection:
        return digest(connection, find_run(connection, name).id)


class Interrupted:
    """A model that is interrupted at its third batch."""

    def __init__(self, engine):
        self.version, self.labels, self._engine, self._batches = (
            engine.version, engine.labels, engine, 0,
        )  # fmt: skip

    def score(self, texts):
        self._batches += 1
        if self._batches == 3:
            raise KeyboardInterrupt
        return self._engine.score(texts)


def test_the_digest_is_that_of_a_fresh_replay(database, engines, replayed):
    first, second = engines
    run, fresh = replayed("run", first), replayed("fresh", second)
    assert parts(database, "run")["documents"] != parts(database, "fresh")["documents"]
    steps = []

    report = rescore_run(database, second, run, 30, lambda *step: steps.append(step))

    assert parts(database, "run") == parts(database, "fresh")
    buckets_equal_recount(database, "run")
    assert (report.run, report.model) == ("run", second.version)
    assert (report.documents, report.remaining) == (101, 0)
    assert 0 < report.sentiments_changed <= report.topics_changed <= 101
    assert steps == [(0, 101), (30, 101), (60, 101), (90, 101), (101, 101)]
    assert rescore_run(database, second, fresh, 30).documents == 0


def test_an_interrupted_rescoring_goes_on(database, engines, replayed):
    first, second = engines
    run = replayed("run", first)
    replayed("fresh", second)
    with pytest.raises(KeyboardInterrupt):
        rescore_run(database, Interrupted(second), run, 30)
    buckets_equal_recount(database, "run")
    assert parts(database, "run") != parts(database, "fresh")

    report = rescore_run(database, second, run, 30)

    assert report.documents == 101 - 60
    assert parts(database, "run") == parts(database, "fresh")


class Promoted:
    """A server that has other weights by the time of the second batch."""

    def __init__(self, before, after):
        self.version, self.labels, self._turn = before.version, before.labels, [before, after]

    def score(self, texts):
        return self._turn.pop(0).score(texts)


def test_weights_that_change_in_the_middle_end_it_with_what_is_done_done(
    database, engines, replayed
):
    first, second = engines
    run = replayed("run", first)
    with pytest.raises(ScorerError, match="run it again"):
        rescore_run(database, Promoted(second, first), run, 30)
    buckets_equal_recount(database, "run")
    assert rescore_run(database, second, run, 30).documents == 101 - 30


def test_the_command_rescores_with_the_weights_of_the_settings(
    database, engines, folders, replayed, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    replayed("run", engines[0])
    environment = {
        "TAPEWATCH_DATABASE_URL": database.url,
        "TAPEWATCH_WEIGHTS": str(folders[1]),
        "COLUMNS": "200",
    }

    for expected in (101, 0):
        arguments = ["--run", "run", "--device", "cpu", "--json"]
        done = CliRunner().invoke(app, arguments, env=environment)
        assert done.exception is None, done.output
        report = json.loads(done.stdout)
        assert (report["documents"], report["remaining"]) == (expected, 0)
        assert report["model"] == engines[1].version

    told = CliRunner().invoke(app, ["--run", "run", "--device", "cpu"], env=environment).stdout
    assert told.startswith(f"Run run: 0 documents rescored by {engines[1].version}")
