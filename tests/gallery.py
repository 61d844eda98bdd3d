"""Makes the pictures of docs/gallery.md: the demo's feed, the dashboard as it is served, a browser.

`make gallery` plays the feed into an embedded PostgreSQL of its own and writes docs/images/ anew.
`python tests/gallery.py now alerts` makes some of the pictures only.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

if __name__ == "__main__":
    # The packages first: beside them, the folders of their tests would pass for them.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image
from playwright.sync_api import Browser, Page, expect
from support.browser import chromium, wait_for_idle
from support.commands import running, tapewatch
from support.dashboard import free_port

from alerts.common.links import alert_id

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
MOST_BYTES = 1_500_000
"""Of all pictures together: who clones the repository fetches them too."""

WIDE, PHONE = 1440, 390
_TALL = 4000
"""So high that all of a page is in sight: what is not, Streamlit leaves undrawn."""

_COLOURS = 256
_PATIENCE = 120_000
_REST = 1_500
"""Milliseconds: charts and tables are drawn a little after the page says that it is done."""

_STRICTER = b"""
[[rules]]
name = "symbol-turns-negative"
metric = "negative_share"
scope = "symbol"
window = "1h"
min_documents = 20
threshold = 0.8
clear = 0.4
for = "10m"
severity = 8
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: an address of the dashboard, what is done there, and what must be seen then."""

    name: str
    path: str
    query: dict[str, str]
    sees: str
    act: Callable[[Page], None] | None = None
    width: int = WIDE
    height: int = 1300
    """Pixels at most; a shorter page makes a shorter picture."""

    scheme: str = "light"

    @property
    def file(self) -> Path:
        """Where it lies."""
        return IMAGES / f"{self.name}.png"


def _say_why(page: Page) -> None:
    page.get_by_text("Why it fired").first.click()
    table = page.locator("[class*=st-key-why-] [data-testid=stDataFrame]")
    expect(table.first).to_be_visible(timeout=_PATIENCE)


def _open_document(page: Page) -> None:
    table = page.locator("[class*=st-key-found-] [data-testid=stDataFrame]")
    table.click(position={"x": 18, "y": 52})
    expect(page.locator(".st-key-document")).to_be_visible(timeout=_PATIENCE)


def _compare(page: Page) -> None:
    file = {"name": "stricter.toml", "mimeType": "text/plain", "buffer": _STRICTER}
    page.locator(".st-key-file-b input[type=file]").set_input_files(file)
    expect(page.get_by_text("stricter.toml: 1 rule")).to_be_visible(timeout=_PATIENCE)
    page.get_by_role("button", name="Compare on this run").click()
    heading = page.get_by_role("heading", name=re.compile("^Only [AB] fired"))
    expect(heading.first).to_be_visible(timeout=_PATIENCE)


_BANK = {"subject": "symbol:MHBK"}
_ALERT = {"alert": alert_id("demo", "symbol-turns-negative", "MHBK")}
_SCARE = {"at": "2026-03-11T15:30Z"}

PICTURES = (
    Picture("dashboard", "", {}, "Firing alerts", height=1150),
    Picture("dashboard-dark", "", {}, "Firing alerts", scheme="dark", height=1150),
    Picture("dashboard-phone", "", {}, "Firing alerts", width=PHONE, height=1500),
    Picture("subject", "subject", {**_BANK, "against": "symbol:CPLB"}, "Download", height=1500),
    Picture("alert", "alerts", _ALERT, "Who did what", act=_say_why, height=2050),
    Picture("alert-phone", "alerts", _ALERT, "Who did what", width=PHONE, height=1500),
    Picture(
        "documents", "documents", {"words": "liquidity", "symbol": "MHBK"}, "texts",
        act=_open_document, height=1650,
    ),
    Picture("playback", "replays", {**_SCARE, "part": "play"}, "Firing alerts"),
    Picture("comparison", "replays", {"part": "compare"}, "Rules A", act=_compare, height=1500),
    Picture("model", "model", {}, "Reliability", height=1500),
    Picture("model-dark", "model", {}, "Reliability", scheme="dark"),
    Picture("system", "system", {}, "Storage", height=1400),
)  # fmt: skip


def take(browser: Browser, address: str, picture: Picture) -> bytes:
    """A picture of the page as PNG, cut below its end."""
    viewport = {"width": picture.width, "height": _TALL}
    context = browser.new_context(viewport=viewport, color_scheme=picture.scheme)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.set_default_timeout(_PATIENCE)
        page.goto(f"{address}{picture.path}?{urlencode({'run': 'demo', **picture.query})}")
        expect(page.get_by_text(picture.sees).first).to_be_visible(timeout=_PATIENCE)
        _settle(page)
        if picture.act:
            picture.act(page)
            _settle(page)
        page.mouse.move(0, 0)
        box = page.get_by_test_id("stMainBlockContainer").bounding_box()
        assert box is not None
        height = min(picture.height, int(box["y"] + box["height"]))
        clip = {"x": 0, "y": 0, "width": picture.width, "height": height}
        return page.screenshot(clip=clip)  # type: ignore[arg-type]
    finally:
        context.close()


def compress(taken: bytes) -> bytes:
    """The same picture in few colours: a page has not many, and the file is a third."""
    image = Image.open(io.BytesIO(taken)).convert("RGB")
    written = io.BytesIO()
    # By coverage: the usual way gives rare colours up, and a red that is rare is what to look at.
    few = image.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(written, "PNG", optimize=True)
    return written.getvalue()


@contextmanager
def demo() -> Iterator[str]:
    """The address of a dashboard on a database that holds the demo's run and nothing else."""
    with TemporaryDirectory(prefix="tapewatch-gallery-", ignore_cleanup_errors=True) as folder:
        tapewatch("demo", "--exit", data_dir=folder, seconds=900)
        port = free_port()
        with running("dashboard", data_dir=folder, dashboard_port=port) as server:
            server.wait_for("The dashboard is at")
            yield f"http://127.0.0.1:{port}/"
            server.stop()


def main(names: Sequence[str]) -> None:
    """Make the named pictures, or all."""
    known = [picture.name for picture in PICTURES]
    if unknown := sorted({*names} - {*known}):
        sys.exit(f"there is no picture {', '.join(unknown)}; pictures: {', '.join(known)}")
    IMAGES.mkdir(exist_ok=True)
    with demo() as address, chromium() as browser:
        for picture in PICTURES:
            if not names or picture.name in names:
                picture.file.write_bytes(compress(take(browser, address, picture)))
                sys.stdout.write(f"{picture.file.name}: {picture.file.stat().st_size:,} bytes\n")


def _settle(page: Page) -> None:
    wait_for_idle(page, _PATIENCE)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=_PATIENCE)
    page.wait_for_timeout(_REST)


if __name__ == "__main__":
    main(sys.argv[1:])
