"""What a chart shows, in a sentence with figures, for who cannot see it. Knows no chart.

Names in it come from feeds, made plain by whoever made the table: it is shown as plain text only.
"""

from collections.abc import Iterable

import pandas as pd

from dashboard.common.words import say

NAMED = 3
"""So many rows are named; how many more there are is told."""


def tell_line(table: pd.DataFrame, column: str, form: str = ".0%", name: str = "") -> str:
    """How a line goes: ``column`` at its ends, and where it is highest and lowest, by ``when``."""
    known = table.dropna(subset=[column])
    if known.empty:
        told = say("Too few documents for a line.")
    else:
        values, times = known[column].tolist(), known["when"].tolist()
        most, least = values.index(max(values)), values.index(min(values))
        told = say(
            "{first} at first, {last} at last; highest {highest} ({at}), "
            "lowest {lowest} ({since}).",
            first=format(values[0], form),
            last=format(values[-1], form),
            highest=format(values[most], form),
            at=times[most],
            lowest=format(values[least], form),
            since=times[least],
        )
    return f"{name}: {told}" if name else told


def tell_counts(table: pd.DataFrame, column: str = "documents", name: str = "") -> str:
    """How many there are of something over time, and when the most."""
    counts = [int(count) for count in table[column].tolist()]
    if not any(counts):
        told = say("Nothing in this span.")
    else:
        most = max(counts)
        told = say(
            "{total:,} in all; most {most:,} ({at}).",
            total=sum(counts),
            most=most,
            at=table["when"].tolist()[counts.index(most)],
        )
    return f"{name}: {told}" if name else told


def tell_rows(rows: Iterable[str], named: int = NAMED) -> str:
    """The first of some rows, each of which says what it is, and how many more there are."""
    known = list(dict.fromkeys(rows))
    if not known:
        return say("Nothing in this span.")
    shown, more = "; ".join(known[:named]), len(known) - named
    return say("{shown}; and {more:,} more.", shown=shown, more=more) if more > 0 else f"{shown}."
