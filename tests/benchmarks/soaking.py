"""An hour of looking on: does the page of a live run grow, flicker, or come too late?

Documents come in every second and an alert fires every half minute, while one browser looks on;
TAPEWATCH_BENCH_MINUTES says how long. Measured are the memory of the server and of the page, how
often the page was drawn anew instead of its live part, and how long an alert takes from its
commit until it is in sight, and until it is gone. The rest is as in ``looking``.
"""

import itertools
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

from looking import LOOKS, PATIENCE, filled, served, visit, wait_until_settled, watch
from measuring import summary
from playwright.sync_api import Page, WebSocket, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from support.browser import chromium
from year import MODEL, SOURCES, SYMBOLS

from classifier.labels import SENTIMENTS, TOPICS
from classifier.prediction import Prediction
from ingest.batch import ScoredBatch
from ingest.document import Document
from store.alertlog import EventRow, append_events
from store.commits import commit_batch
from store.database import Database
from store.preparing import prepare_batch
from store.runs import LIVE, Run, find_run

MINUTES = 60.0
A_SECOND = 10
"""Documents that come in; a year of 5 million has one in six seconds."""

_ALERT, _SAMPLE = 30.0, 15.0
"""Seconds between two alerts, and between two looks at memory; ``quick`` has a fifth of them."""

_MEBIBYTE = 2**20


@dataclass(slots=True)
class Seen:
    """What was measured so far; memory in MiB by seconds since the start."""

    server: list[tuple[float, float]] = field(default_factory=list)
    page: list[tuple[float, float]] = field(default_factory=list)
    elements: list[int] = field(default_factory=list)
    appeared: list[float] = field(default_factory=list)
    gone: list[float] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)
    redrawn: int = 0
    pace: float = 1.0


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001 - what bench.py calls
    """Look on for an hour, or for so many minutes as the environment says."""
    minutes = 0.2 if quick else float(os.environ.get("TAPEWATCH_BENCH_MINUTES", MINUTES))
    seen = Seen(pace=0.2 if quick else 1.0)
    with (
        filled(quick) as (folder, database),
        served(folder) as (address, process),
        chromium() as browser,
        visit(browser) as context,
        fed(database),
    ):
        page = context.new_page()
        page.on("websocket", lambda socket: _listen(socket, seen.runs))
        watch(page, LOOKS[0])
        page.goto(address + LOOKS[0].path)
        wait_until_settled(page)
        seen.runs.clear()
        _mark(page)
        _look_on(page, database, _server_of(process.number), minutes * 60, seen)
    return {
        "minutes": round(minutes, 1),
        "documents_a_second": A_SECOND,
        "server_mebibytes": _memory(seen.server),
        "page_mebibytes": _memory(seen.page),
        "page_elements": {"first": seen.elements[0], "last": seen.elements[-1]},
        "fragment_runs": seen.runs["fragment"],
        "whole_runs": seen.runs["whole"],
        "heatmap_drawn_anew": seen.redrawn,
        "seconds_until_an_alert_is_seen": summary(seen.appeared),
        "seconds_until_it_is_gone": summary(seen.gone),
    }


def _look_on(page: Page, database: Database, server: int, seconds: float, seen: Seen) -> None:
    with database.transaction() as connection:
        run = find_run(connection, LIVE)
    begun = time.monotonic()
    sample, alert = begun, begun + seen.pace * _ALERT / 3
    for number in itertools.count():
        now = time.monotonic()
        if now > begun + seconds:
            return
        if now >= sample:
            sample += seen.pace * _SAMPLE
            seen.server.append((now - begun, _resident(server)))
            seen.page.append((now - begun, _heap(page)))
            seen.elements.append(page.evaluate("document.querySelectorAll('*').length"))
            seen.redrawn += not _is_marked(page)
            print(f"{now - begun:.0f} s", seen.server[-1][1], seen.page[-1][1], file=sys.stderr)  # noqa: T201
        if now >= alert:
            alert += seen.pace * _ALERT
            seen.appeared.append(_until(page, database, run, number, "firing"))
            seen.gone.append(_until(page, database, run, number, "resolved"))
        page.wait_for_timeout(100)


def _until(page: Page, database: Database, run: Run, number: int, state: str) -> float:
    """Seconds from the commit of a change of an alert until the page shows it."""
    at = datetime.now(UTC)
    rule = f"soak-{number}"
    with database.transaction() as connection:
        append_events(connection, run.id, [_event(rule, state, at)])
    begun = time.monotonic()
    card = page.locator("[class*=st-key-alert-name-]").filter(has_text=f"{rule}")
    if state == "firing":
        expect(card).to_be_visible(timeout=1000 * PATIENCE)
    else:
        expect(card).to_have_count(0, timeout=1000 * PATIENCE)
    return time.monotonic() - begun


def _event(rule: str, state: str, at: datetime) -> EventRow:
    firing = state == "firing"
    return EventRow(
        rule=rule,
        key="Macro",
        scope="topic",
        at=at,
        previous="pending" if firing else "firing",
        state=state,
        reason="beyond_threshold" if firing else "cleared",
        severity=10,
        fired_at=at,
        value=0.9,
        documents=20,
        window_start=at - timedelta(hours=1),
        window_end=at,
    )


@contextmanager
def fed(database: Database) -> Iterator[None]:
    """Documents that come in every second, in a thread of their own."""
    ended = Event()
    with database.transaction() as connection:
        run = find_run(connection, LIVE)

    def feed() -> None:
        numbers = itertools.count()
        while not ended.wait(1.0):
            documents = [_document(n) for n in itertools.islice(numbers, A_SECOND)]
            predictions = [_prediction(n) for n in range(A_SECOND)]
            batch = prepare_batch(ScoredBatch(documents, predictions, [], []))
            with database.transaction() as connection:
                commit_batch(connection, run.id, batch)

    feeding = Thread(target=feed)
    feeding.start()
    try:
        yield
    finally:
        ended.set()
        feeding.join()


def _document(number: int) -> Document:
    return Document(
        id=f"soak-{time.time_ns()}-{number}",
        source=SOURCES[number % len(SOURCES)],
        kind="news" if number % 2 else "comment",
        published_at=datetime.now(UTC),
        title=f"What came in as number {number}",
        text="Shares fell after the bank cut its forecast for the year.",
        symbols=(SYMBOLS[number % len(SYMBOLS)],),
    )


def _prediction(number: int) -> Prediction:
    topic, sentiment = TOPICS[number % len(TOPICS)], SENTIMENTS[number % 3]
    return Prediction(
        {name: 10_000 if name == topic else 0 for name in TOPICS},
        {name: 8000 if name == sentiment else 1000 for name in SENTIMENTS},
        MODEL,
        5,
    )


def _listen(socket: WebSocket, runs: Counter[str]) -> None:
    """Count which runs of the script the server ends: of a fragment, or of all of it."""

    def received(payload: bytes | str) -> None:
        message = ForwardMsg()
        message.ParseFromString(payload if isinstance(payload, bytes) else payload.encode())
        if message.WhichOneof("type") == "script_finished":
            ended = message.script_finished
            live = ended == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY
            runs["fragment" if live else "whole"] += 1

    socket.on("framereceived", received)


_HEATMAP = "document.querySelector('[class*=st-key-heatmap] svg.marks')"


def _mark(page: Page) -> None:
    page.evaluate(f"{_HEATMAP}.dataset.kept = 'yes'")


def _is_marked(page: Page) -> bool:
    """Whether the drawing is the one that was marked; a new one is marked."""
    kept = page.evaluate(f"{_HEATMAP}?.dataset.kept === 'yes'")
    if not kept:
        page.locator("[class*=st-key-heatmap] svg.marks").wait_for(timeout=1000 * PATIENCE)
        _mark(page)
    return bool(kept)


def _heap(page: Page) -> float:
    """MiB of the page's own objects, once what is not needed is thrown away."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found = session.send("Performance.getMetrics")["metrics"]
    session.detach()
    return round(_named(found, "JSHeapUsedSize") / _MEBIBYTE, 1)


def _named(metrics: list[dict[str, Any]], name: str) -> float:
    return float(next(metric["value"] for metric in metrics if metric["name"] == name))


def _server_of(command: int) -> int:
    """The process of Streamlit, which the command has started."""
    (child, *_) = Path(f"/proc/{command}/task/{command}/children").read_text().split()
    return int(child)


def _resident(process: int) -> float:
    """MiB of memory that a process has now."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (kibibytes,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
    return round(int(kibibytes) / 1024, 1)


def _memory(samples: list[tuple[float, float]]) -> dict[str, float]:
    """The first, the middle and the last, and how much an hour adds by the later half of them."""
    values = [value for _, value in samples]
    later = samples[len(samples) // 2 :]
    slope = statistics.linear_regression(*zip(*later, strict=True)).slope if len(later) > 1 else 0.0
    return {
        "first": values[0],
        "middle": values[len(values) // 2],
        "last": values[-1],
        "most": max(values),
        "growth_an_hour_in_the_later_half": round(slope * 3600, 1),
    }
