"""``backtest``: what rules would have told on a run's history, without telling anybody."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from alerts.backtest.comparison import (
    Comparison,
    Judgement,
    KnownEvent,
    compare,
    judge_firings,
    read_known_events,
)
from alerts.backtest.firings import Firing, loads
from alerts.backtest.report import (
    Result,
    known_within,
    plain_firing,
    plain_judgement,
    report,
    run_backtest,
    strongest,
)
from alerts.rules.ruleset import RuleSet
from alerts.telling.messages import line
from store.database import Database
from store.runs import LIVE, Run
from tapewatch import console
from tapewatch.cards import print_card
from tapewatch.commands.options import Json, RunName
from tapewatch.database import open_database
from tapewatch.settings import Settings
from tapewatch.wiring import existing_run, read_rules

MINUTE = timedelta(minutes=1)


class PlotError(RuntimeError):
    """A picture cannot be drawn; the message says what to do."""


def backtest(  # noqa: PLR0913 - the options of the command
    rules: Annotated[Path, typer.Option("--rules", help="Rules file to try.")],
    run: RunName = LIVE,
    against: Annotated[
        Path | None, typer.Option("--against", help="Rules file to compare it with.")
    ] = None,
    known: Annotated[
        Path | None,
        typer.Option("--known", help="CSV of known events: start; maybe end, key, name."),
    ] = None,
    early: Annotated[
        int, typer.Option(min=0, help="Minutes before a known event in which a firing is its.")
    ] = 0,
    late: Annotated[
        int, typer.Option(min=0, help="Minutes after a known event in which a firing is its.")
    ] = 60,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw the firings into this PNG.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many alerts to list.")] = 50,
    cards: Annotated[
        int, typer.Option(min=0, max=500, help="Show why so many fired, the gravest first.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Judge a run's whole history by RULES: what would have fired, when, and how often."""
    settings = Settings()
    tried = read_rules(settings, rules)
    other = read_rules(settings, against) if against else None
    events = read_known_events(known) if known else None
    begun = time.monotonic()
    with open_database(settings, "tapewatch-backtest") as database:
        found = existing_run(database, run)
        new = _judged(database, found, tried, rules.name)
        old = _judged(database, found, other, against.name) if other and against else None
        explained = strongest(database, found.id, tried, new, cards) if new and cards else []
    seconds = time.monotonic() - begun
    if new is None:
        console.output.print(f"Run {run} holds no document yet: replay a feed into it first.")
        raise typer.Exit(1)
    comparison = compare(new.firings, old.firings, new.span.until) if old else None
    judgement = None
    if events is not None:
        of_span = known_within(events, new.span)
        judgement = judge_firings(new.firings, of_span, early * MINUTE, late * MINUTE)
    if plot is not None:
        _plot(plot, new, old, events or ())
    if as_json:
        console.print_json(report(run, new, comparison, judgement, seconds, explained))
    else:
        _show(run, new, comparison, judgement, limit, seconds)
        _show_cards(explained)


def _judged(database: Database, run: Run, rules: RuleSet, name: str) -> Result | None:
    with console.progress_bar() as progress:
        task = progress.add_task(f"Judging by {name}", total=None, detail="")

        def on_progress(done: int, keys: int) -> None:
            progress.update(task, completed=done, total=keys, detail=f"{done:,} of {keys:,} keys")

        return run_backtest(database, run.id, rules, on_progress)


def _plot(path: Path, new: Result, old: Result | None, known: Sequence[KnownEvent]) -> None:
    try:
        from alerts.backtest.plot import plot_firings  # noqa: PLC0415 - not all have matplotlib
    except ImportError as error:
        raise PlotError(
            f"no picture without matplotlib: pip install matplotlib ({error})"
        ) from error
    try:
        plot_firings(path, new.firings, new.span, old.firings if old else None, known)
    except OSError as error:
        raise PlotError(f"cannot write the picture {path}: {error.strerror}") from error


def _show(  # noqa: PLR0913 - what is said of a backtest
    run: str,
    new: Result,
    comparison: Comparison | None,
    judgement: Judgement | None,
    limit: int,
    seconds: float,
) -> None:
    span = new.span
    weeks = (span.until - span.after) / timedelta(days=7)
    console.print_alerts([{**plain_firing(firing), "run": run} for firing in new.firings[:limit]])
    if len(new.firings) > limit:
        console.output.print(f"... and {len(new.firings) - limit:,} more: --limit lists them")
    rows = [
        (load.rule, load.key or "all documents", load.firings, f"{load.per_week:.2f}",
         f"{load.minutes_per_week:.0f}")
        for load in loads(new.firings, span.after, span.until)[:limit]
    ]  # fmt: skip
    console.print_table(
        "What they ask of those who are told",
        ("rule", "key", "alerts", "alerts a week", "minutes a week"),
        rows,
    )
    console.output.print(
        f"Run {run}, {_day(span.after)} to {_day(span.until)} ({weeks:.1f} weeks): "
        f"{len(new.firings):,} alerts, {len(new.firings) / weeks:.2f} a week; {seconds:.1f} s"
    )
    if comparison is not None:
        _show_changes(run, comparison, limit)
    if judgement is not None:
        console.output.print(_told(judgement))


def _show_changes(run: str, comparison: Comparison, limit: int) -> None:
    for title, some in (("New", comparison.added), ("No longer", comparison.gone)):
        if some:
            console.output.print(f"{title}, {len(some):,}:")
            console.print_alerts([{**plain_firing(firing), "run": run} for firing in some[:limit]])
    console.output.print(
        f"Against the other rules: {len(comparison.added):,} new, {len(comparison.gone):,} gone, "
        f"{len(comparison.shared):,} of the same alarm"
    )


def _show_cards(explained: Sequence[tuple[Firing, dict[str, Any]]]) -> None:
    for place, (firing, card) in enumerate(explained, 1):
        console.output.print(f"\n{place}. {line(firing.first)}")
        print_card(card)


def _told(judgement: Judgement) -> str:
    figures = plain_judgement(judgement)
    precision, recall, delay = (
        figures[name] for name in ("precision", "recall", "median_delay_minutes")
    )
    return (
        f"Known events: {figures['told']} of {figures['events']} told"
        f"{'' if delay is None else f', {delay:g} minutes after their start in the median'}; "
        f"{figures['true_alerts']} alerts belong to one, {figures['false_alerts']} to none; "
        f"precision {_share(precision)}, recall {_share(recall)}"
    )


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _day(moment: datetime) -> str:
    return f"{moment:%d %b %Y %H:%M}"
