"""``dead-letters list``, ``show`` and ``requeue`` on a real PostgreSQL, with real tiny weights."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from support.checks import buckets_equal_recount
from support.tiny_weights import write_weights
from typer.testing import CliRunner

from classifier.engine import Engine
from ingest.batch import Committed, DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Reason
from store.commits import KEPT_PAYLOAD, commit_batch
from store.deadletters import DeadLetterRow, list_dead_letters
from store.errors import UnknownDeadLetterError, UnknownRunError
from store.preparing import prepare_batch
from store.requeueing import Replayed
from store.runs import delete_run, find_run, open_run, read_counters
from store.search import read_document
from tapewatch.cli import app
from tapewatch.commands.dead_letters import parse_position, readable
from tapewatch.requeueing import Choice, Prospect, judge, requeue

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GOOD = b'{"id": "%s", "text": "the loan falls today", "published_at": "2026-03-10T11:00:00Z"}'
FUTURE = b'{"id": "f", "text": "the barrel rises", "published_at": "2026-03-10T13:00:00Z"}'


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    words = {"negative": "falls", "positive": "rises"}
    folder = tmp_path_factory.mktemp("weights")
    return write_weights(folder, {"Banks": "loan", "Oil": "barrel"}, words)


@pytest.fixture(scope="module")
def engine(weights):
    return Engine(weights, "cpu", threads=1)


@pytest.fixture
def run(database):
    """A run whose dead letters an older version left: two are documents, one will be, two stay."""
    letters = [
        (1, GOOD.replace(b"%s", b"a"), Reason.BAD_DATE),
        (2, GOOD.replace(b"%s", b"b"), Reason.BAD_FIELD),
        (3, FUTURE, Reason.FUTURE_DATE),
        (4, b'{"id": "half', Reason.BAD_FIELD),
        (5, b"x" * (KEPT_PAYLOAD + 1), Reason.TOO_LARGE),
        (6, None, Reason.TOMBSTONE),
    ]
    with database.transaction() as connection:
        made = open_run(connection, "live")
        rejected = [
            DeadLetter(
                Record(Partition("news", 0), offset, payload), reason, "as an older one had it"
            )
            for offset, payload, reason in letters
        ]
        commit_batch(connection, made.id, prepare_batch(ScoredBatch([], [], rejected, [])))
    yield made
    with database.transaction() as connection:
        delete_run(connection, "live")


def go(database, run, choice=None, now=NOON, model=None):
    return requeue(
        database, run, choice or Choice(), lambda: now, (lambda: model) if model else None
    )


def counters(database, run):
    with database.transaction() as connection:
        return read_counters(connection, run.id)


def reasons(database, run):
    with database.transaction() as connection:
        return {d.offset: (d.reason, d.replays) for d in list_dead_letters(connection, run.id)}


def test_a_dry_run_says_what_would_come_of_it_and_changes_nothing(database, run):
    before = reasons(database, run)

    report = go(database, run)

    assert report.prospects == {"mended": 2, "still_rejected": 3, "payload_cut": 1}
    assert report.reasons == {"future_date": 1, "not_json": 1, "tombstone": 1}
    assert report.replayed == Replayed()
    assert reasons(database, run) == before
    assert counters(database, run) == Committed(0, 0, 6)


def test_what_is_a_document_now_is_scored_and_counted_once(database, run, engine):
    report = go(database, run, model=engine)

    assert report.replayed == Replayed(documents=2, rejected=3)
    assert counters(database, run) == Committed(2, 0, 4)
    assert reasons(database, run) == {
        3: ("future_date", 1), 4: ("not_json", 1), 5: ("too_large", 0), 6: ("tombstone", 1),
    }  # fmt: skip
    with database.transaction() as connection:
        found = read_document(connection, run.id, "a")
    assert (found.topic, found.sentiment, found.model) == ("Banks", "negative", engine.version)
    buckets_equal_recount(database, "live")

    again = go(database, run, model=engine)
    assert again.replayed == Replayed(rejected=3)
    assert counters(database, run) == Committed(2, 0, 4)


def test_what_was_in_the_future_is_not_for_ever(database, run, engine):
    report = go(database, run, Choice(reasons=["future_date"]), NOON + DAY, engine)

    assert report.replayed == Replayed(documents=1)
    assert set(reasons(database, run)) == {1, 2, 4, 5, 6}


def test_one_position_can_be_tried_alone(database, run, engine):
    key = ("news", 0, 2)
    report = go(database, run, Choice(keys=[key, key]), model=engine)

    assert report.replayed == Replayed(documents=1)
    with pytest.raises(UnknownDeadLetterError):
        go(database, run, Choice(keys=[key]), model=engine)


@pytest.mark.parametrize(("most", "tried"), [(1, 1), (2, 2), (3, 3)])
def test_a_letter_is_tried_so_often_and_no_more(database, run, engine, most, tried):
    choice = Choice(reasons=["tombstone"], max_replays=most)
    reports = [go(database, run, choice, model=engine) for _ in range(4)]

    assert reasons(database, run)[6] == ("tombstone", tried)
    assert reports[-1].prospects == {"too_many_replays": 1}


def test_no_model_is_opened_where_nothing_is_mended(database, run):
    def refuse():
        raise AssertionError("the model was opened")

    report = requeue(database, run, Choice(reasons=["tombstone"]), lambda: NOON, refuse)

    assert report.replayed == Replayed(rejected=1)


def test_a_document_that_came_by_another_way_is_a_repeat(database, run, engine):
    go(database, run, Choice(keys=[("news", 0, 1)]), model=engine)
    with database.transaction() as connection:
        letter = DeadLetter(
            Record(Partition("news", 0), 9, GOOD.replace(b"%s", b"a")), Reason.BAD_DATE, ""
        )
        commit_batch(connection, run.id, prepare_batch(ScoredBatch([], [], [letter], [])))

    report = go(database, run, Choice(keys=[("news", 0, 9)]), model=engine)

    assert report.replayed == Replayed(repeats=1)
    assert counters(database, run) == Committed(1, 1, 5)
    buckets_equal_recount(database, "live")


@pytest.mark.parametrize(
    ("payload", "size", "replays", "prospect"),
    [
        (FUTURE, len(FUTURE), 0, Prospect.STILL_REJECTED),
        (GOOD, len(GOOD), 0, Prospect.MENDED),
        (GOOD, len(GOOD), 2, Prospect.MENDED),
        (GOOD, len(GOOD), 3, Prospect.TOO_MANY_REPLAYS),
        (GOOD, len(GOOD) + 1, 0, Prospect.PAYLOAD_CUT),
        (None, 0, 0, Prospect.STILL_REJECTED),
    ],
)
def test_a_letter_is_judged_by_its_bytes_and_its_past(payload, size, replays, prospect):
    letter = DeadLetterRow("news", 0, 1, "bad_date", "", payload, size, NOON, replays)

    assert judge(letter, NOON, 3).prospect is prospect


@pytest.fixture
def tapewatch(database, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments):
        environment = {
            "TAPEWATCH_DATABASE_URL": database.url,
            "TAPEWATCH_WEIGHTS": str(weights),
            "TAPEWATCH_THREADS": "1",
            "COLUMNS": "200",
        }
        done = CliRunner().invoke(app, ["dead-letters", *map(str, arguments)], env=environment)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run_command


@pytest.mark.parametrize("arguments", [["list"], []])
def test_the_command_lists_with_positions(run, tapewatch, arguments):
    lines = tapewatch(*arguments, "--json", "--limit", 4).stdout.splitlines()
    listed = [json.loads(line) for line in lines]

    assert [each["position"] for each in listed] == [f"news[0]@{n}" for n in (6, 5, 4, 3)]
    assert (listed[0]["payload"], listed[0]["replays"]) == ("", 0)
    shown = tapewatch(*arguments).stdout
    assert "news[0]@4" in shown
    assert "By reason: bad_date 1, bad_field 2, future_date 1, tombstone 1, too_large 1" in shown


def test_the_command_shows_one_with_its_bytes(run, tapewatch):
    shown = tapewatch("show", "news[0]@4").stdout

    assert "Reason: bad_field" in shown
    assert '{"id": "half' in shown
    assert json.loads(tapewatch("show", "news[0]@4", "--json").stdout)["offset"] == 4
    with pytest.raises(UnknownDeadLetterError, match="dead-letters list"):
        tapewatch("show", "news[0]@99")
    with pytest.raises(UnknownRunError):
        tapewatch("show", "news[0]@4", "--run", "gone")


def test_the_command_does_nothing_unless_told_to(database, run, tapewatch):
    told = json.loads(tapewatch("requeue", "--json").stdout)

    # By the clock of today nothing is in the future any more.
    assert told == {
        "run": "live", "dry_run": True, "prospects": {"mended": 3, "still_rejected": 2,
        "payload_cut": 1}, "reasons": {"not_json": 1, "tombstone": 1},
        "documents": 0, "repeats": 0, "rejected": 0, "taken": 0,
    }  # fmt: skip
    assert "nothing was changed" in tapewatch("requeue").stdout
    assert counters(database, run) == Committed(0, 0, 6)


def test_the_command_requeues_by_reason_and_by_position(database, run, tapewatch):
    done = tapewatch("requeue", "--reason", "bad_date", "--reason", "tombstone", "--apply").stdout
    assert "1 documents and 0 repeats added, 1 turned away again, 0 changed meanwhile" in done
    assert "Still turned away: tombstone 1" in done

    told = json.loads(tapewatch("requeue", "news[0]@2", "--apply", "--json").stdout)
    assert (told["documents"], told["dry_run"]) == (1, False)
    assert counters(database, run) == Committed(2, 0, 4)


@pytest.mark.parametrize(
    "arguments", [["news@1"], ["news[x]@1"], ["news[0]@1", "--reason", "not_json"]]
)
def test_the_command_says_what_it_cannot_take(run, tapewatch, arguments):
    assert tapewatch("requeue", *arguments).exit_code == 2


@pytest.mark.parametrize("source", ["news", "a[0]@1", "a\nb", "feed.jsonl.gz"])
def test_a_position_is_read_as_it_is_written(source):
    letter = DeadLetterRow(source, 3, 17, "", "", None, 0, NOON)

    assert parse_position(letter.position) == letter.key


def test_what_a_terminal_would_obey_is_escaped():
    assert readable(b"a\x1b[31m\n\xff\xe2\x80\xae") == "a\\x1b[31m\n\\xff\\u202e"
    assert readable(None) == ""


def test_many_letters_go_in_batches_each_once(database, run, engine, monkeypatch):
    monkeypatch.setattr("tapewatch.requeueing.BATCH", 2)
    with database.transaction() as connection:
        letters = [
            DeadLetter(
                Record(
                    Partition(source, 1), offset, GOOD.replace(b"%s", f"{source}{offset}".encode())
                ),
                Reason.BAD_DATE,
                "",
            )
            for source in ("A", "b", "Z")
            for offset in range(3)
        ]
        commit_batch(connection, run.id, prepare_batch(ScoredBatch([], [], letters, [])))

    report = go(database, run, model=engine)

    assert report.prospects == Counter(mended=11, still_rejected=3, payload_cut=1)
    assert counters(database, run) == Committed(11, 0, 4)
    with database.transaction() as connection:
        assert find_run(connection, "live").id == run.id
