"""A user's own topics, from the weights to an alert: no part knows other names."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from support.checks import buckets_equal_recount
from support.commands import last_json, tapewatch
from support.feeds import write
from support.tiny_weights import write_weights

from classifier.labels import SENTIMENTS
from store.database import Database

pytestmark = pytest.mark.acceptance

TOPIC_WORDS = {"Hailstorms": "hail", "Tulips": "tulips", "Other": "other"}
START = datetime(2026, 3, 10, 9, tzinfo=UTC)
QUARTER = timedelta(minutes=15)

RULES = """
[[rules]]
name = "flower-panic"
metric = "negative_share"
scope = "topic"
keys = ["Tulips", "Hailstorms"]
window = "15m"
min_documents = 5
threshold = 0.8
severity = 7
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "own"
    return write_weights(folder, TOPIC_WORDS, {"negative": "plunges", "positive": "soars"})


@pytest.fixture(scope="module")
def settings(postgres, weights):
    """A database of these tests' own, and the weights."""
    with postgres.database() as url:
        yield {"weights": weights, "database_url": url}


@pytest.fixture(scope="module")
def report(settings, tmp_path_factory):
    """What `tapewatch replay` says of an hour in which tulips, and nothing else, plunge."""
    folder = tmp_path_factory.mktemp("feed")
    feed = write(folder / "garden.jsonl", list(hour()))
    rules = folder / "rules.toml"
    rules.write_text(RULES)
    return last_json(tapewatch("replay", feed, "--rules", rules, "--json", **settings))


def hour():
    """A document a minute on each topic; tulips plunge from 9:15 to 9:45, all else is calm."""
    for minute in range(60):
        published = START + timedelta(minutes=minute)
        panic = START + QUARTER <= published < START + 3 * QUARTER
        for topic, word in TOPIC_WORDS.items():
            mood = "plunges" if panic and topic == "Tulips" else "soars"
            yield json.dumps(
                {
                    "id": f"{topic}-{minute}",
                    "source": "garden-wire",
                    "kind": "news",
                    "published_at": published.isoformat(),
                    "text": f"the report says that {word} {mood} today",
                }
            ).encode()


@pytest.fixture
def rows(settings, report):
    """Reads rows of the store, by SQL."""
    database = Database(settings["database_url"])

    def read(statement):
        with database.transaction() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    buckets_equal_recount(database, "garden")
    yield read
    database.close()


def test_a_text_is_classified_by_the_own_names(settings):
    said = last_json(tapewatch("classify", "today TULIPS plunges", "--json", **settings))

    assert (said["topic"], said["sentiment"]) == ("Tulips", "negative")
    assert list(said["topic_probabilities"]) == list(TOPIC_WORDS)


def test_a_text_is_explained_by_the_own_names(settings):
    done = tapewatch(
        "classify", "today HAIL plunges", "--explain", "--target", "Hailstorms", **settings
    )

    assert "P(Hailstorms) is" in done.stdout
    assert "HAIL" in done.stdout


def test_a_name_of_other_weights_is_told_apart(settings):
    done = tapewatch("classify", "hail", "--explain", "--target", "Macro", fails=True, **settings)

    assert "no class 'Macro'" in done.stderr
    assert "Hailstorms, Tulips, Other" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_rule_on_an_own_topic_fires_and_resolves(report):
    assert report["documents"] == 180
    (alert,) = report["alerts"]
    assert (alert["rule"], alert["key"], alert["severity"]) == ("flower-panic", "Tulips", 7)
    fired, resolved = (datetime.fromisoformat(alert[k]) for k in ("fired_at", "resolved_at"))
    assert START + QUARTER < fired <= START + 2 * QUARTER
    assert START + 3 * QUARTER < resolved <= START + 4 * QUARTER


def test_the_alerts_are_listed_with_the_own_topic(settings, report):
    done = tapewatch("alerts", "--run", "garden", "--json", **settings)

    assert [json.loads(line)["key"] for line in done.stdout.splitlines()] == ["Tulips"]
    assert "Tulips" in tapewatch("alerts", "--run", "garden", **settings).stdout


def test_the_documents_have_the_own_topics(rows):
    found = rows("select topic, count(*) from documents group by topic order by topic")

    assert found == [("Hailstorms", 60), ("Other", 60), ("Tulips", 60)]
    negative = rows("select distinct topic from documents where sentiment = 'negative'")
    assert negative == [("Tulips",)]


def test_the_buckets_have_the_own_topics(rows):
    found = rows("select distinct key from time_buckets where scope = 'topic' order by key")

    assert found == [("Hailstorms",), ("Other",), ("Tulips",)]


def test_the_store_knows_the_names_behind_the_probabilities(rows):
    assert rows("select topics, sentiments from models") == [(list(TOPIC_WORDS), list(SENTIMENTS))]


def test_other_weights_do_not_go_on_with_a_run_in_silence(settings, report, tmp_path):
    feed = write(tmp_path / "garden.jsonl", list(hour()))
    same = tapewatch("replay", feed, "--json", **settings)
    other = write_weights(tmp_path / "other", TOPIC_WORDS, {"negative": "soars"}, seed=2)

    done = tapewatch("replay", feed, "--json", **{**settings, "weights": other})

    assert "is scored by" not in same.stderr
    assert "garden has documents scored by gpt2-" in done.stderr
    assert "--fresh begins again" in done.stderr
    assert last_json(done)["documents"] == report["documents"]
