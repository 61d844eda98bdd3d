"""What Prometheus would scrape: the page is fetched over HTTP and parsed as Prometheus does."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.metrics import free_port, scraped

from ingest.batch import Committed, DeadLetter, Partition, Record
from ingest.decoding import Entry
from ingest.document import Document, Reason
from ingest.gathering import Flush, Gathered, Limits
from ingest.observing import Finished
from tapewatch.metrics import Metrics, MetricsPortError, serving
from tapewatch.settings import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
NEWS = Partition("news", 3)


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def served(port):
    """Serves metrics for the length of a test."""
    with ExitStack() as stack:
        yield lambda metrics: stack.enter_context(
            serving(metrics, Settings(metrics_port=port))
        )  # fmt: skip


def made(padding=None, **limits):
    return Metrics(Limits(**limits), lambda: padding)


def entry(offset, polled, published_seconds_ago=None):
    timestamp = published_seconds_ago and (NOON.timestamp() - published_seconds_ago)
    record = Record(NEWS, offset, b"", timestamp)
    document = Document(id=str(offset), source="s", kind="news", published_at=NOON, text="t")
    return Entry(record, document, polled)


def letter(offset, reason):
    record = Record(NEWS, offset, b"")
    return Entry(record, DeadLetter(record, reason, ""), 0.0)


def finished(entries, tokens=(), added=None, reason=Flush.WAIT):
    """Closed at 10 s, on the device from 11 to 13, written from 14 to 14.5."""
    batch = Gathered(entries, ["x" * count for count in tokens], reason, 10.0)
    return Finished(batch, 11.0, 13.0, 14.0, 14.5, NOON, added or Committed(len(entries)))


def test_a_batch_shows_its_counts_tokens_and_reason(served, port):
    metrics = made(tokens=100)
    served(metrics)

    entries = [entry(0, 9.0), entry(1, 9.5), letter(2, Reason.NOT_JSON)]
    metrics.finished(finished(entries, (30, 20), Committed(1, 1, 1), Flush.BUDGET))

    seen = scraped(port)
    assert seen["tapewatch_documents_total",] == 1
    assert seen["tapewatch_repeats_total",] == 1
    assert seen["tapewatch_dead_letters_total", "not_json"] == 1
    assert seen["tapewatch_flushes_total", "budget"] == 1
    assert seen["tapewatch_tokens_total",] == 50
    assert (seen["tapewatch_batch_records_sum",], seen["tapewatch_batch_records_count",]) == (3, 1)
    assert seen["tapewatch_batch_fill_sum",] == 0.5
    assert seen["tapewatch_tokens_per_second",] == 25


def test_a_batch_shows_how_long_each_stage_took(served, port):
    metrics = made()
    served(metrics)

    metrics.finished(finished([entry(0, 9.0), entry(1, 9.5)], (1, 1)))

    seen = scraped(port)
    times = {
        stage: (
            seen["tapewatch_stage_seconds_sum", stage],
            seen["tapewatch_stage_seconds_count", stage],
        )
        for stage in ("gather", "predict", "commit")
    }
    assert times == {"gather": (1.5, 2), "predict": (3, 1), "commit": (1.5, 1)}
    assert seen["tapewatch_busy_seconds_total", "predict"] == 2
    assert seen["tapewatch_busy_seconds_total", "commit"] == 0.5


def test_latency_counts_from_the_timestamp_of_the_record_where_there_is_one(served, port):
    metrics = made()
    served(metrics)

    metrics.finished(finished([entry(0, 9, 0.2), entry(1, 9), entry(2, 9, 2.0)], (1, 1, 1)))

    seen = scraped(port)
    assert seen["tapewatch_publish_to_commit_seconds_count",] == 2
    assert seen["tapewatch_publish_to_commit_seconds_sum",] == pytest.approx(2.2, abs=1e-3)
    assert seen["tapewatch_publish_to_commit_seconds_bucket", "0.3"] == 1
    assert seen["tapewatch_publish_to_commit_seconds_bucket", "2.5"] == 2


def test_a_publisher_whose_clock_is_ahead_makes_no_negative_latency(served, port):
    metrics = made()
    served(metrics)

    metrics.finished(finished([entry(0, 9, -5.0)], (1,)))

    assert scraped(port)["tapewatch_publish_to_commit_seconds_sum",] == 0


def test_lag_is_that_of_the_partitions_that_are_ours_now(served, port):
    metrics = made()
    served(metrics)

    metrics.lagging({NEWS: 7, Partition("comments", 0): 0})
    metrics.lagging({NEWS: 2})

    lags = {key: value for key, value in scraped(port).items() if key[0] == "tapewatch_lag_records"}
    assert lags == {("tapewatch_lag_records", "3", "news"): 2}


def test_depths_are_read_when_somebody_looks(served, port):
    metrics, depths = made(), {"tokenize": 0, "predict": 1, "commit": 0}
    metrics.watch(lambda: depths)
    served(metrics)

    first = scraped(port)["tapewatch_queued_batches", "predict"]
    depths["predict"] = 0

    assert (first, scraped(port)["tapewatch_queued_batches", "predict"]) == (1, 0)


@pytest.mark.parametrize(("ratio", "shown"), [(0.25, 0.25), (None, 0.0)])
def test_the_padding_ratio_is_shown_where_the_scorer_says_it(served, port, ratio, shown):
    metrics = made(ratio)
    served(metrics)

    metrics.finished(finished([entry(0, 9)], (1,)))

    assert scraped(port)["tapewatch_padding_ratio",] == shown


def test_nothing_is_served_unless_a_port_is_set(port):
    with serving(made(), Settings()), pytest.raises(OSError, match="refused"):
        scraped(port)


def test_afterwards_the_port_is_free_again(port):
    for _ in range(2):
        with serving(made(), Settings(metrics_port=port)):
            assert scraped(port)


def test_a_taken_port_is_an_error_that_names_the_setting(served, port):
    served(made())
    with (
        pytest.raises(MetricsPortError, match="TAPEWATCH_METRICS_PORT"),
        serving(made(), Settings(metrics_port=port)),
    ):
        pass


def table():
    """The rows of docs/operating.md as the metrics say them."""
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    collectors = made().registry._collector_to_names
    for collector in collectors:
        (family,) = collector.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows)


def test_the_page_lists_every_metric_as_it_is():
    assert table() in PAGE.read_text("utf-8"), f"put this into {PAGE.name}:\n{table()}"


def test_the_page_names_every_reason_for_a_flush():
    page = PAGE.read_text("utf-8")
    assert all(f"| `{reason}` |" in page for reason in Flush)


def test_latency_beyond_the_largest_bucket_still_counts(served, port):
    metrics = made()
    served(metrics)

    metrics.finished(finished([entry(0, 9, timedelta(days=3).total_seconds())], (1,)))

    seen = scraped(port)
    assert seen["tapewatch_publish_to_commit_seconds_bucket", "60.0"] == 0
    assert seen["tapewatch_publish_to_commit_seconds_bucket", "+Inf"] == 1
