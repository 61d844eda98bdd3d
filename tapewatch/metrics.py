"""A worker's figures for Prometheus: an observer of the pipeline, and the page it is scraped from.

Counters and histograms are this process' own and begin anew with it; a document is counted when
it is committed. docs/operating.md lists the metrics; a test keeps the two the same.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from ingest.batch import Partition
from ingest.document import Document
from ingest.gathering import Limits
from ingest.observing import Finished
from tapewatch.settings import Settings

log = structlog.get_logger(__name__)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60)
_RECORDS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class MetricsPortError(RuntimeError):
    """The port for metrics cannot be had; the message says which setting names it."""


class Metrics:
    """The observer that counts. ``registry`` holds what a scrape shows."""

    def __init__(self, limits: Limits, padding_ratio: Callable[[], float | None]) -> None:
        self.registry = CollectorRegistry()
        self._limits = limits
        self._padding_ratio = padding_ratio
        self._make_counters()
        self._make_histograms()
        self._make_gauges()

    def watch(self, depths: Callable[[], Mapping[str, int]]) -> None:
        """Ask for the depths of the hand-overs at each scrape."""

        def depth(stage: str) -> Callable[[], float]:
            return lambda: depths().get(stage, 0)

        for stage in ("tokenize", "predict", "prepare", "commit"):
            self._queued.labels(stage).set_function(depth(stage))

    def finished(self, batch: Finished) -> None:
        """Count a committed batch."""
        gathered, added = batch.batch, batch.added
        documents = [entry for entry in gathered.entries if isinstance(entry.content, Document)]
        self._documents.inc(added.documents)
        self._repeats.inc(added.repeats)
        for letter in gathered.dead_letters:
            self._dead_letters.labels(str(letter.reason)).inc()
        self._flushes.labels(str(gathered.reason)).inc()
        self._records.observe(len(gathered.entries))
        tokens = gathered.tokens
        self._tokens.inc(tokens)
        self._fill.observe(tokens / self._limits.tokens)
        for entry in documents:
            self._gathering.observe(gathered.closed - entry.polled)
            if entry.record.timestamp is not None:
                passed = batch.committed_at.timestamp() - entry.record.timestamp
                self._publish_to_commit.observe(max(0.0, passed))
        self._predicting.observe(batch.scored - gathered.closed)
        self._committing.observe(batch.committed - batch.scored)
        self._busy.labels("predict").inc(batch.scored - batch.predicting)
        self._busy.labels("commit").inc(batch.committed - batch.committing)
        self._observe_device(tokens, batch.scored - batch.predicting)

    def lagging(self, records: Mapping[Partition, int]) -> None:
        """Take in how far behind each partition is; those that went are forgotten."""
        self._lag.clear()
        for partition, lag in records.items():
            self._lag.labels(partition.source, str(partition.number)).set(lag)

    def _observe_device(self, tokens: int, seconds: float) -> None:
        if tokens and seconds > 0:
            self._tokens_per_second.set(tokens / seconds)
        padding = self._padding_ratio()
        if padding is not None:
            self._padding.set(padding)

    def _make_counters(self) -> None:
        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"tapewatch_{name}", meaning, labels, registry=self.registry)

        self._documents = counter("documents", "documents committed that were new")
        self._repeats = counter("repeats", "documents committed that were known already")
        self._dead_letters = counter("dead_letters", "dead letters committed", "reason")
        self._tokens = counter("tokens", "tokens of committed documents, without padding")
        self._flushes = counter("flushes", "batches committed, by why they were closed", "reason")
        self._busy = counter("busy_seconds", "seconds in which a stage was at work", "stage")

    def _make_histograms(self) -> None:
        def histogram(
            name: str, meaning: str, buckets: tuple[float, ...], *labels: str
        ) -> Histogram:
            return Histogram(
                f"tapewatch_{name}", meaning, labels, registry=self.registry, buckets=buckets
            )

        stages = histogram(
            "stage_seconds",
            "from one stamp to the next: `gather` polled to batched (per document), "
            "`predict` batched to scored, `commit` scored to committed (per batch)",
            _SECONDS,
            "stage",
        )
        self._gathering = stages.labels("gather")
        self._predicting = stages.labels("predict")
        self._committing = stages.labels("commit")
        self._publish_to_commit = histogram(
            "publish_to_commit_seconds",
            "from a record's timestamp in Kafka to its commit in PostgreSQL (per document)",
            _SECONDS,
        )
        self._records = histogram("batch_records", "records of a batch", _RECORDS)
        self._fill = histogram("batch_fill", "tokens of a batch over the budget", _SHARES)

    def _make_gauges(self) -> None:
        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"tapewatch_{name}", meaning, labels, registry=self.registry)

        self._tokens_per_second = gauge(
            "tokens_per_second", "tokens of the last batch over its time on the device"
        )
        self._padding = gauge("padding_ratio", "share of padding in what the device was given last")
        self._queued = gauge("queued_batches", "batches that wait for a stage, 0 or 1", "stage")
        self._lag = gauge(
            "lag_records", "records published and not yet committed", "source", "partition"
        )


@contextmanager
def serving(metrics: Metrics, settings: Settings) -> Iterator[None]:
    """Serve the metrics at the address of the settings; with port 0 nothing is served.

    Raises MetricsPortError.
    """
    if not settings.metrics_port:
        yield
        return
    address = f"{settings.metrics_address}:{settings.metrics_port}"
    try:
        server, thread = start_http_server(
            settings.metrics_port, settings.metrics_address, metrics.registry
        )
    except OSError as error:
        raise MetricsPortError(
            f"metrics cannot be served at {address}: {error}; TAPEWATCH_METRICS_PORT names "
            "another port, 0 none"
        ) from error
    log.info("metrics_served", at=f"http://{address}/metrics")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
