"""A Chromium for the tests, driven by Playwright.

Taken from TAPEWATCH_TEST_CHROMIUM, else from the machine, else Playwright's own build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Error, Page, Playwright, expect, sync_playwright

HOW_TO_INSTALL = (
    "no Chromium starts: run `apt-get install chromium` or `playwright install chromium`, "
    "or set TAPEWATCH_TEST_CHROMIUM to one"
)

# Playwright itself starts Chromium without the sandbox, which root and most containers lack.
_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_START_SECONDS = 60


class ChromiumError(RuntimeError):
    """No Chromium could be started: the message says how to get one."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running Chromium; while it lives, this thread cannot run another asyncio loop."""
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def wait_for_idle(page: Page, patience: float) -> None:
    """Wait until the script of a page of ours stands still; ``patience`` in milliseconds."""
    idle = page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(idle).to_have_count(1, timeout=patience)


def find_chromium() -> str | None:
    """The Chromium that the environment names or the machine has."""
    named = os.environ.get("TAPEWATCH_TEST_CHROMIUM")
    return named or next(filter(_runs, map(shutil.which, _NAMES)), None)


def _runs(executable: str | None) -> bool:
    # Where Chromium is a snap that is not installed, a script of its name stands in for it.
    if not executable:
        return False
    try:
        done = subprocess.run(
            [executable, "--version"], capture_output=True, timeout=_START_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _launch(playwright: Playwright) -> Browser:
    try:
        return playwright.chromium.launch(
            executable_path=find_chromium(), args=_ARGUMENTS, timeout=_START_SECONDS * 1000
        )
    except Error as problem:
        raise ChromiumError(f"{HOW_TO_INSTALL}\n{problem}") from problem
