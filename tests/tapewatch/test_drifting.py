"""Drift of stored documents on a real PostgreSQL, with cards that are real files."""

import json
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import numpy as np
import pytest
import typer
from structlog.testing import capture_logs
from typer.testing import CliRunner

from classifier.continual.drift import DriftError, make_reference
from classifier.continual.registry import Registry
from classifier.continual.stability import Verdict
from classifier.labels import SENTIMENTS, Labels
from classifier.prediction import SCALE, Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store.commits import commit_batch, register_model
from store.database import Database
from store.drift import latest_reports
from store.preparing import prepare_batch
from store.runs import delete_run, find_run, finish_run, open_run
from tapewatch.commands import drift as commands
from tapewatch.drifting import DAYS, DriftSchedule, Weights, due, measure_days, measure_run, window

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LABELS = Labels(("Hailstorms", "Tulips"))
CALM, STORM = (0.3, 0.7), (0.9, 0.1)
FELT = (0.2, 0.5, 0.3)
WORDS = ("garden", "rain", "rose", "spade", "worm")
NOWHERE = "postgresql://127.0.0.1:1/nothing"


def drawn(rows, seed, topics=CALM):
    """Probabilities of both heads and texts, by chance."""
    chance = np.random.default_rng(seed)

    def of(shares):
        logits = chance.normal(0, 1, (rows, len(shares)))
        logits += 4 * np.eye(len(shares))[chance.choice(len(shares), rows, p=shares)]
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    texts = [" ".join(chance.choice(WORDS, 4)) for _ in range(rows)]
    return of(topics), of(FELT), texts


def weights(folder, version, reference):
    folder.mkdir(parents=True)
    labels = {"topics": LABELS.topics, "sentiments": SENTIMENTS}
    card = {"version": version, "labels": labels, "reference": reference}
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "labels.json").write_text("{}")
    (folder / "model.safetensors").write_text("")
    return folder


@pytest.fixture
def registry(tmp_path):
    """The version `shipped`, with a reference, and the version `bare` without one."""
    reference = make_reference(*drawn(2000, 1)).as_json()
    made = Registry(tmp_path / "models", weights(tmp_path / "shipped", "shipped", reference))
    made.add(weights(tmp_path / "bare", "bare", None))
    return made


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        opened = open_run(connection, "replay", "feed.jsonl")
    yield opened
    with database.transaction() as connection:
        delete_run(connection, "replay")


def fill(database, run, rows, topics=CALM, model="shipped", first=0, minutes=60):
    """Documents of the hour from noon on, scored by ``model``."""
    topic, sentiment, texts = drawn(rows, 5, topics)

    def named(names, row):
        return dict(zip(names, map(int, (row * SCALE).round()), strict=True))

    posts = [
        Document(
            id=f"{model}{number}", source="s", kind="news", text=words,
            published_at=NOON + HOUR * (number % minutes) / 60,
        )
        for number, words in enumerate(texts, first)
    ]  # fmt: skip
    predictions = [
        Prediction(named(LABELS.topics, t), named(SENTIMENTS, s), model, 4)
        for t, s in zip(topic, sentiment, strict=True)
    ]
    with database.transaction() as connection:
        register_model(connection, model, LABELS)
        commit_batch(connection, run.id, prepare_batch(ScoredBatch(posts, predictions, [], [])))


def reports(database, run):
    with database.transaction() as connection:
        return latest_reports(connection, run.id)


@pytest.mark.parametrize(("topics", "verdict"), [(CALM, Verdict.STABLE), (STORM, Verdict.DRIFTED)])
def test_a_report_compares_the_run_with_the_training_and_is_kept(
    database, run, registry, topics, verdict
):
    fill(database, run, 400, topics)

    report = measure_run(database, Weights(registry), run, NOON, NOON + HOUR)

    assert (report.verdict, report.documents, report.model) == (verdict, 400, "shipped")
    assert (report.topic_psi > 0.5) is (verdict is Verdict.DRIFTED)
    assert report.report["moved"][0]["name"] in LABELS.topics
    (kept,) = reports(database, run)
    assert (kept.verdict, kept.window_start, kept.window_end) == (verdict, NOON, NOON + HOUR)
    assert kept.report == report.report


def test_only_documents_of_the_span_count(database, run, registry):
    fill(database, run, 400, minutes=60)

    report = measure_run(database, Weights(registry), run, NOON, NOON + HOUR / 2)

    assert report.documents == sum(number % 60 < 30 for number in range(400))


def test_a_replay_is_measured_day_by_day_and_each_day_once(database, run, registry):
    fill(database, run, 600, minutes=50 * 60)
    fill(database, run, 1, first=50 * 60 - 1, minutes=50 * 60)
    with database.transaction() as connection:
        finish_run(connection, run.id)
        run = find_run(connection, run.name)

    made = measure_days(database, Weights(registry), run, NOON)

    assert [(each.window_start - NOON) / HOUR for each in made] == [-12, 12, 36]
    assert [each.window_end - each.window_start for each in made] == [24 * HOUR] * 3
    assert [each.documents for each in made] == [600, 0, 1]
    assert measure_days(database, Weights(registry), run, NOON) == []


def test_the_last_day_of_a_replay_that_goes_on_is_measured_anew(database, run, registry):
    fill(database, run, 2, minutes=30 * 60)
    fill(database, run, 1, first=30 * 60 - 1, minutes=30 * 60)
    first = measure_days(database, Weights(registry), run, NOON)
    again = measure_days(database, Weights(registry), run, NOON)

    assert len(first) == 2
    assert [each.window_start for each in again] == [NOON + 12 * HOUR]


def test_a_long_replay_is_measured_for_so_many_days_at_most(database, run, registry):
    fill(database, run, 1)
    fill(database, run, 1, first=60 * 24 * 40, minutes=60 * 24 * 40 + 1)

    made = measure_days(database, Weights(registry), run, NOON)

    assert len(made) == DAYS
    assert made[-1].documents == 1


def test_the_live_run_is_measured_over_the_last_day(database, registry):
    with database.transaction() as connection:
        live = open_run(connection, "live")
    (made,) = measure_days(database, Weights(registry), live, NOON)
    assert (made.window_start, made.window_end) == (NOON - 24 * HOUR, NOON)
    with database.transaction() as connection:
        delete_run(connection, "live")


@pytest.mark.parametrize(("rows", "verdict"), [(199, Verdict.TOO_FEW), (200, Verdict.STABLE)])
def test_few_documents_give_no_verdict(database, run, registry, rows, verdict):
    fill(database, run, rows)

    assert measure_run(database, Weights(registry), run, NOON, NOON + HOUR).verdict == verdict


def test_a_run_without_documents_is_reported_as_such(database, run, registry):
    report = measure_run(database, Weights(registry), run, NOON, NOON + HOUR)

    assert (report.verdict, report.documents) == (Verdict.TOO_FEW, 0)
    assert (report.model, report.topic_psi, report.vocabulary_psi) == ("shipped", None, None)


def test_versions_are_not_mixed_and_the_one_with_most_documents_counts(database, run, registry):
    fill(database, run, 300)
    fill(database, run, 299, STORM, model="bare")

    report = measure_run(database, Weights(registry), run, NOON, NOON + HOUR)

    assert (report.verdict, report.documents) == (Verdict.STABLE, 300)
    assert report.report["other_versions"] == {"bare": 299}


def test_weights_without_a_reference_are_named(database, run, registry):
    fill(database, run, 300, model="bare")

    with pytest.raises(DriftError, match=r"bare/card\.json: .* no drift reference"):
        measure_run(database, Weights(registry), run, NOON, NOON + HOUR)
    assert reports(database, run) == []


def test_named_weights_are_measured_by_their_own_card(database, run, registry, tmp_path):
    empty = Registry(tmp_path / "none", registry.folder("bare"))
    fixed = Weights(empty, registry.folder("shipped"))
    fill(database, run, 300)

    assert fixed.serving() == "shipped"
    assert measure_run(database, fixed, run, NOON, NOON + HOUR).verdict == Verdict.STABLE


def test_the_window_of_a_replay_ends_with_its_documents(database, run):
    assert window(database, run, HOUR, NOON + 9 * HOUR) == (NOON + 8 * HOUR, NOON + 9 * HOUR)

    fill(database, run, 60)

    assert window(database, run, HOUR, NOON + 9 * HOUR) == (NOON, NOON + HOUR)


def test_the_window_of_the_live_run_ends_now(database):
    with database.transaction() as connection:
        live = open_run(connection, "live")

    assert window(database, live, HOUR, NOON) == (NOON - HOUR, NOON)


@pytest.mark.parametrize(
    ("last", "is_due"),
    [
        (None, True),
        (NOON - HOUR, True),
        (NOON - HOUR + timedelta.resolution, False),
        (NOON + HOUR, False),
    ],
)
def test_a_report_is_due_when_the_last_is_old_enough(last, is_due):
    assert due(last, HOUR, NOON) is is_due


class Follower:
    """Notes what it was told, and says when."""

    def __init__(self):
        self.verdicts, self.told = [], Event()

    def __call__(self, verdict, now):
        self.verdicts.append(verdict)
        self.told.set()


@pytest.fixture
def scheduled(database, run, registry):
    def schedule(follower, every=HOUR, opened=database):
        def measure(_):
            return measure_run(opened, Weights(registry), run, NOON, NOON + HOUR)

        return DriftSchedule(opened, run, measure, every, follower)

    return schedule


def test_a_look_measures_what_is_due_and_no_more_whoever_made_the_last_report(
    database, run, scheduled
):
    fill(database, run, 400, STORM)
    follower = Follower()
    now = datetime.now(UTC)

    assert scheduled(follower).tick(now) is True
    assert scheduled(follower).tick(now + HOUR / 2) is True
    assert scheduled(follower).tick(now + 2 * HOUR) is True

    assert follower.verdicts == [Verdict.DRIFTED, None, Verdict.DRIFTED]
    assert len(reports(database, run)) == 2


def test_a_second_scheduler_stands_by(database, run, scheduled):
    fill(database, run, 300)
    standby = Follower()
    inner = []

    def while_held(verdict, now):
        inner.append(scheduled(standby).tick())

    assert scheduled(while_held).tick() is True
    assert (inner, standby.verdicts) == ([False], [])


def test_what_cannot_be_measured_is_told_and_tried_again_when_due(database, run, scheduled):
    fill(database, run, 300, model="bare")
    follower = Follower()
    schedule = scheduled(follower)

    with capture_logs() as logs:
        for hours in (0, 0.5, 0.99, 1):
            schedule.tick(NOON + hours * HOUR)

    assert [entry["event"] for entry in logs] == ["drift_not_measured"] * 2
    assert follower.verdicts == [None] * 4


def test_a_database_that_is_away_is_waited_for(scheduled):
    follower = Follower()

    with capture_logs() as logs:
        assert scheduled(follower, opened=Database(NOWHERE)).tick() is False

    assert [entry["event"] for entry in logs] == ["waiting_for_database"]
    assert follower.verdicts == []


def test_the_schedule_measures_at_once_and_ends_when_told(database, run, scheduled):
    fill(database, run, 300)
    follower = Follower()
    schedule = scheduled(follower)
    thread = Thread(target=schedule.run)
    thread.start()

    assert follower.told.wait(30)
    schedule.stop()
    thread.join(30)

    assert not thread.is_alive()
    assert follower.verdicts == [Verdict.STABLE]
    assert len(reports(database, run)) == 1


def test_stopped_before_it_began_it_does_nothing(database, run, scheduled):
    follower = Follower()
    schedule = scheduled(follower)

    schedule.stop()
    schedule.run()

    assert follower.verdicts == []


app = typer.Typer()
app.command()(commands.drift)


@pytest.fixture
def command(database, run, registry, monkeypatch, tmp_path):
    """The command on this database, with a registry of these weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAPEWATCH_DATABASE_URL", database.url)
    monkeypatch.setenv("TAPEWATCH_WEIGHTS", str(registry.folder("shipped")))

    def go(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)

    return go


def test_the_command_prints_a_report_for_people_and_for_programs(database, run, command):
    fill(database, run, 400, STORM)

    shown = command("--run", run.name)
    plain = json.loads(command("--run", run.name, "--json").stdout)

    assert shown.exit_code == 0
    assert "drifted; 400 documents scored by shipped" in shown.stdout
    assert "Hailstorms" in shown.stdout
    assert (plain["run"], plain["verdict"], plain["documents"]) == (run.name, "drifted", 400)
    assert len(reports(database, run)) == 2


def test_the_span_may_be_named_by_its_beginning(database, run, command):
    fill(database, run, 600)

    plain = json.loads(
        command("--run", run.name, "--since", "2026-03-10T12:30:00", "--json").stdout
    )

    assert plain["documents"] == 300
    assert plain["window_start"] == "2026-03-10 12:30:00+00:00"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "yesterday"], "2026-03-10T12:00Z"),
        (["--train-challenger", "train.toml"], "needs --every"),
        (["--train-challenger", "train.toml", "--every", "1"], "there is no file"),
    ],
)
def test_a_wrong_option_is_named(command, arguments, message):
    done = command("--run", "replay", *arguments)

    assert done.exit_code == 2
    assert message in done.output
