"""``status``, ``digest`` and ``migrate``: what the store holds."""

from dataclasses import asdict
from datetime import datetime

from store import runs
from store.buckets import counted_documents, span
from store.digest import digest as digest_of
from store.outbox import count_by_status
from store.reader import READER
from store.runs import LIVE, find_run
from tapewatch import console
from tapewatch.commands.options import Json, RunName
from tapewatch.database import make_reader_of, open_database
from tapewatch.settings import Settings


def status(as_json: Json = False) -> None:
    """List the runs and how far they are."""
    with open_database(Settings()) as database, database.transaction() as connection:
        rows = []
        for run in runs.list_runs(connection):
            counted = runs.read_counters(connection, run.id)
            extent = span(connection, run.id)
            rows.append(
                {
                    "run": run.name,
                    "feed": run.feed,
                    **asdict(counted),
                    "first": extent and extent[0],
                    "last": extent and extent[1],
                    "evaluated_until": run.evaluated_until,
                    "finished_at": run.finished_at,
                    "documents_from": run.documents_from,
                }
            )
        notifications = count_by_status(connection)
    if as_json:
        console.print_json({"runs": rows, "notifications": notifications})
    elif rows:
        columns = ("run", "documents", "repeats", "dead_letters", "first", "last", "finished_at")
        shown = [[_readable(row[name]) for name in columns] for row in rows]
        console.print_table("Runs (UTC)", columns, shown)
        console.output.print(f"Notifications: {notifications or 'none'}")
    else:
        console.output.print("No runs yet: try `tapewatch demo` or `tapewatch replay FEED`.")


def _readable(value: object) -> object:
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else value


def digest(run: RunName = LIVE, as_json: Json = False) -> None:
    """Hash a run's documents, buckets and alerts in a fixed order."""
    with open_database(Settings()) as database, database.transaction() as connection:
        found = find_run(connection, run)
        parts = digest_of(connection, found.id)
        counted = counted_documents(connection, found.id)
    if as_json:
        console.print_json({"name": run, "counted_documents": counted, **parts})
    else:
        console.output.print(parts["run"])


def migrate() -> None:
    """Bring the database's schema up to date, and make the role that may only read."""
    settings = Settings()
    with open_database(settings) as database:
        console.output.print("The schema is up to date.")
        if make_reader_of(database, settings):
            console.output.print(f"The role {READER} may read, and no more.")
