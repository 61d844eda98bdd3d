"""A model card on screen: its figures, what it was made of, its mistakes, how sure it may be.

What a card says may be of a user's making: tables and plain text only.
"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.common.choices import publish, restore
from dashboard.common.frame import segments
from dashboard.common.headings import show_table
from dashboard.common.plain import DASH, plain
from dashboard.common.theme import palette_for
from dashboard.common.words import later, say
from dashboard.model.confusion import CELLS, draw_confusion, tabulate_cells, tabulate_mistakes
from dashboard.model.model_card import Card, HeadFigures, Interval
from dashboard.model.reliability import describe, draw_reliability
from dashboard.now.status import show_figures

HEADS = {"topic": later("Topic"), "sentiment": later("Sentiment")}
_COLUMNS = ["Test rows", "Head", "Rows", "Majority", "Accuracy", "Macro F1", "ECE", "F1 before"]


def show_card(card: Card, plain_card: Mapping[str, Any]) -> None:
    """Draw all of it; ``plain_card`` is the card as it is written, to take away."""
    _figures(card)
    _about(card, plain_card)
    _scores(card)
    _errors(card)
    _reliability(card)


def tabulate_scores(card: Card) -> pd.DataFrame:
    """One row a head on a set of test rows, in plain text, with 95 % intervals."""
    rows = [
        (
            plain(test, 80),
            say(HEADS[score.head]) if score.head in HEADS else plain(score.head, 20),
            score.rows,
            score.majority_accuracy,
            between(score.accuracy, score.accuracy_interval),
            between(score.macro_f1, score.macro_f1_interval),
            DASH if score.ece is None else f"{score.ece:.3f}",
            DASH if (earlier := card.earlier(test, score.head)) is None
            else f"{earlier.macro_f1:.3f}",
        )
        for test, score in card.measured()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS)


def tabulate_classes(score: HeadFigures) -> pd.DataFrame:
    """One row a class, in plain text, the worst first."""
    rows = [
        (
            plain(name, 60),
            found.rows,
            found.precision,
            found.recall,
            between(found.f1, found.f1_interval),
        )
        for name, found in sorted(score.classes.items(), key=lambda pair: pair[1].f1)
    ]
    return pd.DataFrame(rows, columns=["Class", "Rows", "Precision", "Recall", "F1"])


def between(value: float, interval: Interval | None) -> str:
    """A figure with its interval: ``0.874 (0.864 to 0.884)``."""
    return f"{value:.3f}" + (
        say(" ({low:.3f} to {high:.3f})", low=interval[0], high=interval[1]) if interval else ""
    )


def _figures(card: Card) -> None:
    """The figures of the strictest test rows of each head."""
    known = {head: card.best_known(head) for head in HEADS}
    figures: list[tuple[str, str, str]] = []
    for head, found in known.items():
        if found is None:
            figures.append(
                (say("{head} macro F1", head=say(HEADS[head])), DASH, say("not measured"))
            )
            continue
        score = found[1]
        figures += [
            (
                f"{say(HEADS[head])} {label}",
                f"{value:.3f}",
                say("{low:.3f} to {high:.3f}", low=low, high=high),
            )
            for label, value, (low, high) in (
                (say("macro F1"), score.macro_f1, score.macro_f1_interval),
                (say("accuracy"), score.accuracy, score.accuracy_interval),
            )
        ]
    errors = {head: found[1].ece for head, found in known.items() if found and found[1].ece}
    told = " / ".join(f"{error:.1%}" for error in errors.values())
    figures.append(
        (say("Calibration error"), told or DASH, " / ".join(errors) or say("not measured"))
    )
    show_figures(figures)
    tests = "; ".join(plain(found[0], 80) for found in known.values() if found)
    if tests:
        with st.container(key="count-text"):
            st.text(say("On test rows: {tests}. The others are under Scores.", tests=tests))


def _about(card: Card, plain_card: Mapping[str, Any]) -> None:
    """What it is and what it was made of; how to make it again is folded away."""
    context = say(", context {context}", context=card.context) if card.context else ""
    made = say("Made on {made_on}. ", made_on=plain(card.made_on, 20)) if card.made_on else ""
    rows = ", ".join(f"{count:,} {plain(name, 40)}" for name, count in card.rows.items())
    lines = [
        say(
            "{made}{architecture}: {parameters:.1f} million parameters, {layers} "
            "layers, {width} wide, {vocabulary:,} tokens{context}.",
            made=made,
            architecture=plain(card.architecture, 60),
            parameters=card.parameters / 1000000.0,
            layers=card.layers,
            width=card.width,
            vocabulary=card.vocabulary,
            context=context,
        ),
        plain(card.summary, 800),
        say("Rows: {rows}.", rows=rows) if rows else "",
        plain(card.held_out, 400),
        say("Measured in {precision}.", precision=plain(card.precision, 20))
        if card.precision
        else "",
    ]
    with st.container(border=True, key="model-card"):
        for line in filter(None, lines):
            st.text(line)
    left, right = st.columns(2, gap="medium")
    with left, st.expander(say("Limitations"), key="limitations"):
        st.text(
            "\n".join(f"• {plain(line, 400)}" for line in card.limitations) or say("None told.")
        )
    with right, st.expander(say("How to make it again"), key="made-with"):
        st.code("\n".join(plain(line, 2000) for line in card.commands), language=None)
        st.download_button(
            say("Card as JSON"),
            json.dumps(plain_card, ensure_ascii=False, indent=1),
            file_name="tapewatch-card.json",
            mime="application/json",
            key="card-json",
            on_click="ignore",
        )


def _scores(card: Card) -> None:
    st.header(say("Scores"), anchor=False)
    table = tabulate_scores(card)
    if table.empty:
        st.info(
            say("The card measures nothing: `tapewatch evaluate` does, on labelled rows of yours.")
        )
        return
    st.caption(
        say(
            "On rows that it was not trained on, with 95 % bootstrap intervals; "
            "*majority* is the accuracy of always saying the commonest class."
        )
    )
    show_table(
        table,
        key="scores",
        hide_index=True,
        height=38 + 35 * len(table),
        column_config={
            "Test rows": st.column_config.TextColumn(width=270),
            "Rows": st.column_config.NumberColumn(format="localized", width=70),
            "Majority": st.column_config.NumberColumn(format="%.3f", width=80),
            "Accuracy": st.column_config.TextColumn(width=170),
            "Macro F1": st.column_config.TextColumn(width=170),
        },
        alt=say("Scores on each set of test rows"),
    )
    if card.before:
        with st.container(key="exported-text"):
            st.text(say("F1 before: {of}.", of=plain(card.before.of, 200)))


def _errors(card: Card) -> None:
    """The matrix of one head on one set of test rows, its mistakes, and its classes."""
    tests = {f"{score.head}: {test}": score for test, score in card.measured()}
    if not tests:
        return
    st.header(say("Confusion"), anchor=False)
    last = card.best_known("sentiment") or card.best_known("topic")
    usual = next((name for name, score in tests.items() if last and score is last[1]), "")
    with st.container(horizontal=True, vertical_alignment="bottom", key="errors"):
        restore("test", tests, usual or next(iter(tests)))
        chosen = str(
            st.selectbox(
                say("Test rows"),
                list(tests),
                key="test",
                format_func=lambda name: plain(name, 90),
                width=420,
            )
        )
        written = segments(say("In the cells"), "cells", CELLS, "share")
    publish(test=chosen, cells=written)
    score = tests[chosen]
    left, right = st.columns([2, 1], gap="medium")
    with left:
        _matrix(score, written)
    with right:
        _mistakes(score)


def _matrix(score: HeadFigures, written: str) -> None:
    if not score.has_confusion:
        st.info(say("The card has no confusion matrix of these rows."))
        return
    draw_confusion(score, tabulate_cells(score), written, palette_for(st.context.theme.type))
    unit = say("% of the true class") if written == "share" else "rows"
    st.caption(say("Numbers are {unit}. Framed cells are right.", unit=unit))


def _mistakes(score: HeadFigures) -> None:
    if score.has_confusion:
        cells = tabulate_cells(score)
        st.caption(say("The commonest mistakes"))
        show_table(
            tabulate_mistakes(cells),
            key="mistakes",
            hide_index=True,
            column_config={"Share": st.column_config.NumberColumn(format="%.1f%%", width=70)},
            alt=say("The commonest mistakes"),
        )
    if score.classes:
        st.caption(say("Classes, the worst first"))
        show_table(
            tabulate_classes(score),
            key="classes",
            hide_index=True,
            height=min(360, 38 + 35 * len(score.classes)),
            column_config={
                "Class": st.column_config.TextColumn(width=125),
                "Rows": st.column_config.NumberColumn(format="localized", width=45),
                "Precision": st.column_config.NumberColumn(format="%.3f", width=65),
                "Recall": st.column_config.NumberColumn(format="%.3f", width=55),
                "F1": st.column_config.TextColumn(width=155),
            },
            alt=say("Precision, recall and F1 of each class"),
        )


def _reliability(card: Card) -> None:
    st.header(say("Reliability"), anchor=False)
    if not card.calibration:
        st.info(say("The card does not say how far its probabilities can be trusted."))
        return
    st.caption(
        say(
            "Of the texts that are given a probability, so many should be right: the "
            "dashed diagonal. Bars are 95 % intervals."
        )
    )
    palette = palette_for(st.context.theme.type)
    heads = list(card.calibration.items())
    for column, (head, found) in zip(st.columns(max(2, len(heads))), heads, strict=False):
        with column:
            st.markdown(f"**{say(HEADS.get(head, later('Other head')))}**")
            draw_reliability(head, found, palette)
            st.text(describe(plain(head, 20), found))
