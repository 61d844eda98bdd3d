import csv
import gzip
import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from classifier.labels import SENTIMENTS, TOPICS
from tapewatch.demo import write_feed

SHIPPED = Path(write_feed.__file__).with_name("feed.jsonl.gz")


@pytest.fixture(scope="module")
def lines():
    return write_feed.feed()


@pytest.fixture(scope="module")
def documents():
    return [json.loads(line) for line in gzip.decompress(SHIPPED.read_bytes()).splitlines()]


def at(document):
    return datetime.fromisoformat(document["published_at"])


def about_the_bank(documents, begins, ends):
    named = [d for d in documents if write_feed.SCARE_TICKER in d["symbols"]]
    return [d for d in named if begins <= at(d) < ends]


def test_the_shipped_feed_is_what_the_generator_writes(tmp_path):
    written = tmp_path / "feed.jsonl.gz"
    write_feed.main([str(written), "--truth", str(tmp_path / "truth.csv")])

    assert gzip.decompress(written.read_bytes()) == gzip.decompress(SHIPPED.read_bytes())
    assert SHIPPED.stat().st_size < 400_000


def test_the_truth_names_every_id_once(tmp_path, documents):
    truth = tmp_path / "truth.csv"
    write_feed.main([str(tmp_path / "feed.jsonl.gz"), "--truth", str(truth)])

    with truth.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    assert sorted(row["id"] for row in rows) == sorted({d["id"] for d in documents})
    assert {row["topic"] for row in rows} <= set(TOPICS)
    assert {row["sentiment"] for row in rows} == set(SENTIMENTS)


def test_it_covers_three_days_in_order_of_publication(documents):
    times = [at(d) for d in documents]

    assert 2800 <= len(documents) <= 3300
    assert times == sorted(times)
    assert {str(time.date()) for time in times} == {"2026-03-10", "2026-03-11", "2026-03-12"}


def test_no_hour_is_empty_and_days_are_busier_than_nights(documents):
    hours = Counter(at(d).replace(minute=0, second=0) for d in documents)
    by_hour = Counter(time.hour for time in hours.elements())

    assert len(hours) == 72
    assert min(hours.values()) >= 10
    assert min(by_hour[hour] for hour in range(12, 21)) > 3 * max(by_hour[h] for h in range(5))


def test_three_ids_are_published_twice_with_the_same_words(documents):
    by_id = defaultdict(list)
    for document in documents:
        by_id[document["id"]].append(document)
    repeated = [same for same in by_id.values() if len(same) > 1]

    assert len(repeated) == 3
    for first, second in repeated:
        assert at(second) - at(first) == write_feed.REPEATED_AFTER
        assert first | {"published_at": ""} == second | {"published_at": ""}


def test_every_document_keeps_the_contract(documents):
    tickers = {company.ticker for company in write_feed.Scribe(None).companies}
    for document in documents:
        news = document["kind"] == "news"
        assert document["kind"] in {"news", "comment"}
        assert document["text"].strip()
        assert ("title" in document, "url" in document, "author" in document) == (
            (True, True, False) if news else (False, False, True)
        )
        assert set(document["symbols"]) <= tickers
        assert {"topic", "sentiment"}.isdisjoint(document)


def test_no_slot_is_left_unfilled(documents):
    assert [d for d in documents if "{" in d["text"] + d.get("title", "")] == []


def test_news_and_comments_are_near_their_shares(documents):
    news = sum(d["kind"] == "news" for d in documents)

    assert 0.42 < news / len(documents) < 0.48


def test_headlines_hardly_repeat_but_for_retweets(documents):
    said = Counter(d.get("title", d["text"]) for d in documents if not d["text"].startswith("RT @"))

    assert sum(count - 1 for count in said.values()) < len(documents) / 100


def test_the_scare_floods_the_tape_with_one_bank(documents):
    begins, ends = write_feed.SCARE_BEGINS, write_feed.SCARE_ENDS
    scare = about_the_bank(documents, begins, ends)
    before = about_the_bank(documents, write_feed.FIRST_DAY, begins)
    busiest = Counter(d["published_at"][:16] for d in scare).most_common(1)[0][1]

    assert 450 <= len(scare) <= 600
    assert len(scare) > 4 * len(before)
    assert 5 <= busiest <= 7


def test_the_scare_begins_as_rumours_and_ends_in_relief(lines):
    def bank(begins, ends):
        return [
            line
            for line in lines
            if begins <= line.published_at < ends and write_feed.SCARE_TICKER in line.symbols
        ]

    def negative(some):
        return sum(line.sentiment == "negative" for line in some) / len(some)

    rumours = bank(write_feed.SCARE_BEGINS, write_feed.SCARE_BREAKS)
    scare = bank(write_feed.SCARE_BEGINS, write_feed.SCARE_ENDS)
    relief = bank(write_feed.SCARE_ENDS, write_feed.RELIEF_ENDS)
    morning = bank(write_feed.MORNING_BEGINS, write_feed.MORNING_ENDS)

    assert {line.kind for line in rumours} == {"comment"}
    assert negative(scare) > 0.9
    assert negative(relief) < 0.25
    assert negative(morning) == 0


def test_calm_topics_are_dealt_from_even_hands(lines):
    calm = [
        line
        for line in lines
        if not {write_feed.SCARE_TICKER, *write_feed.SCARE_PEERS} & set(line.symbols)
    ]
    by_topic = defaultdict(list)
    for line in calm:
        by_topic[line.topic].append(line.sentiment == "negative")

    assert set(by_topic) == set(TOPICS)
    for topic, negatives in by_topic.items():
        assert 0.1 < sum(negatives) / len(negatives) < 0.3, topic
        assert max(sum(negatives[i : i + 10]) for i in range(len(negatives))) <= 5, topic


def test_no_calm_hour_is_mostly_negative(lines):
    hours = defaultdict(list)
    for line in lines:
        if not write_feed.SCARE_BEGINS <= line.published_at < write_feed.RELIEF_ENDS:
            hour = line.published_at.replace(minute=0, second=0)
            hours[hour].append(line.sentiment == "negative")

    assert max(sum(hour) / len(hour) for hour in hours.values()) < 0.5


def test_hard_but_legal_documents_are_among_them(documents):
    texts = [d.get("title", "") + d["text"] for d in documents]

    for sign in ("🚀", "&amp;", "<b>", "**", "النفط", "¿"):
        assert any(sign in text for text in texts), sign
    assert max(len(text) for text in texts) > 2500
    assert {d["language"] for d in documents} == {"en", "es", "de", "ar"}


def test_documents_of_the_scare_stay_within_their_hours(lines):
    span = timedelta(minutes=write_feed.SCARE_RATE[-1][0])

    assert write_feed.SCARE_BEGINS + span == write_feed.RELIEF_ENDS
    phases = ("SCARE_BEGINS", "SCARE_BREAKS", "SCARE_FLOODS", "SCARE_ENDS", "RELIEF_ENDS")
    times = [getattr(write_feed, name) for name in phases]
    assert times == sorted(times)
