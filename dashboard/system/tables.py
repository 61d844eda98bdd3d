"""The tables of the page of the system. What is of others' making is made plain first."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.common.clock import lasting, times
from dashboard.common.headings import show_table
from dashboard.common.plain import DASH, plain
from dashboard.common.wording import worded
from dashboard.common.words import say
from store.deadletters import DeadLetterRow
from store.health import ModelUse, OutcomeCount, PartitionState, ReasonCount, TableSize

_TABLES = 6
_UNITS = ("B", "KB", "MB", "GB", "TB")


def seconds(duration: timedelta) -> str:
    """A short duration to the tenth, a longer one in minutes and up."""
    total = duration.total_seconds()
    return f"{total:.1f} s" if abs(total) < 120 else lasting(duration)


def size(count: int) -> str:
    """Bytes in the unit that fits, of 1024 each."""
    step = min(max(count, 1).bit_length() - 1, 49) // 10
    value, unit = count / 1024**step, _UNITS[step]
    return f"{value:,.0f} {unit}" if value >= 10 or step == 0 else f"{value:.1f} {unit}"


def beginning(payload: bytes | None) -> str:
    """The first bytes of a record as one line that nothing obeys."""
    return plain((payload or b"").decode("utf-8", "backslashreplace"), 160)


def tabulate_partitions(states: Sequence[PartitionState], now: datetime | None) -> pd.DataFrame:
    """One row a partition; with ``now``, how long ago it moved."""
    times = [state.newest_event_at for state in states if state.newest_event_at]
    newest = max(times, default=None)
    rows = [
        {
            "Partition": plain(f"{state.source}[{state.partition}]", 80),
            "Next offset": state.next_offset,
            "Newest event": state.newest_event_at,
            "Behind": _behind(newest, state.newest_event_at),
            "Late": state.late,
            "Moved": state.updated_at,
            "Quiet for": lasting(now - state.updated_at) if now else DASH,
        }
        for state in states
    ]
    return pd.DataFrame(rows)


def tabulate_examples(letters: Sequence[DeadLetterRow]) -> pd.DataFrame:
    """One row a dead letter, in plain text, its bytes capped."""
    rows = [
        {
            "Reason": worded(letter.reason),
            "Position": plain(letter.position, 80),
            "Detail": plain(letter.detail, 160),
            "Begins with": beginning(letter.payload),
            "Bytes": letter.size,
            "Tried": letter.replays,
            "Received": letter.received_at,
        }
        for letter in letters
    ]
    return pd.DataFrame(rows)


def show_partitions(states: Sequence[PartitionState], now: datetime | None) -> None:
    """How far each partition is, and whether it moves."""
    columns = ["Partition", "Next offset", "Newest event", "Behind", "Late", "Moved"]
    _show(
        tabulate_partitions(states, now),
        "partitions",
        say("Checkpoints of each partition"),
        {
            "Partition": st.column_config.TextColumn(width=200),
            "Next offset": st.column_config.NumberColumn(format="localized", width=100),
            "Newest event": times(say("Newest event"), 150),
            "Behind": st.column_config.TextColumn(
                width=110, help=say("Behind the newest of all partitions, in event time")
            ),
            "Late": st.column_config.NumberColumn(
                format="localized",
                width=70,
                help=say("Documents that came too late for their window"),
            ),
            "Moved": times(say("Moved"), 150),
            "Quiet for": st.column_config.TextColumn(
                width=110, help=say("Since its checkpoint moved last")
            ),
        },
        order=[*columns, "Quiet for"] if now else columns,
    )


def show_reasons(reasons: Sequence[ReasonCount]) -> None:
    """How many dead letters for each reason."""
    counts = [(worded(each.reason), each.count, each.newest) for each in reasons]
    _show(
        pd.DataFrame(counts, columns=["Reason", "Records", "Newest"]),
        "reasons",
        say("Dead letters by reason"),
        {
            "Reason": st.column_config.TextColumn(width=140),
            "Records": st.column_config.NumberColumn(format="localized", width=80),
            "Newest": times(say("Newest"), 140),
        },
    )


def show_examples(examples: Sequence[DeadLetterRow]) -> None:
    """The newest dead letters of each reason."""
    _show(
        tabulate_examples(examples),
        "examples",
        say("The newest dead letters of each reason"),
        {
            "Reason": st.column_config.TextColumn(width=110),
            "Position": st.column_config.TextColumn(width=130),
            "Detail": st.column_config.TextColumn(width=200),
            "Begins with": st.column_config.TextColumn(width=260),
            "Bytes": st.column_config.NumberColumn(format="localized", width=80),
            "Tried": st.column_config.NumberColumn(
                width=60, help=say("How often it was tried again and turned away")
            ),
            "Received": times(say("Received"), 140),
        },
    )


def show_models(used: Sequence[ModelUse]) -> None:
    """The versions that scored the newest documents."""
    rows = [
        (plain(each.version, 80), each.documents, each.last, each.registered_at) for each in used
    ]
    _show(
        pd.DataFrame(rows, columns=["Version", "Documents", "Newest", "First used"]),
        "models",
        say("Model versions of the newest documents"),
        {
            "Version": st.column_config.TextColumn(width=190),
            "Documents": st.column_config.NumberColumn(
                format="localized", width=90, help=say("Among the newest 5,000 of the run")
            ),
            "Newest": times(say("Newest one")),
            "First used": times(say("First used")),
        },
    )


def show_outcomes(outcomes: Sequence[OutcomeCount]) -> None:
    """Attempts at delivery."""
    rows = [(worded(each.outcome), each.count, each.newest) for each in outcomes]
    _show(
        pd.DataFrame(rows, columns=["Outcome", "Attempts", "Newest"]),
        "outcomes",
        say("Attempts at delivery in the last 7 days, by outcome"),
        {
            "Outcome": st.column_config.TextColumn(width=160),
            "Attempts": st.column_config.NumberColumn(format="localized", width=90),
            "Newest": times(say("Newest"), 150),
        },
    )


def show_sizes(sizes: Sequence[TableSize]) -> None:
    """The tables that are largest on disk."""
    whole = sum(each.table_bytes + each.index_bytes for each in sizes) or 1
    shown, others = list(sizes[:_TABLES]), sizes[_TABLES:]
    if others:
        shown.append(
            TableSize(
                say("{others} others", others=len(others)),
                sum(each.rows for each in others),
                sum(each.table_bytes for each in others),
                sum(each.index_bytes for each in others),
            )
        )
    rows = [
        (
            each.name,
            each.rows,
            size(each.table_bytes),
            size(each.index_bytes),
            100 * (each.table_bytes + each.index_bytes) / whole,
        )
        for each in shown
    ]
    _show(
        pd.DataFrame(rows, columns=["Table", "Rows", "Data", "Indexes", "Share"]),
        "sizes",
        say("Tables by size on disk"),
        {
            "Table": st.column_config.TextColumn(width=170),
            "Rows": st.column_config.NumberColumn(
                say("Rows, about"),
                format="localized",
                width=110,
                help=say("By PostgreSQL's statistics"),
            ),
            "Data": st.column_config.TextColumn(width=90),
            "Indexes": st.column_config.TextColumn(width=90),
            "Share": st.column_config.ProgressColumn(
                format="%.0f%%", min_value=0, max_value=100, width=160
            ),
        },
        width="content",
    )


def _behind(newest: datetime | None, event: datetime | None) -> str:
    return DASH if newest is None or event is None else lasting(newest - event)


def _show(  # noqa: PLR0913 - what a table is made of
    table: pd.DataFrame,
    key: str,
    description: str,
    columns: dict[str, ColumnConfig],
    *,
    order: Sequence[str] | None = None,
    width: Literal["stretch", "content"] = "stretch",
) -> None:
    show_table(
        table,
        key=key,
        hide_index=True,
        height=min(460, 38 + 35 * len(table)),
        width=width,
        column_order=order,
        column_config=columns,
        alt=description,
    )
