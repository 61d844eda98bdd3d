"""Why a document counts as negative: its words, and how far each moved the probability.

Asked for, never shown by itself: it takes the model. The words are feed text, so they go into a
table and nothing else; which way a word moves is said by sign and in words, not by colour. Knows
no model: the explanation is handed in.
"""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from classifier.attribution import Explanation, ExplanationError
from dashboard.common.headings import show_table
from dashboard.common.plain import paragraphs, plain
from dashboard.common.words import say

Explain = Callable[[str], Explanation]
"""Explains the negative probability of a text. Raises ExplanationError with what to do."""

MOST_WORDS = 12
_MARKED = 0.25
"""A word is marked in the text if it moved the probability at least so much of the first's."""

_NO_SIGNS = str.maketrans("▲▼", "△▽")
"""The signs are ours: a text that holds them itself gets hollow ones."""

_COLUMNS = ["Word", "Moves it by", "Effect", "Strength"]


def show_explanation(identity: object, text: str, explain: Explain) -> None:
    """A button, and the explanation of ``text`` once it was pressed for this ``identity``."""
    with st.container(key="explaining"):
        asked = st.button(
            say("Which words make it negative?"), key="explain", icon=":material/manage_search:"
        )
        if asked:
            with st.spinner(say("Reading it word by word")):
                st.session_state["explanation"] = (identity, _explained(text, explain))
        about, outcome = st.session_state.get("explanation", (None, None))
        if about != identity:
            return
        if isinstance(outcome, str):
            st.error(say("It cannot be explained:"), icon=":material/error:")
            st.text(plain(outcome, 600))
        elif outcome is not None:
            _show(outcome)


def tabulate(explanation: Explanation) -> pd.DataFrame:
    """One row a word, the strongest first, in plain text; strength is in % of the first's."""
    words = explanation.strongest(MOST_WORDS)
    greatest = max((abs(word.weight) for word in words), default=1.0)
    target = plain(explanation.target, 60)
    rows = [
        (
            plain(word.text, 60) or say("(nothing visible)"),
            word.weight,
            say("▲ more {target}", target=target)
            if word.weight > 0
            else say("▼ less {target}", target=target),
            100 * abs(word.weight) / greatest,
        )
        for word in words
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def mark_words(explanation: Explanation) -> str:
    """The text in plain lines, with a sign before each of the words that moved it most."""
    words = explanation.strongest(MOST_WORDS)
    strongest = {id(word) for word in words if abs(word.weight) >= _MARKED * abs(words[0].weight)}
    marked = []
    for word in explanation.words:
        text = word.text.translate(_NO_SIGNS)
        if id(word) in strongest:
            shown = text.lstrip()
            sign = "▲" if word.weight > 0 else "▼"
            text = f"{text[: len(text) - len(shown)]}{sign}{shown}"
        marked.append(text)
    return paragraphs("".join(marked))


def describe(explanation: Explanation) -> str:
    """What the words add up to, and what the sum misses."""
    target = plain(explanation.target, 60)
    return say(
        "P({target}) is {output:.1%} for this text and {baseline:.1%} for one "
        "that says nothing. The words sum to the difference with an error of "
        "{error:+.2%}. By the weights that are in use now.",
        target=target,
        output=explanation.output,
        baseline=explanation.baseline,
        error=explanation.error,
    )


def _explained(text: str, explain: Explain) -> Explanation | str:
    try:
        return explain(text)
    except ExplanationError as error:
        return str(error)


def _show(explanation: Explanation) -> None:
    with st.container(key="explanation-facts"):
        st.text(describe(explanation))
    table = tabulate(explanation)
    if table.empty:
        st.info(say("No word of it counts."))
        return
    with st.container(border=True, key="explanation-text"):
        st.text(mark_words(explanation))
    show_table(
        table,
        key="explanation-words",
        hide_index=True,
        height=38 + 35 * len(table),
        column_config={
            "Word": st.column_config.TextColumn(width=110),
            "Moves it by": st.column_config.NumberColumn(format="%+.3f", width=90),
            "Effect": st.column_config.TextColumn(width=110),
            "Strength": st.column_config.ProgressColumn(
                format="%.0f%%", min_value=0, max_value=100, width=140
            ),
        },
        alt=say("Words that moved the probability most"),
    )
