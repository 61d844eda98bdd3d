"""``rules``: is a rules file right, and what thresholds would have told as often as wished."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from alerts.backtest.history import whole_span
from alerts.backtest.suggestion import Suggestion, suggest
from alerts.rules.kinds import AnyRule
from alerts.rules.wording import condition, length
from store.runs import LIVE
from tapewatch import console
from tapewatch.commands.options import Json, RulesFile, RunName
from tapewatch.database import open_database
from tapewatch.settings import Settings
from tapewatch.wiring import existing_run, read_rules

app = typer.Typer(
    help="Check a rules file, and find thresholds that tell as often as you wish.",
    no_args_is_help=True,
)

_SHOWN_KEYS = 8

RulesArgument = Annotated[
    Path | None, typer.Argument(help="Rules file; by default that of TAPEWATCH_RULES.")
]


@app.command()
def check(file: RulesArgument = None, as_json: Json = False) -> None:
    """Read a rules file as the alerter would; a mistake is told with its line."""
    settings = Settings()
    read = read_rules(settings, file)
    rules = [_plain(rule) for rule in read.rules]
    receivers = [receiver.name for receiver in read.receivers]
    path = str(file or settings.rules)
    if as_json:
        console.print_json({"file": path, "rules": rules, "receivers": receivers})
        return
    columns = ("rule", "type", "scope", "keys", "fires when", "window", "every", "for", "severity")
    shown = [_shown(rule) for rule in read.rules]
    console.print_table("Rules", columns, shown)
    console.output.print(
        f"{path} is right: {len(rules)} rules, {len(receivers)} receivers ({', '.join(receivers)})"
    )


@app.command("suggest")
def suggest_thresholds(
    alerts_per_week: Annotated[
        float,
        typer.Option("--alerts-per-week", min=0.0, help="How many alerts a rule may tell a week."),
    ],
    run: RunName = LIVE,
    rules: RulesFile = None,
    as_json: Json = False,
) -> None:
    """Find, on a run's history, the threshold of each rule that would have told that often."""
    settings = Settings()
    read = read_rules(settings, rules)
    begun = time.monotonic()
    with open_database(settings, "tapewatch-suggest") as database:
        found = existing_run(database, run)
        with database.transaction() as connection:
            span = whole_span(connection, found.id)
        if span is None:
            console.output.print(f"Run {run} holds no document yet: replay a feed into it first.")
            raise typer.Exit(1)
        with console.progress_bar() as progress:
            task = progress.add_task(f"Trying thresholds on {run}", total=None, detail="")

            def on_progress(done: int, steps: int) -> None:
                progress.update(task, completed=done, total=steps)

            made = suggest(database, found.id, read, span, alerts_per_week, on_progress)
    rows = [_suggested(suggestion) for suggestion in made]
    if as_json:
        console.print_json(
            {
                "run": run,
                "start": span.after.isoformat(),
                "end": span.until.isoformat(),
                "alerts_per_week": alerts_per_week,
                "rules": rows,
                "seconds": round(time.monotonic() - begun, 2),
            }
        )
        return
    columns = ("rule", "threshold", "alerts a week", "suggested", "clear", "alerts a week")
    shown = [
        (r["rule"], r["threshold"], r["alerts_per_week"], r["suggested"], r["suggested_clear"],
         r["suggested_alerts_per_week"])
        for r in rows
    ]  # fmt: skip
    weeks = (span.until - span.after) / timedelta(days=7)
    console.print_table(f"At most {alerts_per_week:g} alerts a week of each rule", columns, shown)
    for row in rows:
        if (row["suggested_alerts_per_week"] or 0.0) > alerts_per_week:
            console.output.print(
                f"{row['rule']}: no threshold tells so seldom; a longer `for` or more "
                "`min_documents` may"
            )
    console.output.print(
        f"Counted on run {run}, {weeks:.1f} weeks; what comes may be otherwise. "
        "`tapewatch backtest` shows the alerts themselves."
    )


def _suggested(suggestion: Suggestion) -> dict[str, Any]:
    chosen, rate = suggestion.suggested, suggestion.per_week
    return {
        "rule": suggestion.rule.name,
        "threshold": suggestion.rule.level,
        "alerts_per_week": round(suggestion.before_per_week, 3),
        "suggested": chosen and chosen.level,
        "suggested_clear": getattr(chosen, "clear", None),
        "suggested_alerts_per_week": None if rate is None else round(rate, 3),
    }


def _plain(rule: AnyRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "type": rule.type,
        "metric": getattr(rule, "metric", None),
        "scope": rule.scope,
        "keys": list(rule.keys),
        "condition": str(condition(rule)),
        "operator": getattr(rule, "operator", None),
        "threshold": rule.level,
        "clear": getattr(rule, "clear_threshold", None),
        "window_seconds": rule.window.total_seconds(),
        "every_seconds": rule.every.total_seconds(),
        "for_seconds": rule.for_duration.total_seconds(),
        "min_documents": rule.min_documents,
        "severity": rule.severity_shown,
        "receivers": list(rule.receivers),
        "overrides": sum(len(override["keys"]) for override in rule.overrides),
    }


def _shown(rule: AnyRule) -> tuple[object, ...]:
    keys = ", ".join(rule.keys[:_SHOWN_KEYS]) or "every one"
    more = len(rule.keys) - _SHOWN_KEYS
    return (
        rule.name, rule.type, rule.scope, f"{keys} and {more} more" if more > 0 else keys,
        str(condition(rule)), length(rule.window), length(rule.every), length(rule.for_duration),
        rule.severity_shown or "as found",
    )  # fmt: skip
