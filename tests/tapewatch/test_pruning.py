"""``prune`` on a real run: what goes, what stays, and what comes again afterwards."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import typer
from msgspec.structs import replace
from sqlalchemy import text
from support.checks import buckets_equal_recount, count
from support.commands import wait_until
from typer.testing import CliRunner

from alerts.alerter import Alerter
from alerts.rules.ruleset import Metric, RuleSet, ThresholdRule
from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Committed, DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Document, Reason
from store.cards import read_cards_of_alert
from store.commits import commit_batch, register_model
from store.corrections import Correction, add_correction
from store.digest import digest
from store.errors import PruneConflictError, UnknownDocumentError
from store.preparing import prepare_batch
from store.pruning import BEGINNING, delete_documents
from store.rescoring import StoredText, replace_scores
from store.retention import move_horizon
from store.runs import LIVE, delete_run, find_run, open_run, read_counters
from tapewatch.commands import pruning
from tapewatch.pruning import Age, Prune, count_old, plan_prune

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PART = Partition("feed", 0)

app = typer.Typer()
app.command()(pruning.prune)


@pytest.fixture
def make_run(database):
    names = []

    def make(name="replay", *, days=3, per_day=48):
        """A run with a document each half hour, up to noon of the last day."""
        names.append(name)
        with database.transaction() as connection:
            for model in ("old", "new"):
                register_model(connection, model, Labels(("Macro", "Oil")))
            run = open_run(connection, name, None if name == LIVE else "f.jsonl")
        posts = [document(i, NOON - i * (DAY / per_day)) for i in range(days * per_day)][::-1]
        commit(database, run, *posts, advance=Advance(PART, None, Checkpoint(len(posts), NOON)))
        return run

    yield make
    with database.transaction() as connection:
        for name in names:
            delete_run(connection, name)


def document(number, at, *symbols):
    named = symbols or (("A", "B", "C")[number % 3],)
    return Document(
        id=f"d{number}", source="st"[number % 2], kind="news", published_at=at,
        text=f"text {number}", symbols=named,
    )  # fmt: skip


def predicted(model="old", topic="Macro"):
    topics = {"Macro": 0, "Oil": 0} | {topic: 10_000}
    return Prediction(topics, {"negative": 6000, "neutral": 4000, "positive": 0}, model, 1)


def commit(database, run, *posts, advance=None, letters=()):
    advances = [advance] if advance else []
    batch = ScoredBatch(list(posts), [predicted() for _ in posts], letters, advances)
    with database.transaction() as connection:
        return commit_batch(connection, run.id, prepare_batch(batch))


def prune(database, run, age=DAY, hours=None, *, batch=20, reach=HOUR, now=NOON, told=None):
    plan = plan_prune(database, run, Age(age, hours), reach, now)
    return Prune(database, run, plan, batch, told or (lambda _: None)).go()


def rescore(database, run, *numbers, model="new", topic="Oil"):
    batch = [StoredText(f"d{number}", "") for number in numbers]
    said = [predicted(model, topic) for _ in numbers]
    with database.transaction() as connection:
        return replace_scores(connection, run.id, batch, said)


def correct(database, run, number):
    with database.transaction() as connection:
        add_correction(connection, Correction(run.id, f"d{number}", "Oil", None, "ann"))


def parts(database, run):
    with database.transaction() as connection:
        return digest(connection, run.id)


def select(database, run, columns, table, *conditions):
    where = " and ".join(("run_id = :run", *conditions))
    with database.transaction() as connection:
        rows = connection.execute(
            text(f"select {columns} from {table} where {where} order by 1"), {"run": run.id}
        )
        return [tuple(row) for row in rows]


def test_documents_with_all_that_belongs_to_them_and_minutes_go_and_hours_stay(database, make_run):
    run = make_run()
    rescore(database, run, 140, 141, 3)
    hours = select(database, run, "*", "time_buckets", "width = 'hour'")

    done = prune(database, run)

    assert (done.documents, done.symbols, done.earlier_scores) == (95, 95, 2)
    assert done.minute_buckets == 95 * 4
    assert (done.hour_buckets, done.kept_corrected, done.dead_letters) == (0, 0, 0)
    kept = select(database, run, "published_at", "documents")
    assert (kept[0], len(kept)) == ((NOON - DAY,), 49)
    assert count(database, "document_symbols", run.name) == 49
    assert count(database, "earlier_scores", run.name) == 1
    assert select(database, run, "*", "time_buckets", "width = 'hour'") == hours
    early = f"start < '{(NOON - DAY).isoformat()}'"
    assert select(database, run, "1", "time_buckets", "width = 'minute'", early) == []
    buckets_equal_recount(database, run.name)


def test_hours_go_by_an_age_of_their_own_and_by_whole_days(database, make_run):
    run = make_run()

    done = prune(database, run, DAY, 2 * DAY)

    midnight = NOON - 2 * DAY - 12 * HOUR
    for width in ("hour", "day"):
        first, *_ = select(database, run, "start", "time_buckets", f"width = '{width}'")
        assert first == (midnight,), width
    assert done.hour_buckets > done.day_buckets > 0
    again = prune(database, run, DAY, 2 * DAY)
    assert again.hour_buckets == again.day_buckets == 0
    buckets_equal_recount(database, run.name)


def test_hours_outlive_their_documents_even_if_a_lesser_age_is_given(database, make_run):
    run = make_run()

    prune(database, run, 2 * DAY, DAY)

    midnight = NOON - 2 * DAY - 12 * HOUR
    assert select(database, run, "start", "time_buckets", "width = 'hour'")[0] == (midnight,)
    buckets_equal_recount(database, run.name)


def test_a_corrected_document_stays_with_what_belongs_to_it(database, make_run):
    run = make_run()
    rescore(database, run, 140)
    for number in (140, 100):
        correct(database, run, number)

    for _ in range(2):
        assert prune(database, run, batch=1).kept_corrected == 2

    early = f"published_at < '{(NOON - DAY).isoformat()}'"
    assert select(database, run, "id", "documents", early) == [("d100",), ("d140",)]
    assert select(database, run, "document_id", "document_symbols", early) == [
        ("d100",), ("d140",),
    ]  # fmt: skip
    assert count(database, "earlier_scores", run.name) == 1
    assert count(database, "corrections", run.name) == 2


def test_a_corrected_document_may_be_rescored_and_brings_no_minute_back(database, make_run):
    run = make_run()
    correct(database, run, 140)
    prune(database, run, DAY, 2 * DAY)
    early = f"start < '{(NOON - DAY).isoformat()}'"

    assert rescore(database, run, 140).documents == 1

    assert select(database, run, "1", "time_buckets", "width = 'minute'", early) == []
    negative = select(database, run, "1", "time_buckets", "documents <= 0")
    assert negative == []
    buckets_equal_recount(database, run.name)


def test_what_was_pruned_is_a_repeat_when_it_comes_again(database, make_run):
    run = make_run()
    correct(database, run, 140)
    prune(database, run)
    before = parts(database, run)

    again = [document(i, NOON - i * (DAY / 48), "A", "NEW") for i in (49, 100, 140)]
    late = document(999, NOON - DAY - timedelta.resolution)

    assert commit(database, run, *again, late) == Committed(0, 4)
    assert parts(database, run) == before
    assert commit(database, run, document(998, NOON - DAY)) == Committed(1)
    buckets_equal_recount(database, run.name)


def test_counters_checkpoints_and_alerts_stay(database, make_run):
    run = make_run()
    rule = ThresholdRule(
        name="busy", metric=Metric.DOCUMENTS, threshold=1, window=HOUR, min_documents=1
    )
    Alerter(database, run, RuleSet(rules=(rule,))).advance(NOON)
    events = count(database, "alert_events", run.name)

    prune(database, run)

    assert events > 0
    assert count(database, "alert_events", run.name) == events
    assert count(database, "checkpoints", run.name) == 1
    with database.transaction() as connection:
        assert read_counters(connection, run.id).documents == 144


def test_cards_of_alerts_stay_and_quote_no_document_that_is_gone(database, make_run):
    run = make_run()
    rule = ThresholdRule(
        name="busy", metric=Metric.DOCUMENTS, threshold=3, window=HOUR, min_documents=0
    )
    noise = [document(1000 + i, NOON - 2 * DAY + i * MINUTE) for i in range(9)]
    noise += [document(2000 + i, NOON - DAY / 2 + i * MINUTE) for i in range(9)]
    commit(database, run, *noise)
    rules = RuleSet(rules=(replace(rule, scope="all"),))
    Alerter(database, run, rules).advance(NOON)

    prune(database, run, batch=1)

    with database.transaction() as connection:
        later, earlier = (row.card for row in read_cards_of_alert(connection, run.id, "busy", ""))
    assert (len(later["drivers"]), later["drivers_pruned"]) == (5, False)
    assert (earlier["drivers"], earlier["drivers_pruned"]) == ([], True)
    assert earlier["window"]["documents"] >= 3


def test_an_open_alert_holds_what_it_is_about(database, make_run):
    run = make_run()
    with database.transaction() as connection:
        statement = "insert into alert_states values (:run, 'r', 'A', 'firing', :at, :at)"
        connection.execute(text(statement), {"run": run.id, "at": NOON - 2 * DAY})

    done = prune(database, run, reach=6 * HOUR)

    assert select(database, run, "published_at", "documents")[0] == (NOON - 2 * DAY - 6 * HOUR,)
    assert done.documents == 35


def test_two_runs_pruned_alike_have_one_digest(database, make_run):
    run, other = make_run("one"), make_run("two")
    whole = parts(database, run)

    prune(database, run, batch=7)
    assert parts(database, run) != parts(database, other) == whole
    prune(database, other, batch=1000)

    assert parts(database, run) == parts(database, other)


def test_another_run_stays_as_it_is(database, make_run):
    run, other = make_run("one"), make_run("two")
    before = parts(database, other)

    prune(database, run)

    assert parts(database, other) == before


def test_the_live_run_ages_by_the_clock_and_a_replay_by_its_documents(database, make_run):
    live, replay = make_run(LIVE), make_run("replay")
    now = NOON + DAY

    plans = [plan_prune(database, run, Age(2 * DAY), HOUR, now) for run in (live, replay)]

    assert [plan.cutoff.before for plan in plans] == [NOON - DAY, NOON - 2 * DAY]


def test_dead_letters_go_by_when_they_were_received(database, make_run):
    run = make_run()
    letters = [DeadLetter(Record(PART, i, b"{"), Reason.NOT_JSON, "broken") for i in range(5)]
    commit(database, run, letters=letters)
    now = datetime.now(UTC)

    assert prune(database, run, now=now + HOUR).dead_letters == 0
    assert prune(database, run, now=now + DAY + HOUR, batch=2).dead_letters == 5


class StoppedError(Exception):
    """An operator's Ctrl-C."""


def test_an_interrupted_prune_is_run_again(database, make_run):
    run, whole = make_run("one"), make_run("two")
    steps = []

    def stop(done):
        steps.append(done.documents)
        if len(steps) == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        prune(database, run, batch=10, told=stop)
    assert steps == [10, 20, 30]
    buckets_equal_recount(database, run.name)
    assert commit(database, run, document(143, NOON - 143 * DAY / 48)) == Committed(0, 1)

    assert prune(database, run, batch=10).documents == 65
    prune(database, whole)
    assert parts(database, run) == parts(database, whole)


def test_two_prunes_of_a_run_do_not_meet(database, make_run):
    run = make_run()

    def another(_):
        with pytest.raises(PruneConflictError, match="another prune is at work"):
            prune(database, run)

    assert prune(database, run, told=another).documents == 95


def test_a_correction_that_comes_in_time_saves_its_document(database, make_run):
    run = make_run()
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as connection:
            add_correction(connection, Correction(run.id, "d140", "Oil", None, "ann"))
            pruning_now = pool.submit(prune, database, run)
            wait_until(lambda: somebody_waits(database), 60)
        done = pruning_now.result(60)

    assert (done.documents, done.kept_corrected) == (94, 1)
    assert count(database, "corrections", run.name) == 1


def test_a_correction_that_comes_too_late_is_told_so(database, make_run):
    run = make_run()
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as connection:
            move_horizon(connection, run.id, NOON - DAY, None)
        with database.transaction() as connection:
            delete_documents(connection, run.id, NOON - DAY, BEGINNING, 1000)
            correcting = pool.submit(correct, database, run, 140)
            wait_until(lambda: somebody_waits(database), 60)
        with pytest.raises(UnknownDocumentError):
            correcting.result(60)


def somebody_waits(database):
    statement = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
    with database.transaction() as connection:
        return connection.scalar(text(statement)) > 0


def invoke(database, *arguments):
    environment = {"TAPEWATCH_DATABASE_URL": database.url, "COLUMNS": "200"}
    done = CliRunner().invoke(app, list(arguments), env=environment)
    assert done.exception is None, done.output
    return done.stdout


def test_the_command_counts_first_and_deletes_then(database, make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make_run()
    options = ("--run", "replay", "--older-than", "1d", "--json")

    counted = json.loads(invoke(database, *options, "--dry-run"))
    assert count(database, "documents", run.name) == 144
    assert find_run_horizon(database) is None
    deleted = json.loads(invoke(database, *options))

    names = ("documents", "minute_buckets", "kept_corrected", "before", "held_by")
    assert [counted[name] for name in names] == [deleted[name] for name in names]
    assert (deleted["documents"], deleted["held_by"]) == (95, "age")
    assert deleted["before"] == "2026-03-09T12:00:00+00:00"
    assert (counted["dry_run"], deleted["dry_run"]) == (True, False)
    assert count(database, "documents", run.name) == 49
    told = invoke(database, *options[:-1])
    assert "before 2026-03-09T12:00:00+00:00: 0 documents deleted" in told


def find_run_horizon(database):
    with database.transaction() as connection:
        return find_run(connection, "replay").documents_from


def test_the_progress_ends_at_what_was_counted(database, make_run):
    run = make_run()
    correct(database, run, 140)
    plan = plan_prune(database, run, Age(DAY, 2 * DAY), HOUR, NOON)
    old, steps = count_old(database, run, plan), []

    Prune(database, run, plan, 20, lambda done: steps.append(done.steps)).go()

    assert steps == sorted(steps)
    assert steps[-1] == old.steps


@pytest.mark.parametrize("age", ["0d", "soon", "-1d", "90"])
def test_an_age_that_is_none_is_refused(database, age):
    environment = {"TAPEWATCH_DATABASE_URL": database.url}
    done = CliRunner().invoke(app, ["--older-than", age], env=environment)
    assert done.exit_code == 2


def test_a_run_without_documents_is_told_so(database, make_run):
    make_run("empty", days=0)
    with database.transaction() as connection:
        connection.execute(text("delete from checkpoints"))

    told = invoke(database, "--run", "empty", "--older-than", "1d")

    assert told == "Run empty holds no document yet.\n"
