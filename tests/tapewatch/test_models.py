"""``models``, ``promote`` and ``rollback`` on a real registry with real tiny weights."""

import json
from copy import deepcopy

import pytest
import typer
from support.public_sets import PublicSets
from support.tiny_weights import write_weights
from typer.testing import CliRunner

from alerts.rules.ruleset import parse_rules
from classifier.continual.registry import (
    NoChallengerError,
    NothingToRollBackError,
    Registry,
    RegistryError,
    Role,
    UnknownVersionError,
)
from classifier.engine import Engine
from tapewatch import champion as champions
from tapewatch.commands import models as commands
from tapewatch.commands.models import PromotionRefusedError
from tapewatch.lineup import watched_topics

TOPICS = {"Banks": "loan", "Oil": "barrel"}
WORDS = {"negative": "falls", "positive": "rises"}
BANKS_RULE = """
[[rules]]
name = "banks"
metric = "negative_share"
scope = "topic"
keys = ["Banks"]
threshold = 0.5
"""
NO_RULES = ""

app = typer.Typer()
for command in (commands.models, commands.promote, commands.rollback):
    app.command()(command)


def scores(head, *classes, accuracy=0.9):
    of_class = {"precision": 0.9, "recall": 0.9, "f1": 0.9, "rows": 99, "f1_interval": [0.8, 0.95]}
    return {
        "head": head,
        "rows": 200,
        "accuracy": accuracy,
        "accuracy_interval": [0.86, 0.94],
        "macro_f1": 0.9,
        "macro_f1_interval": [0.86, 0.94],
        "classes": {name: deepcopy(of_class) for name in classes},
        "ece": 0.02,
    }


def card(version, **of_news):
    news = [scores("topic", *TOPICS, **of_news), scores("sentiment", *WORDS)]
    labels = {"topics": list(TOPICS), "sentiments": ["negative", "neutral", "positive"]}
    return {"version": version, "labels": labels, "tests": {"news": news}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return (
        write_weights(folder / "first", TOPICS, WORDS),
        write_weights(folder / "second", TOPICS, WORDS, seed=2),
    )


@pytest.fixture
def folders(made):
    """Both weights with cards that are as good as each other."""
    for folder in made:
        write_card(folder)
    return made


def write_card(folder, change=lambda plain: None, **of_news):
    plain = card(Engine(folder, "cpu", 1).version, **of_news)
    change(plain)
    (folder / "card.json").write_text(json.dumps(plain))


@pytest.fixture
def registry(folders, tmp_path, monkeypatch):
    """The registry that the commands open; the first weights ship with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TAPEWATCH_WEIGHTS", raising=False)
    monkeypatch.setenv("TAPEWATCH_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("TAPEWATCH_THREADS", "1")
    monkeypatch.setattr(champions, "SHIPPED", folders[0])
    return Registry(tmp_path / "models", folders[0])


@pytest.fixture
def versions(folders):
    return tuple(json.loads((folder / "card.json").read_text())["version"] for folder in folders)


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(BANKS_RULE)
    return path


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def as_json(*arguments):
    return json.loads(run(*arguments, "--json").stdout.splitlines()[-1])


def test_the_whole_way_of_a_challenger(registry, folders, versions, rules):
    first, second = versions
    added = as_json("models", "--add", folders[1])
    roles = {row["version"]: row["roles"] for row in added["versions"]}
    assert roles == {first: ["champion", "shipped"], second: ["challenger"]}
    assert added["serving"] == first

    promoted = as_json("promote", "--rules", rules)
    assert (promoted["version"], promoted["against"]) == (second, first)
    assert (promoted["promoted"], promoted["reason"]) == (True, "not worse than the champion")
    assert any(row["figure"] == "recall of Banks" for row in promoted["comparisons"])
    assert registry.champion() == second

    assert as_json("rollback", "--reason", "odd scores") == {
        "rolled_back": second,
        "champion": first,
    }
    history = as_json("models")["history"]
    assert [(entry["role"], entry["reason"]) for entry in history] == [
        ("challenger", "added from second"),
        ("champion", "not worse than the champion"),
        ("rolled back", "odd scores"),
    ]
    assert all(entry["by"] for entry in history)


def test_the_table_shows_roles_and_figures(registry, folders, versions):
    run("models", "--add", folders[1])

    shown = run("models").stdout

    assert "champion, shipped" in shown
    assert "challenger" in shown
    assert "topic 0.900 / 0.900" in shown


def test_a_worse_challenger_is_refused_with_the_figure_and_the_way_out(
    registry, folders, versions, rules
):
    write_card(folders[1], accuracy=0.859)
    run("models", "--add", folders[1])

    with pytest.raises(PromotionRefusedError, match=r"accuracy 0\.859, below 0\.860.*--force"):
        run("promote", "--rules", rules)
    assert registry.champion() == versions[0]
    assert registry.state().challenger == versions[1]


@pytest.mark.parametrize(("accuracy", "promoted"), [(0.86, True), (0.8599, False)])
def test_at_the_lower_bound_it_is_promoted(registry, folders, versions, rules, accuracy, promoted):
    write_card(folders[1], accuracy=accuracy)
    run("models", "--add", folders[1])

    if promoted:
        run("promote", "--rules", rules)
    else:
        with pytest.raises(PromotionRefusedError):
            run("promote", "--rules", rules)
    assert registry.champion() == versions[promoted]


def worse_on_banks(plain):
    plain["tests"]["news"][0]["classes"]["Banks"]["f1"] = 0.79


@pytest.mark.parametrize(("content", "promoted"), [(BANKS_RULE, False), (NO_RULES, True)])
def test_a_class_counts_where_the_rules_watch_it(
    registry, folders, versions, rules, content, promoted
):
    rules.write_text(content)
    write_card(folders[1], worse_on_banks)
    run("models", "--add", folders[1])

    if promoted:
        run("promote", "--rules", rules)
    else:
        with pytest.raises(PromotionRefusedError, match=r"F1 of Banks 0\.790"):
            run("promote", "--rules", rules)
    assert registry.champion() == versions[promoted]


def test_force_overrides_and_is_remembered(registry, folders, versions, rules):
    write_card(folders[1], accuracy=0.1)
    run("models", "--add", folders[1])

    forced = as_json("promote", "--rules", rules, "--force", "the old one is broken")

    assert (forced["promoted"], forced["reason"]) == (True, "worse than the champion")
    last = registry.state().history[-1]
    assert (last.version, last.role) == (versions[1], Role.CHAMPION)
    assert last.reason == "forced: the old one is broken"


def test_force_wants_a_reason(registry, folders, rules):
    run("models", "--add", folders[1])

    assert "needs a reason" in run("promote", "--rules", rules, "--force", " ").output


def test_nothing_is_promoted_over_itself_even_by_force(registry, versions, rules):
    with pytest.raises(PromotionRefusedError, match="serves already"):
        run("promote", versions[0], "--rules", rules, "--force", "why not")
    assert registry.state().history == ()


def test_weights_that_are_not_those_of_their_card_are_never_promoted(
    registry, folders, versions, rules
):
    registry.add(folders[1])
    labels = registry.folder(versions[1]) / "labels.json"
    labels.write_text(labels.read_text().replace("Oil", "Tin"))

    with pytest.raises(RegistryError, match="changed after their card was written"):
        run("promote", versions[1], "--rules", rules, "--force", "hurry")
    assert registry.champion() == versions[0]


def other_tests(plain):
    plain["tests"]["views"] = plain["tests"].pop("news")


def test_cards_of_other_test_sets_are_refused_with_the_way_to_compare(
    registry, folders, versions, rules
):
    write_card(folders[1], other_tests)
    run("models", "--add", folders[1])

    with pytest.raises(PromotionRefusedError, match=r"the test sets differ.*--data PATH"):
        run("promote", "--rules", rules)


def test_both_are_measured_anew_on_rows_at_hand(registry, folders, versions, rules, tmp_path):
    write_card(folders[1], other_tests)
    run("models", "--add", folders[1])
    topics, sentiments = list(TOPICS.items()), list(WORDS.items())
    lines = [
        json.dumps({
            "text": f"week {number} {topics[number % 2][1]} {sentiments[number % 3 % 2][1]}",
            "topic": topics[number % 2][0],
            "sentiment": sentiments[number % 3 % 2][0],
        })
        for number in range(400)
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines))

    outcome = as_json("promote", "--rules", rules, "--data", path)

    assert (outcome["promoted"], registry.champion()) == (True, versions[1])
    assert {row["test"] for row in outcome["comparisons"]} == {"a fixed share of the labelled rows"}


@pytest.mark.parametrize("name", [".", "twitter-financial-news-topic"])
def test_public_rows_of_other_topics_are_told(registry, folders, rules, tmp_path, name):
    write_card(folders[1], other_tests)
    run("models", "--add", folders[1])
    path = PublicSets(tmp_path / "public").write() / name

    with pytest.raises(RegistryError, match="do not carry the topics of"):
        run("promote", "--rules", rules, "--data", path)


def test_both_are_measured_anew_on_a_public_set_of_sentiments(
    registry, folders, versions, rules, tmp_path
):
    rules.write_text(NO_RULES)
    write_card(folders[1], other_tests)
    run("models", "--add", folders[1])
    path = PublicSets(tmp_path / "public").write() / "twitter-financial-news-sentiment"

    outcome = as_json("promote", "--rules", rules, "--data", path)

    assert (outcome["promoted"], registry.champion()) == (True, versions[1])
    assert {row["test"] for row in outcome["comparisons"]} == {
        "sentiment, without rows repeated in training"
    }


def test_without_a_challenger_a_version_must_be_named(registry, rules):
    with pytest.raises(NoChallengerError, match="models --add"):
        run("promote", "--rules", rules)
    with pytest.raises(UnknownVersionError, match="no version 'x'"):
        run("promote", "x", "--rules", rules)


def test_without_a_promotion_there_is_nothing_to_roll_back(registry):
    with pytest.raises(NothingToRollBackError):
        run("rollback")


def test_a_damaged_card_is_shown_and_harms_no_other(registry, folders, versions):
    registry.add(folders[1])
    (registry.folder(versions[1]) / "card.json").write_text("{}")

    rows = {row["version"]: row for row in as_json("models")["versions"]}

    assert "cannot be read" in rows[versions[1]]["error"]
    assert rows[versions[0]]["tests"]["news"][0]["accuracy"] == 0.9


def test_named_weights_are_said_to_serve(registry, folders, versions, monkeypatch):
    monkeypatch.setenv("TAPEWATCH_WEIGHTS", str(folders[1]))

    assert as_json("models")["serving"] == versions[1]
    assert "whoever is champion" in run("models").stdout


@pytest.mark.parametrize(
    ("rules", "watched"),
    [
        ("", set()),
        (BANKS_RULE, {"Banks"}),
        (BANKS_RULE.replace('keys = ["Banks"]', ""), {"Banks", "Oil"}),
        (BANKS_RULE.replace('"topic"', '"symbol"'), set()),
        (BANKS_RULE + BANKS_RULE.replace("banks", "tin").replace("Banks", "Tin"), {"Banks", "Tin"}),
    ],
)
def test_rules_watch_the_topics_that_they_name_or_all(rules, watched):
    assert watched_topics(parse_rules(rules.encode(), "rules", {}), tuple(TOPICS)) == watched
