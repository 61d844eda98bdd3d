"""Tables with the heads of their columns in the reader's language. The columns keep their names."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.common.preferences import preferences
from dashboard.common.words import say

# fmt: off
HEADINGS = (
    "Acknowledged", "Told", "Value", "What", "After", "Who", "Why", "Detail", "As", "Status",
    "Attempts", "Answer", "Number", "Holds back", "Head", "Majority", "Accuracy", "Macro F1",
    "ECE", "F1 before", "Class", "Precision", "Recall", "Share", "Taken for", "True", "False",
    "Keys", "Fires when", "Window", "Events", "Median delay", "Name", "Key", "Alerts A",
    "Alerts B", "Minutes A", "Minutes B", "Change", "Version", "Became", "Reason", "By", "Score",
    "Headline", "Symbols", "Text", "Id", "URL", "Apart", "Copies", "Training", "Word",
    "Moves it by", "Effect", "Strength", "Probability", "Partition", "Next offset", "Behind",
    "Late", "Quiet for", "Position", "Begins with", "Bytes", "Tried", "Records", "Outcome",
    "Table", "Data", "Indexes", "Times", "Topics", "Sentiments", "Topic confidence",
    "Sentiment confidence", "Vocabulary",
)
# fmt: on
"""Names of columns that are said nowhere else."""


def show_table(
    table: pd.DataFrame,
    *,
    column_config: Mapping[str, ColumnConfig] | None = None,
    **options: Any,  # noqa: ANN401 - Streamlit's own
) -> None:
    """As ``st.dataframe``; a column without a label has its name for one."""
    columns = dict(column_config or {})
    if preferences().language != "en":
        for name in map(str, table.columns):
            known = columns.get(name) or {}
            columns[name] = {**known, "label": known.get("label") or say(name)}
    st.dataframe(table, column_config=columns, **options)
