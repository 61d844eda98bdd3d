"""How long the dashboard takes to show a year: each page in a real Chromium, and what it asks.

The year is ``year``'s, in a folder that is removed, unless TAPEWATCH_BENCH_DATA names one to keep.
Not called ``dashboard``: from this folder that would hide the package.

``painted`` is from the click on a link until what the page is about is in sight: of Now the
figures, the firing alerts and the heatmap, of others all that is large. ``settled``, until
everything is drawn and the script stands still; ``processors``, what browser, server and database
have taken of all processors until then, which a busy machine stretches less. Cold: by a server
that has just been started, to a browser that has loaded nothing. Warm: by one that has drawn pages
before, to a browser that has its scripts; what the server keeps for some seconds has run out. A
refresh is what a live page does every three seconds: its statements are counted and timed as the
client sees them, with nothing kept.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measuring import summary
from playwright.sync_api import Browser, BrowserContext, Page
from refreshing import refreshed
from spending import postmaster, spent
from support.browser import chromium
from support.commands import Running, running
from support.metrics import free_port
from year import Year, year_in

from store.database import Database
from store.health import read_table_sizes

PATIENCE = 120.0
ROUNDS = (3, 7)
"""Looks of each kind: cold and warm ones."""

_EXPIRY = 2.5
"""Seconds after which the server has forgotten what it keeps for a refresh."""

_VIEWPORT = {"width": 1440, "height": 3200}
"""So high that all of a page is in sight: what is not, Streamlit leaves undrawn."""


@dataclass(frozen=True, slots=True)
class Look:
    """A page as a link opens it. ``sight``: selectors of what must be seen for it to be painted.

    ``rest``: of what must be seen too for it to be settled. ``draws`` names the function that
    draws it; it is given the database and Nones.
    """

    page: str
    span: str
    draws: str
    sight: tuple[str, ...]
    query: str
    rest: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The page's part of the address."""
        return f"{'' if self.page == 'now' else self.page}?{self.query}"


_GLANCE = (".st-key-status", ".st-key-alert-card-0", "[class*=st-key-heatmap] svg.marks")
_BELOW = (
    ".st-key-treemap svg.marks",
    ".st-key-timeline > :nth-last-child(2) svg.marks",  # behind it is what is said of it
    "[class*=st-key-documents-] canvas",
)
_SPANS = ("24h", "3d", "all")
LOOKS = (
    *(
        Look(
            "now", span, "dashboard.now.page:show_now", _GLANCE, f"run=live&span={span}", _BELOW
        )
        for span in _SPANS
    ),
    Look(
        "now", "all, one symbol", "dashboard.now.page:show_now", _GLANCE,
        "run=live&span=all&subject=symbol:T00", _BELOW,
    ),
    *(
        Look(
            "documents", span, "dashboard.documents.page:show_documents_page",
            ("[class*=st-key-found-] canvas",), f"run=live&span={span}",
        )
        for span in _SPANS
    ),
    Look(
        "documents", "all, with words", "dashboard.documents.page:show_documents_page",
        ("[class*=st-key-found-] canvas",), "run=live&span=all&words=downgrade",
    ),
    *(
        Look(
            "subject", span, "dashboard.subject.page:show_subject_page",
            (".stVegaLiteChart svg.marks", "[data-testid=stDataFrame] canvas"),
            f"run=live&span={span}&subject=symbol:T00",
        )
        for span in _SPANS
    ),
    Look(
        "alerts", "30 days", "dashboard.alerts.page:show_alerts_page",
        (".stVegaLiteChart svg.marks", "[data-testid=stDataFrame] canvas"), "run=live&within=30d",
    ),
    Look(
        "replays", "24h", "dashboard.replays.page:show_replays",
        (".stVegaLiteChart svg.marks", "[data-testid=stDataFrame] canvas"), "run=live&span=24h",
    ),
    Look(
        "model", "all", "dashboard.model.page:show_model",
        (".stVegaLiteChart svg.marks",), "run=live",
    ),
    Look(
        "system", "7 days", "dashboard.system.page:show_system",
        (".stVegaLiteChart svg.marks", "[data-testid=stDataFrame] canvas"), "run=live",
    ),
)  # fmt: skip
"""What is measured. A new page is a line here."""

# Each frame, since a page in the background is drawn by nobody else.
_WATCH = """
(() => {
  const [sight, rest] = %s;
  const seen = (selector) => [...document.querySelectorAll(selector)].some(
    (element) => element.getClientRects().length && element.checkVisibility());
  const idle = "[data-testid=stApp][data-test-script-state=notRunning]";
  const look = () => {
    const painted = sight.every(seen);
    if (painted && !window.painted) window.painted = performance.now();
    const drawn = painted && rest.every(seen) && document.querySelector(idle);
    if (drawn) window.settled = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()
"""


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001 - what bench.py calls
    """Milliseconds of each page by span, and what a refresh of it asks."""
    looks = LOOKS[:1] if quick else LOOKS
    cold, warm = (1, 1) if quick else ROUNDS
    with filled(quick) as (folder, database), chromium() as browser:
        load = [os.getloadavg()[0]]
        results = [
            {
                "page": look.page,
                "span": look.span,
                "cold": _cold(folder, browser, look, cold),
                "warm": warmed,
                "refresh": refreshed(database, look.draws, look.query, warm),
            }
            for look, warmed in _warm(folder, browser, looks, warm)
        ]
        held = _held(database)
        load.append(os.getloadavg()[0])
    return {
        "rounds": {"cold": cold, "warm": warm},
        "held": held,
        "load_of_the_machine": [round(each, 1) for each in load],
        "looks": results,
    }


@contextmanager
def filled(quick: bool) -> Iterator[tuple[Path, Database]]:  # noqa: FBT001 - as in ``run``
    """The data folder with the year in it, and its database."""
    kept = os.environ.get("TAPEWATCH_BENCH_DATA")
    folder = Path(kept or tempfile.mkdtemp(prefix="tapewatch-bench-"))
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    year = Year(end, documents=20_000, days=10, firings=24) if quick else Year(end)
    try:
        with year_in(folder, year) as database:
            yield folder, database
    finally:
        if not kept:
            shutil.rmtree(folder)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, Running]]:
    """The address of a dashboard that was just started, and its process."""
    port = free_port()
    with running("dashboard", data_dir=folder, dashboard_port=port) as process:
        process.wait_for("The dashboard is at", PATIENCE)
        yield f"http://127.0.0.1:{port}/", process
        process.stop()


def _cold(folder: Path, browser: Browser, look: Look, rounds: int) -> dict[str, Any]:
    found = []
    for _ in range(rounds):
        with served(folder) as (address, _), visit(browser) as context:
            found.append(_look(folder, context, address, look))
    return _told(look, "cold", found)


def _warm(
    folder: Path, browser: Browser, looks: Sequence[Look], rounds: int
) -> Iterator[tuple[Look, dict[str, Any]]]:
    """Round after round all looks in turn, so that what is kept for longer has run out too."""
    found: dict[Look, list[tuple[float, ...]]] = {look: [] for look in looks}
    with served(folder) as (address, _), visit(browser) as context:
        for turn in range(rounds + 1):
            for look in looks:
                time.sleep(_EXPIRY)
                times = _look(folder, context, address, look)
                print(look.page, look.span, turn, times, file=sys.stderr, flush=True)  # noqa: T201
                if turn:
                    found[look].append(times)
    for look, times in found.items():
        yield look, _told(look, "warm", times)


def _look(folder: Path, context: BrowserContext, address: str, look: Look) -> tuple[float, ...]:
    """Milliseconds until the page is painted and until it is settled, and of processors."""
    everybody = (os.getpid(), postmaster(folder))
    page = context.new_page()
    watch(page, look)
    before = spent(everybody)
    page.goto(address + look.path)
    wait_until_settled(page)
    processors = 1000 * (spent(everybody) - before)
    painted, settled = page.evaluate("[window.painted, window.settled]")
    page.close()
    return painted, settled, processors


def watch(page: Page, look: Look) -> None:
    """Have the page note by itself when it is painted and when it is settled."""
    page.add_init_script(_WATCH % json.dumps([look.sight, look.rest]))


def wait_until_settled(page: Page) -> None:
    """Until all that was looked for is drawn and the script stands still."""
    page.wait_for_function("window.settled", timeout=1000 * PATIENCE)


@contextmanager
def visit(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has loaded nothing yet."""
    context = browser.new_context(viewport=_VIEWPORT)
    try:
        yield context
    finally:
        context.close()


def _held(database: Database) -> dict[str, int]:
    """What the database holds, as its statistics have it."""
    with database.transaction() as connection:
        sizes = read_table_sizes(connection)
    return {size.name: size.rows for size in sizes if size.rows}


def _told(look: Look, how: str, found: Sequence[tuple[float, ...]]) -> dict[str, Any]:
    names = ("painted", "settled", "processors")
    told = {name: summary(of) for name, of in zip(names, zip(*found, strict=True), strict=True)}
    print(look.page, look.span, how, told, file=sys.stderr, flush=True)  # noqa: T201
    return told
