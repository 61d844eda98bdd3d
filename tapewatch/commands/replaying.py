"""``replay`` and ``demo``: a historical feed through the same code as live documents."""

import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from alerts.rules.ruleset import RuleSet
from alerts.telling.messages import line
from dashboard.launch import streamlit_arguments
from ingest.batch import Committed
from ingest.files import FeedFile
from store.alertlog import EventRow
from store.database import Database
from store.outbox import count_by_status
from store.runs import LIVE, Run, read_versions
from tapewatch import console
from tapewatch.commands.options import Device, Json, RulesFile
from tapewatch.database import open_database
from tapewatch.login import read_access
from tapewatch.settings import Settings
from tapewatch.weighing import weigh_replayed
from tapewatch.wiring import (
    Replay,
    ReplayReport,
    keep_loaded,
    open_model,
    open_run,
    read_rules,
)

PACKAGE = Path(__file__).resolve().parent.parent
DEMO_FEED = PACKAGE / "demo" / "feed.jsonl.gz"
DEMO_RULES = PACKAGE / "demo" / "rules.toml"
SERVER_SECONDS = 60
DASHBOARD_SERVER = "tapewatch.dashboard_server"
DASHBOARD_SCRIPT = PACKAGE / "dashboard_app.py"


def replay(  # noqa: PLR0913 - the options of the command
    feed: Annotated[Path, typer.Argument(help="JSONL, JSONL.gz, CSV, CSV.gz or Parquet.")],
    run: Annotated[
        str | None, typer.Option("--run", help="Name of the run; by default the file's.")
    ] = None,
    rules: RulesFile = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the run and begin again.")] = False,
    notify: Annotated[
        bool, typer.Option("--notify", help="Send the alerts to their receivers too.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Replay a historical feed into a run of its own; an interrupted replay goes on."""
    settings = Settings()
    FeedFile(feed)
    if run == LIVE:
        raise typer.BadParameter(f"the run {LIVE!r} is for Kafka; name another with --run")
    read = read_rules(settings, rules)
    with open_database(settings) as database:
        name = run or feed.name.split(".")[0]
        report = replay_into(
            database, settings, read, feed, name, device, fresh=fresh, notify=notify, quiet=as_json
        )
    show(report, as_json=as_json)


def demo(
    leave: Annotated[
        bool, typer.Option("--exit", help="Print a summary and exit, without the dashboard.")
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open the dashboard in a browser.")] = True,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Everything on this machine: a feed with a crisis planted in it, alerts, the dashboard."""
    settings = Settings()
    with open_database(settings) as database:
        report = replay_into(
            database,
            settings,
            read_rules(settings, DEMO_RULES),
            DEMO_FEED,
            "demo",
            device,
            fresh=True,
            quiet=as_json,
        )
        show(report, as_json=as_json)
        if not leave:
            with serving(settings, "demo", browser=browser) as server:
                wait_for(server)


def dashboard(
    browser: Annotated[bool, typer.Option(help="Open the dashboard in a browser.")] = False,
) -> None:
    """Serve the dashboard."""
    settings = Settings()
    with open_database(settings), serving(settings, None, browser=browser) as server:
        wait_for(server)


def replay_into(  # noqa: PLR0913 - a replay is made of these
    database: Database,
    settings: Settings,
    rules: RuleSet,
    feed: Path,
    name: str,
    device: str,
    *,
    fresh: bool = False,
    notify: bool = False,
    quiet: bool = False,
) -> ReplayReport:
    """Replay ``feed`` into the run ``name`` under a progress bar, printing alerts as they fire."""
    run = open_run(database, name, feed.name, fresh=fresh)
    lines = console.messages if quiet else console.output
    with console.progress_bar() as progress:
        task = progress.add_task("Loading the model", total=1.0, detail="")
        engine = open_model(settings, device)
        keep_loaded()
        _tell_other_weights(database, run, engine.version)
        progress.update(task, description=f"Replaying {feed.name}")

        def on_event(event: EventRow) -> None:
            if event.state in ("firing", "resolved"):
                lines.print(line(event))

        def on_progress(share: float, done: Committed) -> None:
            progress.update(task, completed=share, detail=f"{done.documents:,} documents")

        report = Replay(
            database, engine, rules, settings, run, feed, notify, on_event, on_progress
        ).go()
        progress.update(task, description="Weighing words")
        weigh_replayed(database, run, settings, engine)
        progress.update(task, description=f"Replaying {feed.name}", completed=1.0)
    if notify:
        with database.transaction() as connection:
            waiting = count_by_status(connection).get("pending", 0)
        console.messages.print(f"{waiting} notifications wait for `tapewatch alerter` to send them")
    return report


def _tell_other_weights(database: Database, run: Run, version: str) -> None:
    """A run that was begun with other weights goes on, but not without a word."""
    with database.transaction() as connection:
        others = [known for known in read_versions(connection, run.id) if known != version]
    if others:
        console.messages.print(
            f"{run.name} has documents scored by {', '.join(others)}; what is new is scored by "
            f"{version}: --fresh begins again, `tapewatch rescore` scores the old ones anew"
        )


def show(report: ReplayReport, *, as_json: bool) -> None:
    """The summary of a replay."""
    if as_json:
        console.print_json(asdict(report))
        return
    console.output.print(
        f"Run {report.run}: {report.documents:,} documents, {report.repeats:,} repeats, "
        f"{report.dead_letters:,} dead letters, {len(report.alerts)} alerts; "
        f"{report.documents_per_second:,.0f} documents/s over {report.seconds:.1f} s"
    )
    if report.alerts:
        console.print_alerts(report.alerts)


@contextmanager
def serving(
    settings: Settings, run: str | None, *, browser: bool
) -> Iterator["subprocess.Popen[bytes]"]:
    """The dashboard's server, stopped at the end."""
    address, port = settings.dashboard_address, settings.dashboard_port
    read_access(settings)  # what is wrong with it is said here, and not on a page
    arguments = streamlit_arguments(address, port, settings.dashboard_login)
    command = [sys.executable, "-m", DASHBOARD_SERVER, "run", str(DASHBOARD_SCRIPT), *arguments]
    server = subprocess.Popen(command)  # noqa: S603 - our own arguments
    url = f"http://{address}:{port}/" + (f"?run={run}" if run else "")
    try:
        if _is_up(server, address, port):
            console.output.print(f"The dashboard is at {url} (Ctrl+C ends it)")
            if browser:
                webbrowser.open(url)
        yield server
    finally:
        server.terminate()
        server.wait(timeout=10)


def _is_up(server: "subprocess.Popen[bytes]", address: str, port: int) -> bool:
    """Wait until the server takes connections; False if it ends or takes too long."""
    deadline = time.monotonic() + SERVER_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((address, port), timeout=1):
            return True
        time.sleep(0.1)
    return False


def wait_for(server: "subprocess.Popen[bytes]") -> None:
    """Wait until the server ends, somebody presses Ctrl+C or the process is told to end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while server.poll() is None:
            time.sleep(0.2)
    except KeyboardInterrupt:
        return
    if server.returncode:
        raise typer.Exit(server.returncode)
