"""``prune``: forgets what a run holds that is older than it need be."""

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from alerts.rules.ruleset import duration
from store.runs import LIVE
from tapewatch import console
from tapewatch.commands.options import Json, RulesFile, RunName
from tapewatch.database import open_database
from tapewatch.pruning import Age, Plan, Prune, Pruned, count_old, plan_prune
from tapewatch.settings import Settings
from tapewatch.wiring import existing_run, read_rules


def _age(text: str) -> timedelta:
    try:
        found = duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if found <= timedelta(0):
        raise typer.BadParameter("an age is longer than nothing")
    return found


def prune(  # noqa: PLR0913 - the options of the command
    older_than: Annotated[
        timedelta, typer.Option("--older-than", parser=_age, metavar="AGE", help="Such as 90d.")
    ],
    run: RunName = LIVE,
    hours_older_than: Annotated[
        timedelta | None,
        typer.Option(
            "--hours-older-than",
            parser=_age,
            metavar="AGE",
            help="Delete hour buckets of that age too; by default all are kept.",
        ),
    ] = None,
    rules: RulesFile = None,
    batch: Annotated[int, typer.Option(min=1, max=100_000, help="Rows deleted at once.")] = 2000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a run's documents and minute buckets of an age; what was corrected stays."""
    settings = Settings()
    reach = max((rule.reach for rule in read_rules(settings, rules).rules), default=timedelta(0))
    begun = time.monotonic()
    with open_database(settings, "tapewatch-prune") as database, console.progress_bar() as progress:
        found = existing_run(database, run)
        task = progress.add_task(f"Pruning {run}", total=None, detail="")
        age = Age(older_than, hours_older_than)
        plan = plan_prune(database, found, age, reach, datetime.now(UTC))
        counts: dict[str, Any] = asdict(Pruned())
        if plan is not None:
            old = count_old(database, found, plan)

            def on_progress(done: Pruned) -> None:
                detail = f"{done.documents:,} of {old.documents:,} documents"
                progress.update(task, completed=done.steps, total=old.steps, detail=detail)

            if dry_run:
                counts = asdict(old)
            else:
                counts = asdict(Prune(database, found, plan, batch, on_progress).go())
    report = _report(run, plan, counts, dry_run=dry_run)
    report["seconds"] = round(time.monotonic() - begun, 2)
    if as_json:
        console.print_json(report)
    else:
        console.output.print(_told(report))


def _report(
    run: str, plan: Plan | None, counts: dict[str, Any], *, dry_run: bool
) -> dict[str, Any]:
    return {
        "run": run,
        "dry_run": dry_run,
        "before": plan and plan.cutoff.before.isoformat(),
        "held_by": plan and plan.cutoff.held_by.value,
        "hours_before": plan and plan.hours_before and plan.hours_before.isoformat(),
        **counts,
    }


def _told(report: dict[str, Any]) -> str:
    if report["before"] is None:
        return f"Run {report['run']} holds no document yet."
    verb = "would go" if report["dry_run"] else "deleted"
    held = report["held_by"]
    limit = "" if held == "age" else f" (not later: {held.replace('_', ' ')})"
    return (
        f"Run {report['run']}, before {report['before']}{limit}: "
        f"{report['documents']:,} documents {verb}, {report['kept_corrected']:,} corrected ones "
        f"stay; {report['minute_buckets']:,} minute buckets, {report['hour_buckets']:,} hour "
        f"buckets, {report['day_buckets']:,} day buckets, {report['dead_letters']:,} dead letters "
        f"{verb}; {report['seconds']:.1f} s"
    )
