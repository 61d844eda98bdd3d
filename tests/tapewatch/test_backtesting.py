"""`tapewatch backtest` on a run that was judged: the same alerts, and what is said of them."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from support.commands import tapewatch

from alerts.alerter import Alerter
from alerts.rules.ruleset import load_rules
from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from store import runs
from store.cards import read_cards_of_alert
from store.commits import commit_batch, register_model
from store.database import Database
from store.digest import digest
from store.preparing import prepare_batch

START = datetime(2026, 3, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SCARES = {"K": (600, 720), "L": (2000, 2030)}

STRICT = """
[[rules]]
name = "turns"
metric = "negative_share"
scope = "symbol"
window = "20m"
every = "5m"
threshold = 0.7
clear = 0.5
min_documents = 8
"""
LOOSE = """
[[rules]]
name = "other-name"
metric = "negative_share"
scope = "symbol"
keys = ["K"]
window = "20m"
threshold = 0.6
for = "5m"
min_documents = 5

[[rules]]
name = "counts"
metric = "documents"
scope = "all"
operator = "<="
threshold = 3
window = "10m"
min_documents = 0

[[rules]]
name = "silent"
metric = "negative_count"
scope = "source"
keys = ["wire", "never"]
threshold = 5
window = "10m"
no_data_after = "30m"
"""


@pytest.fixture(scope="module")
def database(postgres):
    with postgres.database() as url:
        opened = Database(url)
        opened.migrate()
        with opened.transaction() as connection:
            register_model(connection, "m", Labels(("Macro",)))
            run = runs.open_run(connection, "history")
            runs.open_run(connection, "empty")
            commit_batch(connection, run.id, prepare_batch(feed()))
        yield opened
        opened.close()


def feed():
    """Two days of two symbols, each with a scare; nothing comes from minute 1500 to 1600."""
    chance, documents, said = random.Random(5), [], []
    for minute in range(2880):
        for key in "KL":
            begin, end = SCARES[key]
            scared = begin <= minute < end
            if 1500 <= minute < 1600 or chance.random() > (0.9 if scared else 0.4):
                continue
            negative = chance.random() < (0.9 if scared else 0.2)
            documents.append(
                Document(
                    id=f"{key}{minute}",
                    source="wire",
                    kind="news",
                    text="x",
                    symbols=(key,),
                    published_at=START + minute * MINUTE,
                )
            )
            sure = {
                "negative": 10_000 * negative,
                "neutral": 10_000 * (not negative),
                "positive": 0,
            }
            said.append(Prediction({"Macro": 10_000}, sure, "m", 1))
    step = Advance(Partition("feed", 0), None, Checkpoint(1, documents[-1].published_at))
    return ScoredBatch(documents, said, [], [step])


@pytest.fixture
def files(tmp_path):
    """The two rules files, by name."""
    found = {"strict": tmp_path / "strict.toml", "loose": tmp_path / "loose.toml"}
    found["strict"].write_text(STRICT)
    found["loose"].write_text(LOOSE)
    return found


@pytest.fixture
def backtest(database):
    """Runs the command on the database."""
    url = database.engine.url.render_as_string(hide_password=False)

    def backtest(*arguments, **options):
        return tapewatch("backtest", *arguments, database_url=url, **options)

    return backtest


def report(done):
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_its_alerts_are_those_that_the_run_was_told(database, files, backtest):
    for name, path in files.items():
        with database.transaction() as connection:
            runs.delete_run(connection, name)
            run = runs.open_run(connection, name)
            commit_batch(connection, run.id, prepare_batch(feed()))
        Alerter(database, run, load_rules(path)).advance(START, finish=True)
        with database.transaction() as connection:
            expected = digest(connection, run.id)["alerts"]

        found = report(backtest("--run", name, "--rules", path, "--json"))

        assert found["digest"] == expected
        assert found["events"] > 2
        with database.transaction() as connection:
            runs.delete_run(connection, name)


def test_it_says_what_fired_and_what_it_costs(files, backtest):
    found = report(backtest("--run", "history", "--rules", files["strict"], "--json"))

    assert [(alert["rule"], alert["key"]) for alert in found["alerts"]] == [
        ("turns", "K"), ("turns", "L"),
    ]  # fmt: skip
    first = found["alerts"][0]
    fired, resolved = (datetime.fromisoformat(first[n]) for n in ("fired_at", "resolved_at"))
    assert START + 600 * MINUTE < fired < START + 630 * MINUTE
    weeks = (
        datetime.fromisoformat(found["end"]) - datetime.fromisoformat(found["start"])
    ) / timedelta(days=7)
    heaviest = found["load"][0]
    assert heaviest["key"] == "K"
    assert heaviest["alert_minutes_per_week"] == pytest.approx(
        (resolved - fired) / MINUTE / weeks, 1e-4
    )


def test_it_compares_two_files_and_meets_known_events(files, backtest, tmp_path):
    known = tmp_path / "known.csv"
    known.write_text(
        "start,end,key,name\n2026-03-09T10:00,2026-03-09T12:00,K,a scare\n"
        "2026-03-10T01:00,,K,nothing\n2020-01-01,,,before the run\n"
    )
    arguments = (
        "--run", "history", "--rules", files["strict"], "--against", files["loose"],
        "--known", known, "--plot", tmp_path / "picture.png",
    )  # fmt: skip

    found = report(backtest(*arguments, "--json"))

    against, met = found["against"], found["known"]
    assert against["shared"] == 1
    assert [alert["key"] for alert in against["added"]] == ["L"]
    assert {alert["rule"] for alert in against["gone"]} == {"counts", "other-name", "silent"}
    assert (met["events"], met["told"], met["true_alerts"], met["false_alerts"]) == (2, 1, 1, 1)
    assert (met["precision"], met["recall"]) == (0.5, 0.5)
    assert 0 < met["median_delay_minutes"] < 30
    assert [event["name"] for event in met["missed"]] == ["nothing"]
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")

    shown = backtest(*arguments).stdout
    assert "Against the other rules: 1 new" in shown
    assert "Known events: 1 of 2 told" in shown
    assert "alerts a week" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--run", "unknown"), "unknown"),
        (("--run", "empty"), "holds no document yet"),
        (("--run", "history", "--known", "none.csv"), "cannot read the known events of none.csv"),
        (("--run", "history", "--against", "none.toml"), "cannot read the rules file none.toml"),
        (("--run", "history", "--plot", "no/such/folder.png"), "cannot write the picture"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(files, backtest, arguments, said):
    failed = backtest("--rules", files["strict"], *arguments, fails=True)

    assert said in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.fixture
def rules(database):
    """Runs `tapewatch rules` on the database."""
    url = database.engine.url.render_as_string(hide_password=False)

    def rules(*arguments, **options):
        return tapewatch("rules", *arguments, database_url=url, **options)

    return rules


@pytest.mark.parametrize("wished", [3.6, 7.1])
def test_a_suggested_threshold_tells_no_more_often_than_wished(
    database, files, rules, backtest, tmp_path, wished
):
    arguments = ("--run", "history", "--rules", files["strict"], "--alerts-per-week", wished)

    [found] = report(rules("suggest", *arguments, "--json"))["rules"]

    assert found["rule"] == "turns"
    assert found["alerts_per_week"] == pytest.approx(7, 0.02)
    assert found["suggested_alerts_per_week"] <= wished
    tried = tmp_path / "tried.toml"
    changed = STRICT.replace("threshold = 0.7", f"threshold = {found['suggested']}")
    tried.write_text(changed.replace("clear = 0.5", f"clear = {found['suggested_clear']}"))
    shown = report(backtest("--run", "history", "--rules", tried, "--json"))
    weeks = (
        datetime.fromisoformat(shown["end"]) - datetime.fromisoformat(shown["start"])
    ) / timedelta(days=7)
    assert len(shown["alerts"]) / weeks == pytest.approx(
        found["suggested_alerts_per_week"], abs=0.001
    )
    assert shown["alerts"]


def test_where_no_threshold_tells_so_seldom_that_is_said(files, rules):
    arguments = ("--run", "history", "--rules", files["strict"], "--alerts-per-week", 0)

    assert "turns: no threshold tells so seldom" in rules("suggest", *arguments).stdout


def test_a_right_file_is_shown_and_a_wrong_one_told_with_its_line(files, rules, tmp_path):
    shown = rules("check", files["loose"]).stdout
    plain = report(rules("check", files["loose"], "--json"))
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(STRICT.replace('window = "20m"', 'window = "20"'))

    failed = rules("check", wrong, fails=True)

    assert "is right: 3 rules, 1 receivers (console)" in shown
    assert [rule["name"] for rule in plain["rules"]] == ["other-name", "counts", "silent"]
    assert f"{wrong}:6: 'turns': `window`: '20' is no duration" in failed.stderr


SPIKE = """
[[rules]]
name = "spikes"
type = "spike"
scope = "symbol"
window = "20m"
every = "10m"
history = "2d"
min_history = "2d"
"""


def test_the_gravest_alerts_come_with_the_cards_that_they_would_have_had(database, files, backtest):
    with database.transaction() as connection:
        runs.delete_run(connection, "judged")
        run = runs.open_run(connection, "judged")
        commit_batch(connection, run.id, prepare_batch(feed()))
    Alerter(database, run, load_rules(files["strict"])).advance(START, finish=True)
    with database.transaction() as connection:
        kept = {
            (key, row.at.isoformat()): row.card
            for key in "KL"
            for row in read_cards_of_alert(connection, run.id, "turns", key)
        }

    arguments = ("--run", "judged", "--rules", files["strict"], "--cards", "2")
    strongest = report(backtest(*arguments, "--json"))["strongest"]

    assert [each["severity"] for each in strongest] == [5, 5]
    assert strongest[0]["value"] >= strongest[1]["value"]
    for each in strongest:
        known = kept[each["key"], each["fired_at"]]
        assert {**each["card"], "offsets": known["offsets"], "coverage": known["coverage"]} == known
    shown = backtest(*arguments, "--limit", "0").stdout
    assert f"1. {strongest[0]['fired_at'][:10]}" in shown
    assert "Documents, the most negative first (UTC):" in shown


def test_a_spike_rule_that_has_too_little_history_tells_nothing_and_is_judged(tmp_path, backtest):
    path = tmp_path / "spike.toml"
    path.write_text(SPIKE)

    found = report(backtest("--run", "history", "--rules", path, "--cards", "3", "--json"))

    assert (found["alerts"], found["strongest"]) == ([], [])
