"""``alerts`` with its sub-commands, as people and programs use them, on a real PostgreSQL."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import update
from support.alerting import MINUTE, at, commit_drawn
from typer.testing import CliRunner

from alerts.alerter import Alerter
from alerts.rules.ruleset import Metric, RuleSet, ThresholdRule
from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from store.commits import commit_batch, register_model
from store.errors import AlertActionError, UnknownRunError
from store.preparing import prepare_batch
from store.runs import delete_run, find_run, open_run
from store.schema import alert_cards
from tapewatch.commands import alerting

RULE = ThresholdRule(
    name="mood",
    metric=Metric.NEGATIVE_SHARE,
    threshold=0.6,
    scope="symbol",
    window=3 * MINUTE,
    every=MINUTE,
    min_documents=2,
)


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        register_model(connection, "m", Labels(("Macro",)))
        made = open_run(connection, "live")
    yield made
    with database.transaction() as connection:
        delete_run(connection, "live")


@pytest.fixture
def judged(database, run):
    """Commit a timeline and judge it."""

    def judge(timeline, first=0):
        commit_drawn(database, run, timeline, first, symbols=("CPLB",))
        rules = RuleSet(rules=(RULE,))
        Alerter(database, run, rules, notify=True).advance(at(0), finish=True)

    return judge


@pytest.fixture
def tapewatch(database, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments):
        environment = {"TAPEWATCH_DATABASE_URL": database.url, "COLUMNS": "220"}
        done = CliRunner().invoke(alerting.app, [*map(str, arguments)], env=environment)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run_command


def lines(done):
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("command", [[], ["list"]])
def test_alerts_alone_lists_what_fired(tapewatch, judged, command):
    assert "No alert has fired" in tapewatch(*command).stdout
    judged("====-----=====")

    (alert,) = lines(tapewatch(*command, "--json"))
    assert (alert["rule"], alert["key"], alert["resolved_at"] is None) == ("mood", "CPLB", False)
    assert "CPLB" in tapewatch(*command, "--run", "live").stdout
    with pytest.raises(UnknownRunError):
        tapewatch(*command, "--run", "nothing")


def test_an_alert_is_acknowledged_shown_and_taken_up_again(tapewatch, judged):
    judged("====-----")
    said = tapewatch("ack", "mood", "CPLB", "--by", "ann", "--comment", "on it").stdout
    assert said == "mood: CPLB is acknowledged\n"

    (view,) = lines(tapewatch("show", "mood", "CPLB", "--json"))
    assert (view["state"], view["acknowledged"], view["told_state"]) == ("firing", True, "firing")
    assert [(a["action"], a["author"], a["comment"]) for a in view["actions"]] == [
        ("acknowledge", "ann", "on it")
    ]
    assert [e["state"] for e in view["events"]] == ["firing"]
    assert [n["reason"] for n in view["notifications"]] == ["first_firing"]

    tapewatch("unack", view["id"], "--by", "bob")
    (view,) = lines(tapewatch("show", view["id"], "--json"))
    assert view["acknowledged"] is False


def test_show_says_why_nobody_was_told(tapewatch, judged):
    judged("====")
    silenced = ("silence", "--match", "key=CPL*", "--start", "2026-03-10T12:00", "--for", "1h")
    tapewatch(*silenced, "--by", "ann", "--comment", "drill")
    judged("-----", first=4)

    shown = tapewatch("show", "mood", "CPLB").stdout
    assert "mood: CPLB" in shown
    assert "is firing since 2026-03-10 12:06 UTC" in shown
    assert "It is held back: silenced." in shown
    assert lines(tapewatch("show", "mood", "CPLB", "--json"))[0]["silenced_by"] is not None


def test_a_silence_from_now_on_holds_from_the_next_grid_point(database, tapewatch, judged):
    judged("====")
    before = datetime.now(UTC)

    (made,) = lines(
        tapewatch("silence", "--match", "severity>=5", "--for", "90m", "--by", "ann", "--json")
    )

    with database.transaction() as connection:
        cursor = find_run(connection, "live").evaluated_until
    starts, ends = (datetime.fromisoformat(made[name]) for name in ("starts_at", "ends_at"))
    assert starts == cursor
    assert timedelta(minutes=90) <= ends - before < timedelta(minutes=95)
    assert made["matchers"] == {"severity": ">=5"}


def test_silences_are_listed_with_their_states_and_ended_but_not_deleted(tapewatch):
    assert "Nothing is silenced" in tapewatch("silences").stdout
    for span in (
        ("--for", "2h"),
        ("--start", "2999-01-01T00:00", "--for", "1d"),
        ("--start", "2020-01-01T00:00:00", "--end", "2020-01-02T00:00"),
    ):
        tapewatch("silence", "--match", "rule=mood", *span, "--by", "ann", "--comment", "why")

    found = lines(tapewatch("silences", "--json"))
    assert [silence["state"] for silence in found] == ["active", "pending", "expired"]
    for silence in found:
        tapewatch("expire", silence["id"], "--by", "bob", "--comment", "over")
    again = lines(tapewatch("silences", "--json"))
    assert [(s["id"], s["state"]) for s in again] == [(s["id"], "expired") for s in found]
    assert "rule=mood" in tapewatch("silences").stdout


def test_the_history_has_actions_and_notifications(tapewatch, judged):
    judged("====-----")
    tapewatch("comment", "mood", "CPLB", "--by", "ann", "--comment", "odd \x1b[31m[red]")

    found = lines(tapewatch("history", "--json"))
    assert [(row["kind"], row.get("reason") or row.get("action")) for row in found] == [
        ("notification", "first_firing"),
        ("action", "comment"),
    ]
    printed = tapewatch("history").stdout
    assert "\x1b" not in printed
    assert "[red]" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("silence", "--match", "key=a"), "--for 2h"),
        (("silence", "--match", "key=a", "--for", "2h", "--end", "2030-01-01T00:00"), "--for 2h"),
        (("silence", "--match", "key=a", "--for", "soon"), "is no duration"),
        (("silence", "--match", "colour=a", "--for", "2h"), "cannot be matched"),
        (("silence", "--for", "2h"), "Missing option"),
    ],
)
def test_a_mistake_is_told(tapewatch, arguments, message):
    done = tapewatch(*arguments, "--by", "ann")

    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ack", "mood", "CPLB"), "no alert 'mood' 'CPLB'"),
        (("expire", "99"), "no silence 99"),
        (("silence", "--match", "key=a", "--start", "2030-01-01T00:00", "--end",
          "2029-01-01T00:00"), "must end after it begins"),
        (("silence", "--match", "key=a", "--for", "0s", "--start", "2030-01-01T00:00"),
         "must end after it begins"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_says_what_to_do(tapewatch, arguments, message):
    with pytest.raises(AlertActionError, match=message):
        tapewatch(*arguments, "--by", "ann")


HOSTILE = "[bold red]@everyone[/bold red] \x1b[31mred\x07 \u202etxt.exe {0} $x"


def fires_on(database, run, posts):
    """Judge documents of a minute each, all of them very negative."""
    documents = [
        Document(id=f"d{i}", source="wire", kind="news", published_at=at(i), **fields)
        for i, fields in enumerate(posts)
    ]
    shares = {"negative": 9000, "neutral": 1000, "positive": 0}
    said = [Prediction({"Macro": 10_000}, shares, "m", 1)] * len(documents)
    step = Advance(Partition("topic", 0), None, Checkpoint(len(documents), at(len(documents))))
    with database.transaction() as connection:
        batch = prepare_batch(ScoredBatch(documents, said, [], [step]))
        commit_batch(connection, run.id, batch)
    rule = replace(RULE, scope="all", min_documents=3)
    Alerter(database, run, RuleSet(rules=(rule,))).advance(at(0), finish=True)


def test_show_says_why_it_fired(database, run, tapewatch):
    posts = [{"text": "Fund halted"}, {"text": "fund  HALTED"}, {"title": HOSTILE, "text": HOSTILE}]
    fires_on(database, run, [{**post, "url": f"https://example.test/{HOSTILE}"} for post in posts])

    shown = tapewatch("show", "mood").stdout
    assert "Why it fired at 2026-03-10 12:03 UTC" in shown
    assert "Window: 2026-03-10 12:00 UTC to 2026-03-10 12:03 UTC" in shown
    assert "Documents: 3 (3 negative, 0 neutral, 0 positive), mean score -0.9" in shown
    assert "Judged: negative share 1 >= 0.6, clear at 0.6" in shown
    assert "Coverage: 3 of 3 minutes have documents; 60 s of lateness allowed" in shown
    assert "Models: m (3)" in shown
    assert "Read up to: topic[0]@3" in shown
    flat = "".join(shown.split())
    assert "fundHALTED" in flat
    assert "[boldred]@everyone[/boldred]" in flat
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_the_whole_card_is_there_for_programs(database, run, tapewatch):
    fires_on(database, run, [{"text": HOSTILE, "title": HOSTILE} for _ in range(3)])

    (view,) = lines(tapewatch("show", "mood", "--json"))
    (kept,) = view["cards"]
    assert (kept["reason"], kept["at"]) == (None, "2026-03-10 12:03:00+00:00")
    (driver,) = kept["card"]["drivers"]
    assert (driver["title"], driver["text"], driver["repeats"]) == (HOSTILE, HOSTILE, 3)
    assert kept["card"]["rule"]["baseline"] is None


def test_a_firing_without_a_card_says_why(database, run, tapewatch):
    fires_on(database, run, [{"text": "x"}] * 3)
    with database.transaction() as connection:
        connection.execute(update(alert_cards).values(card=None, reason="step_limit"))

    assert "There is no card: step_limit." in tapewatch("show", "mood").stdout
    (view,) = lines(tapewatch("show", "mood", "--json"))
    assert (view["cards"][0]["card"], view["cards"][0]["reason"]) == (None, "step_limit")
