"""A backtest as a whole, on a real database: what ends it, and what tells rules apart."""

from datetime import UTC, datetime, timedelta
from threading import Lock

import pytest

from alerts.backtest import history
from alerts.backtest.comparison import KnownEvent, KnownEventsError, parse_known_events
from alerts.backtest.history import READERS
from alerts.backtest.report import digest_rules, known_within, run_backtest
from alerts.conditions.finders import Stretch
from alerts.rules.ruleset import RulesError, locate_mistakes, parse_rules
from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store.commits import commit_batch, register_model
from store.preparing import prepare_batch
from store.runs import delete_run, open_run

DAY = datetime(2026, 3, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = b"""
[[rules]]
name = "turns"
metric = "negative_share"
scope = "source"
threshold = 0.5
min_documents = 1
"""


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        opened = open_run(connection, "history")
        register_model(connection, "m", Labels(("Macro",)))
        documents = [
            Document(id=f"{n}", source=f"wire-{n:02}", kind="news", text="x", published_at=DAY)
            for n in range(40)
        ]
        said = Prediction(
            {"Macro": 10_000}, {"negative": 10_000, "neutral": 0, "positive": 0}, "m", 1
        )
        commit_batch(
            connection, opened.id, prepare_batch(ScoredBatch(documents, [said] * 40, [], []))
        )
    yield opened
    with database.transaction() as connection:
        delete_run(connection, "history")


class StoppedError(Exception):
    pass


def test_what_progress_raises_ends_it_before_the_keys_that_wait_are_read(
    database, run, monkeypatch
):
    read, lock, reading = [], Lock(), history._read

    def counted(connection, run_id, scope, key, *rest):
        with lock:
            read.append(key)
        return reading(connection, run_id, scope, key, *rest)

    def stop(done, keys):
        assert keys == 40
        if done == 2:
            raise StoppedError

    monkeypatch.setattr(history, "_read", counted)
    with pytest.raises(StoppedError):
        run_backtest(database, run.id, parse_rules(RULES, "x", {}), stop)
    assert 2 <= len(read) < 40


def test_what_is_raised_before_a_rule_ends_it(database, run):
    asked = []

    def may_go_on():
        asked.append(1)
        if len(asked) > 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        run_backtest(database, run.id, parse_rules(RULES, "x", {}), before_rule=may_go_on)
    assert len(asked) <= 4 + READERS


def test_a_run_without_documents_comes_to_nothing(database):
    with database.transaction() as connection:
        empty = open_run(connection, "empty")
    assert run_backtest(database, empty.id, parse_rules(RULES, "x", {})) is None
    with database.transaction() as connection:
        delete_run(connection, "empty")


def test_rules_that_judge_alike_have_one_digest():
    told = RULES + b'receivers = []\n# a word\n[[receivers]]\nname = "c"\ntype = "console"\n'
    first, same = (digest_rules(parse_rules(content, "x", None)) for content in (RULES, told))
    other = digest_rules(parse_rules(RULES.replace(b"0.5", b"0.6"), "x", None))
    assert first == same
    assert first != other


SECRET = b"""
[[receivers]]
name = "desk"
type = "webhook"
url = "${TAPEWATCH_NOT_SET}"
"""


def test_rules_to_judge_by_need_no_environment_and_read_no_template():
    content = RULES + b'receivers = ["desk"]\n' + SECRET
    with pytest.raises(RulesError, match="TAPEWATCH_NOT_SET"):
        parse_rules(content, "x", {})
    found = parse_rules(content + b'template = "/etc/passwd"\n', "x", None)
    assert found.receivers[0].url == "${TAPEWATCH_NOT_SET}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (RULES.replace(b"0.5", b'"half"'), r"^rules\.toml:6: Expected `float`"),
        (RULES + b"threshold = 1\n", r"^rules\.toml:8: "),
        (RULES + b"[[rules\n", r"^rules\.toml:8: "),
        (RULES.replace(b"0.5", b"1.5"), r"^rules\.toml:\d: rule 'turns': a share"),
        (b"\xff\xfe", r"^rules\.toml: .*utf-8"),
    ],
)
def test_a_mistake_in_bytes_is_told_with_its_line(content, said):
    with pytest.raises(RulesError, match=said):
        locate_mistakes(content, "rules.toml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"when\n2026-03-09\n", "no column `start`"),
        (b"start\nsoon\n", "events.csv:2: `start` is no time"),
        (b"start,end\n2026-03-09,2026-03-08\n", "`end` is before `start`"),
        (b"start\n\xff\n", "cannot read"),
    ],
)
def test_what_is_no_file_of_known_events_is_told(content, said):
    with pytest.raises(KnownEventsError, match=said):
        parse_known_events(content, "events.csv")


def test_known_events_outside_the_span_are_left_out():
    span = Stretch(DAY, DAY + HOUR)
    events = [
        KnownEvent(DAY - HOUR, DAY),
        KnownEvent(DAY - HOUR, DAY + HOUR),
        KnownEvent(DAY + HOUR, DAY + HOUR),
        KnownEvent(DAY + 2 * HOUR, DAY + 3 * HOUR),
    ]
    assert known_within(events, span) == events[1:3]
