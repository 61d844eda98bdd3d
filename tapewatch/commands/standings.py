"""What came of ``evaluate``: tables for people, plain data for programs, and pictures."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapewatch import console

if TYPE_CHECKING:
    from classifier.evaluation.contest import Contest, Entry
    from classifier.evaluation.scores import Score


def show(contest: "Contest", entries: "Sequence[Entry]", *, with_classes: bool) -> None:
    """The outcome for people: a table for each set and head."""
    columns = ("classifier", "rows", "accuracy", "macro F1", "less the weights'", "ECE")
    for name in contest.tests:
        heads = dict.fromkeys(s.head for entry in entries for s in entry.scores[name])
        for head in heads:
            rows = [
                _line(entry, name, score)
                for entry in entries
                for score in entry.scores[name]
                if score.head == head
            ]
            title = name if name.startswith(head) else f"{name}: {head}"
            console.print_table(f"{title}, with 95 % intervals", columns, rows)
    if with_classes:
        _show_classes(entries[0])


def _line(entry: "Entry", name: str, score: "Score") -> tuple[str, ...]:
    less = _less(entry, name, score.head)
    change = less["macro_f1"] if less else None
    return (
        entry.version,
        f"{score.rows:,}",
        _with(score.accuracy, score.accuracy_interval),
        _with(score.macro_f1, score.macro_f1_interval),
        _with(change["value"], change["interval"], "+.3f") if change else "",
        f"{score.ece:.3f}",
    )


def _show_classes(entry: "Entry") -> None:
    columns = ("class", "rows", "precision", "recall", "F1")
    for name, of_set in entry.scores.items():
        for score in of_set:
            rows = [
                (c, found.rows, f"{found.precision:.3f}", f"{found.recall:.3f}",
                 _with(found.f1, found.f1_interval))
                for c, found in score.classes.items()
            ]  # fmt: skip
            console.print_table(f"{entry.version} on {name}: {score.head}", columns, rows)


def _with(value: float, interval: Sequence[float], form: str = ".3f") -> str:
    return f"{value:{form}} ({interval[0]:{form}} to {interval[1]:{form}})"


def as_plain(contest: "Contest", entries: "Sequence[Entry]") -> dict[str, Any]:
    """The outcome for programs."""
    return {
        "weights": entries[0].version,
        "tests": {
            name: [
                {
                    "classifier": entry.version,
                    **asdict(score),
                    "less_weights": _less(entry, name, score.head),
                }
                for entry in entries
                for score in entry.scores[name]
            ]
            for name in contest.tests
        },
    }


def draw(folder: Path, contest: "Contest", entries: "Sequence[Entry]") -> None:
    """Write the pictures of each classifier on each set into ``folder``."""
    from classifier.evaluation.plots import plot_confusion, plot_reliability  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        for name in contest.tests:
            stem = f"{_slug(entry.version)}-{_slug(name)}"
            for score in entry.scores[name]:
                title = f"{entry.version}: {name}"
                path = folder / f"{stem}-confusion-{score.head}.png"
                plot_confusion(path, score.names, score.confusion, title)
            found = {head: {"measured": r} for head, r in entry.reliabilities[name].items()}
            if found:
                plot_reliability(folder / f"{stem}-reliability.png", found)


def _less(entry: "Entry", name: str, head: str) -> dict[str, Any] | None:
    """The difference to the weights on the same rows, where there is one."""
    found = [d for d in entry.differences.get(name, []) if d.head == head]
    return asdict(found[0]) if found else None


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
