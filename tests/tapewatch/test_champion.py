"""A scorer that follows the registry, with real tiny weights, a real pipeline and PostgreSQL."""

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from support.checks import buckets_equal_recount, count, taken_in
from support.commands import ROOT
from support.sources import BatchByBatch
from support.tiny_weights import FILLERS, write_weights

from alerts.rules.ruleset import RuleSet
from classifier.continual.registry import REGISTRY_FILE, DamagedRegistryError, Note, Registry
from classifier.engine import Engine
from classifier.labels import Labels
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from ingest.files import FileSource
from ingest.gathering import Limits
from ingest.line import SinkConflictError
from ingest.pipeline import Pipeline
from store.runs import delete_run
from tapewatch.champion import SHIPPED, ChampionScorer, open_registry, serving_folder
from tapewatch.settings import Settings
from tapewatch.wiring import Replay, StoreSink, open_engine, open_run, open_scorer

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOTE = Note(NOON, "me", "a test")
ROWS, BATCH = 50, 10
FIRST_TOPICS = {"Banks": "loan", "Oil": "barrel"}
SECOND_TOPICS = {"Tulips": "loan", "Hail": "barrel", "Moles": "coin"}
WORDS = {"negative": "falls", "positive": "rises"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    made = (
        write_weights(folder / "first", FIRST_TOPICS, WORDS),
        write_weights(folder / "second", SECOND_TOPICS, WORDS, seed=2),
    )
    for path in made:
        card = {"version": Engine(path, "cpu", 1).version}
        (path / "card.json").write_text(json.dumps(card))
    return made


@pytest.fixture
def registry(folders, tmp_path):
    """The first weights ship; the second are in the registry, with no role yet."""
    made = Registry(tmp_path / "models", folders[0])
    made.add(folders[1])
    return made


@pytest.fixture
def versions(registry):
    """The first and the second version."""
    shipped = registry.shipped_version()
    return shipped, next(version for version in registry.versions() if version != shipped)


@pytest.fixture
def run(database):
    yield open_run(database, "feed", "feed.jsonl")
    with database.transaction() as connection:
        delete_run(connection, "feed")
        connection.execute(text("delete from models"))


@pytest.fixture
def feed(tmp_path):
    path = tmp_path / "feed.jsonl"
    words = ("falls", "rises", "loan", "barrel")
    with path.open("w") as stream:
        for number in range(ROWS):
            post = {
                "id": f"d{number:02}",
                "published_at": (NOON + timedelta(minutes=number)).isoformat(),
                "text": f"{words[number % 4]} {FILLERS[number % 7]} {words[number % 3]}",
            }
            stream.write(json.dumps(post) + "\n")
    return path


def load(folder):
    return Engine(folder, "cpu", 1)


def work(database, run, feed, scorer, on_batch, source_type=BatchByBatch):
    """Take the feed in, calling ``on_batch`` after each commit with its number from 1."""
    sink = StoreSink(database, run)
    source = source_type(feed, sink.checkpoints().get(Partition(feed.name, 0)))
    batches = iter(range(1, 100))
    total = Pipeline(
        source, scorer, sink, Limits(BATCH), on_commit=lambda _: on_batch(next(batches))
    ).run()  # fmt: skip
    scorer.close()
    return total


def scored_by(database, run):
    """Which version scored each document, in the order of the feed."""
    with database.transaction() as connection:
        rows = connection.execute(
            text("select model from documents where run_id = :run order by id"), {"run": run.id}
        )
        return [row.model for row in rows]


def registered(database):
    with database.transaction() as connection:
        return {
            row.version: tuple(row.topics)
            for row in connection.execute(text("select version, topics from models"))
        }


def test_a_promotion_takes_effect_with_the_next_batch(database, run, feed, registry, versions):
    first, second = versions
    scorer = ChampionScorer(registry, load)

    def on_batch(number):
        if number == 2:
            registry.promote(second, NOTE, against=first)

    total = work(database, run, feed, scorer, on_batch)

    assert total.documents == ROWS
    assert scored_by(database, run) == [first] * 2 * BATCH + [second] * (ROWS - 2 * BATCH)
    assert (scorer.version, scorer.labels.topics) == (second, tuple(SECOND_TOPICS))
    assert registered(database) == {first: tuple(FIRST_TOPICS), second: tuple(SECOND_TOPICS)}
    buckets_equal_recount(database, run.name)


def test_what_it_says_is_what_the_versions_say_alone(registry, versions, folders):
    first, second = versions
    texts = ["barrel falls today", "the loan rises"]
    scorer = ChampionScorer(registry, load)

    before = scorer.score(texts)
    registry.promote(second, NOTE, against=first)
    after = scorer.score(texts)

    assert before == load(folders[0]).score(texts)
    assert after == load(folders[1]).score(texts)


def test_while_batches_overlap_a_promotion_comes_between_two_of_them(
    database, run, feed, registry, versions
):
    first, second = versions
    scorer = ChampionScorer(registry, load)

    def on_batch(number):
        if number == 1:
            registry.promote(second, NOTE, against=first)

    work(database, run, feed, scorer, on_batch, FileSource)

    scored = scored_by(database, run)
    switched = scored.count(first)
    assert scored == [first] * switched + [second] * (ROWS - switched)
    assert switched % BATCH == 0
    assert switched >= BATCH
    buckets_equal_recount(database, run.name)


def test_what_the_old_version_tokenized_the_new_one_tokenizes_anew(registry, versions, folders):
    first, second = versions
    scorer = ChampionScorer(registry, load)
    texts = ["barrel falls today", "the loan rises"]
    tokenized = scorer.tokenize(texts)
    assert [text.model for text in tokenized] == [first, first]

    registry.promote(second, NOTE, against=first)
    predictions = scorer.predict(tokenized)

    assert predictions == load(folders[1]).score(texts)
    assert [text.model for text in scorer.tokenize(texts)] == [second, second]


def test_a_batch_tokenized_by_two_versions_is_scored_by_one(registry, versions, folders):
    first, second = versions
    texts = ["barrel falls today", "the loan rises"]
    tokenized = [
        load(folder).tokenize([text])[0] for folder, text in zip(folders, texts, strict=True)
    ]
    registry.promote(second, NOTE, against=first)

    predictions = ChampionScorer(registry, load).predict(tokenized)

    assert predictions == load(folders[1]).score(texts)


def test_a_rollback_takes_effect_likewise(database, run, feed, registry, versions):
    first, second = versions
    registry.promote(second, NOTE, against=first)
    scorer = ChampionScorer(registry, load)

    def on_batch(number):
        if number == 4:
            registry.rollback(NOTE, against=second)

    work(database, run, feed, scorer, on_batch)

    assert scored_by(database, run) == [second] * 4 * BATCH + [first] * BATCH


def test_a_new_challenger_loads_nothing(registry, versions):
    loaded = []
    scorer = ChampionScorer(registry, lambda folder: loaded.append(folder) or load(folder))

    registry.challenge(versions[1], NOTE)
    scorer.score(["loan"])

    assert loaded == [registry.shipped]


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def remove(folder):
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize("damage", [truncate, remove])
def test_weights_that_cannot_be_loaded_are_told_once_and_the_old_ones_go_on(
    database, run, feed, registry, versions, damage
):
    first, second = versions
    damage(registry.folder(second))
    scorer = ChampionScorer(registry, load)

    def on_batch(number):
        if number == 1:
            registry.promote(second, NOTE, against=first)

    with capture_logs() as logs:
        total = work(database, run, feed, scorer, on_batch)

    assert total.documents == ROWS
    assert scored_by(database, run) == [first] * ROWS
    (told,) = [entry for entry in logs if entry["event"] == "weights_not_loaded"]
    assert (told["log_level"], told["weights"], told["still"]) == ("error", second, first)
    buckets_equal_recount(database, run.name)


def test_after_weights_that_could_not_be_loaded_the_next_change_is_followed(
    registry, versions, folders
):
    first, second = versions
    truncate(registry.folder(second))
    scorer = ChampionScorer(registry, load)
    registry.promote(second, NOTE, against=first)
    scorer.score(["loan"])

    whole = (folders[1] / "model.safetensors").read_bytes()
    (registry.folder(second) / "model.safetensors").write_bytes(whole)
    registry.promote(second, NOTE, against=second)
    scorer.score(["loan"])

    assert scorer.version == second


def test_weights_that_load_slowly_hold_nothing_up(registry, versions):
    first, second = versions
    go_on = threading.Event()

    def slowly(folder):
        if folder != registry.shipped:
            assert go_on.wait(30)
        return load(folder)

    scorer = ChampionScorer(registry, slowly, patience_seconds=0)
    registry.promote(second, NOTE, against=first)

    meanwhile = [scorer.score(["loan falls"])[0].model for _ in range(3)]
    go_on.set()
    assert scorer._loading.model.result(30).version == second

    assert meanwhile == [first] * 3
    assert scorer.score(["loan falls"])[0].model == second


def test_weights_that_come_too_late_are_not_taken(registry, versions):
    first, second = versions
    go_on = threading.Event()

    def slowly(folder):
        if folder != registry.shipped:
            assert go_on.wait(30)
        return load(folder)

    scorer = ChampionScorer(registry, slowly, patience_seconds=0)
    registry.promote(second, NOTE, against=first)
    scorer.score(["loan"])
    late = scorer._loading.model
    registry.rollback(NOTE, against=second)
    go_on.set()
    late.result(30)

    assert [scorer.score(["loan"])[0].model for _ in range(2)] == [first] * 2


def gone(path):
    path.unlink()


def damaged(path):
    path.write_text("{")


@pytest.mark.parametrize("harm", [gone, damaged])
def test_a_registry_that_is_gone_or_damaged_changes_nothing_while_it_works(
    registry, versions, harm
):
    first, second = versions
    registry.promote(second, NOTE, against=first)
    scorer = ChampionScorer(registry, load)
    harm(registry.root / REGISTRY_FILE)

    with capture_logs() as logs:
        models = [scorer.score(["loan"])[0].model for _ in range(3)]

    assert models == [second] * 3
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("champion_unknown", "error")
    ]


def test_a_damaged_registry_is_an_error_at_the_start(registry):
    damaged(registry.root / REGISTRY_FILE)

    with pytest.raises(DamagedRegistryError, match="restore it from a copy"):
        ChampionScorer(registry, load)


KILLED = """
import sys, time
sys.path.insert(0, "tests")
from datetime import UTC, datetime
from pathlib import Path
from classifier.engine import Engine
from classifier.continual.registry import Note, Registry
from ingest.gathering import Limits
from ingest.pipeline import Pipeline
from store.database import Database
from support.sources import BatchByBatch
from tapewatch.champion import ChampionScorer
from tapewatch.wiring import StoreSink, open_run

url, feed, root, shipped, first, second, size = sys.argv[1:]
registry = Registry(Path(root), Path(shipped))
database = Database(url)
committed = []

def load(folder):
    if folder.name == second:
        print("switching", flush=True)
        time.sleep(600)
    return Engine(folder, "cpu", 1)

def on_commit(step):
    committed.append(step)
    if len(committed) == 2:
        registry.promote(second, Note(datetime.now(UTC), "child", "a test"), against=first)

run = open_run(database, "feed", "feed.jsonl")
sink = StoreSink(database, run)
scorer = ChampionScorer(registry, load)
source = BatchByBatch(Path(feed))
Pipeline(source, scorer, sink, Limits(int(size)), on_commit=on_commit).run()
"""


def test_killed_in_the_middle_of_a_switch_nothing_is_lost_or_mixed(
    database, run, feed, registry, versions
):
    first, second = versions
    arguments = [database.url, feed, registry.root, registry.shipped, first, second, BATCH]
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, *map(str, arguments)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said = any("switching" in line for line in child.stdout)
    finally:
        child.kill()
        child.wait(30)
        child.stdout.close()

    assert said
    assert count(database, "documents", run.name) == 2 * BATCH
    work(database, run, feed, ChampionScorer(registry, load), lambda _: None)

    assert scored_by(database, run) == [first] * 2 * BATCH + [second] * (ROWS - 2 * BATCH)
    assert taken_in(database, run.name) == ROWS
    buckets_equal_recount(database, run.name)


def test_a_version_is_registered_only_with_a_transaction_that_goes_through(
    database, run, registry, versions
):
    first, _ = versions
    partition = Partition("feed.jsonl", 0)
    document = Document(id="d", source="s", kind="news", text="loan", published_at=NOON)
    predictions = load(registry.shipped).score(["loan"])

    def batch(previous):
        step = Advance(partition, previous, Checkpoint(1, NOON))
        return ScoredBatch([document], predictions, [], [step])

    sink = StoreSink(database, run)
    with pytest.raises(SinkConflictError):
        sink.prepare(batch(previous=7))()
    assert registered(database) == {}

    assert sink.prepare(batch(previous=None))().documents == 1
    assert registered(database) == {first: tuple(FIRST_TOPICS)}


def test_a_replay_keeps_its_version_whatever_is_promoted_meanwhile(
    database, run, feed, registry, versions
):
    first, second = versions

    def promote(_, done):
        if done.documents == BATCH:
            registry.promote(second, NOTE, against=first)

    settings = Settings(batch_documents=BATCH)
    engine = load(registry.champion_folder())
    Replay(
        database, engine, RuleSet(rules=()), settings, run, feed, on_progress=promote
    ).go()  # fmt: skip

    assert registry.champion() == second
    assert scored_by(database, run) == [first] * ROWS


@pytest.fixture
def plain_settings(monkeypatch, tmp_path):
    """Settings of no environment but this test's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TAPEWATCH_WEIGHTS", raising=False)
    monkeypatch.delenv("TAPEWATCH_MODELS_DIR", raising=False)
    return lambda **values: Settings(threads=1, **values)


def test_the_registry_of_the_settings_lies_in_the_data_folder(plain_settings, tmp_path):
    assert open_registry(plain_settings(data_dir=tmp_path / "d")).root == tmp_path / "d" / "models"
    assert open_registry(plain_settings(models_dir=tmp_path / "m")).root == tmp_path / "m"
    assert serving_folder(plain_settings(data_dir=tmp_path)) == SHIPPED


def test_the_champion_serves_unless_weights_are_named(
    plain_settings, registry, versions, folders, monkeypatch
):
    first, second = versions
    shipped = open_registry(plain_settings()).shipped_version()
    settings = plain_settings(models_dir=registry.root)
    open_registry(settings).promote(second, NOTE, against=shipped)

    following = open_scorer(settings, "cpu")
    assert (open_engine(settings, "cpu").version, following.version) == (second, second)
    assert isinstance(following, ChampionScorer)

    monkeypatch.setenv("TAPEWATCH_WEIGHTS", str(folders[0]))
    named = plain_settings(models_dir=registry.root)
    assert (open_engine(named, "cpu").version, open_scorer(named, "cpu").version) == (first, first)
    assert open_engine(named, "cpu").labels == Labels(tuple(FIRST_TOPICS))
