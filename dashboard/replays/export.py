"""Two backtests side by side as files: JSON for programs, CSV and Parquet of their alerts.

In CSV, what a spreadsheet would take for a formula begins with an apostrophe.
"""

import io
import json
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from alerts.backtest.comparison import Judgement, compare
from alerts.backtest.report import Result, plain_firing, report
from dashboard.documents.exporting import harmless

_COLUMNS = [
    "rules", "rule", "scope", "key", "severity", "fired_at", "resolved_at", "value", "documents",
    "reason", "only_here",
]  # fmt: skip
_TEXTS = ("rule", "key")

Sides = Mapping[str, Result]
"""What each set of rules came to, by its letter."""


def tabulate(sides: Sides, alone: Collection[int]) -> pd.DataFrame:
    """One row an alert, its texts unchanged; ``alone`` are ids of those only one side has."""
    rows = [
        {"rules": letter, **plain_firing(firing), "only_here": id(firing) in alone}
        for letter, result in sides.items()
        for firing in result.firings
    ]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    for name in ("fired_at", "resolved_at"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return table


def as_csv(table: pd.DataFrame) -> bytes:
    """UTF-8 with a byte order mark, by which spreadsheets know it."""
    written = table.astype(object)
    for name in _TEXTS:
        written[name] = pd.Series([harmless(value) for value in table[name]], dtype=object)
    for name in ("fired_at", "resolved_at"):
        written[name] = [at.isoformat() if pd.notna(at) else "" for at in table[name]]
    return written.to_csv(index=False).encode("utf-8-sig", "replace")


def as_parquet(table: pd.DataFrame) -> bytes:
    """Parquet, compressed."""
    stream = io.BytesIO()
    table.to_parquet(stream, index=False)
    return stream.getvalue()


def as_json(
    run: str,
    sides: Sides,
    names: Mapping[str, str],
    judgements: Mapping[str, Judgement],
    seconds: Mapping[str, float],
) -> str:
    """What ``tapewatch backtest --json`` says, of each side against the other."""
    until = {letter: result.span.until for letter, result in sides.items()}
    plain: dict[str, Any] = {"run": run}
    for letter, result in sides.items():
        other = next(found for name, found in sides.items() if name != letter)
        told = compare(result.firings, other.firings, until[letter])
        plain[letter.lower()] = {
            "rules": names[letter],
            **report(run, result, told, judgements.get(letter), seconds[letter]),
        }
    return json.dumps(plain, ensure_ascii=False, indent=1)
