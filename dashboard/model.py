"""The page of the model: what serves, what it was made of, how good it is, and who wants its place.

Cards are read from files that may be of a user's making: what they say goes into tables and plain
text only. The page needs no document, and of the database only the reports on drift.
"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import reading
from dashboard.choices import publish, restore
from dashboard.confusion import CELLS, draw_confusion, tabulate_cells, tabulate_mistakes
from dashboard.contest import show_contest, show_history
from dashboard.drift import newest_of_each, show_drift
from dashboard.frame import choose_run, say_away, segments, title
from dashboard.lineup import Lineup, Models, ModelsError
from dashboard.model_card import Card, CardError, HeadFigures, Interval, read_card
from dashboard.plain import DASH, plain
from dashboard.reliability import describe, draw_reliability
from dashboard.theme import palette_for
from store.database import Database
from store.errors import DatabaseUnavailableError
from store.views import RunSummary

HEADS = {"topic": "Topic", "sentiment": "Sentiment"}
_COLUMNS = ["Test rows", "Head", "Rows", "Majority", "Accuracy", "Macro F1", "ECE", "F1 before"]


def show_model(database: Database, models: Models | None) -> None:
    """Draw the page; without ``models`` there is nothing to show."""
    try:
        runs = reading.runs(database)
    except DatabaseUnavailableError:
        runs = []
    try:
        lineup = models.lineup() if models else None
    except ModelsError as error:
        title()
        _failed("The weights cannot be looked at:", error)
        return
    if models is None or lineup is None:
        title()
        st.info("This dashboard was opened without the weights registry.")
        return
    run, version = _header(runs, lineup)
    _roles(lineup, version)
    try:
        plain_card = models.card(version)
        card = read_card(plain_card)
    except (ModelsError, CardError) as error:
        _failed("There is no card to show:", error)
    else:
        _figures(card)
        _about(card, plain_card)
        _scores(card)
        _errors(card)
        _reliability(card)
    _drift(database, models, run)
    _contest(models, lineup)


def tabulate_scores(card: Card) -> pd.DataFrame:
    """One row a head on a set of test rows, in plain text, with 95 % intervals."""
    rows = [
        (
            plain(test, 80),
            HEADS.get(score.head, plain(score.head, 20)),
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
    return f"{value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def _header(runs: list[RunSummary], lineup: Lineup) -> tuple[RunSummary | None, str]:
    run = None
    with st.container(horizontal=True, vertical_alignment="bottom", key="header", gap="medium"):
        if runs:
            run = choose_run(runs)
        else:
            with st.container(width="stretch", key="brand"):
                title()
        restore("version", lineup.versions, lineup.serving)
        version = st.selectbox(
            "Model",
            lineup.versions,
            key="version",
            format_func=lambda name: _named(lineup, name),
            width=360,
        )
    publish(**({"run": run.name} if run else {}), version=str(version))
    return run, str(version)


def _named(lineup: Lineup, version: str) -> str:
    roles = lineup.roles(version)
    return f"{plain(version, 60)} · {', '.join(roles)}" if roles else plain(version, 60)


def _roles(lineup: Lineup, version: str) -> None:
    roles = lineup.roles(version)
    icons = {
        "serves now": (":material/play_arrow:", "green"),
        "champion": (":material/trophy:", "blue"),
        "challenger": (":material/swords:", "orange"),
        "shipped": (":material/package_2:", "gray"),
    }
    with st.container(horizontal=True, vertical_alignment="center", key="roles"):
        for role in roles or ["in no role"]:
            icon, colour = icons.get(role, (":material/inventory_2:", "gray"))
            st.badge(role, icon=icon, color=colour)  # type: ignore[arg-type]
    if lineup.elsewhere:
        st.info(
            "Documents are scored by another machine (`TAPEWATCH_SCORER_URL`). This is what the "
            "registry of this machine holds; the page System says which versions scored.",
            icon=":material/lan:",
        )
    elif lineup.serving != lineup.champion:
        st.info(
            "`TAPEWATCH_WEIGHTS` is set: the weights that it names serve, whoever is champion.",
            icon=":material/push_pin:",
        )


def _figures(card: Card) -> None:
    """The figures of the strictest test rows of each head."""
    known = {head: card.best_known(head) for head in HEADS}
    figures: list[tuple[str, str, str]] = []
    for head, found in known.items():
        if found is None:
            figures.append((f"{HEADS[head]} macro F1", DASH, "not measured"))
            continue
        score = found[1]
        figures += [
            (f"{HEADS[head]} {label}", f"{value:.3f}", f"{low:.3f} to {high:.3f}")
            for label, value, (low, high) in (
                ("macro F1", score.macro_f1, score.macro_f1_interval),
                ("accuracy", score.accuracy, score.accuracy_interval),
            )
        ]
    errors = {head: found[1].ece for head, found in known.items() if found and found[1].ece}
    told = " / ".join(f"{error:.1%}" for error in errors.values())
    figures.append(("Calibration error", told or DASH, " / ".join(errors) or "not measured"))
    with st.container(key="status"):
        for label, value, note in figures:
            st.metric(label, value, delta=note, delta_color="off", delta_arrow="off", border=True)
    tests = "; ".join(plain(found[0], 80) for found in known.values() if found)
    if tests:
        with st.container(key="count-text"):
            st.text(f"On test rows: {tests}. The others are under Scores.")


def _about(card: Card, plain_card: Mapping[str, Any]) -> None:
    """What it is and what it was made of; how to make it again is folded away."""
    context = f", context {card.context}" if card.context else ""
    made = f"Made on {plain(card.made_on, 20)}. " if card.made_on else ""
    rows = ", ".join(f"{count:,} {plain(name, 40)}" for name, count in card.rows.items())
    lines = [
        f"{made}{plain(card.architecture, 60)}: {card.parameters / 1e6:.1f} million parameters, "
        f"{card.layers} layers, {card.width} wide, {card.vocabulary:,} tokens{context}.",
        plain(card.summary, 800),
        f"Rows: {rows}." if rows else "",
        plain(card.held_out, 400),
        f"Measured in {plain(card.precision, 20)}." if card.precision else "",
    ]
    with st.container(border=True, key="model-card"):
        for line in filter(None, lines):
            st.text(line)
    left, right = st.columns(2, gap="medium")
    with left, st.expander("Limitations", key="limitations"):
        st.text("\n".join(f"• {plain(line, 400)}" for line in card.limitations) or "None told.")
    with right, st.expander("How to make it again", key="made-with"):
        st.code("\n".join(plain(line, 2000) for line in card.commands), language=None)
        st.download_button(
            "Card as JSON",
            json.dumps(plain_card, ensure_ascii=False, indent=1),
            file_name="tapewatch-card.json",
            mime="application/json",
            key="card-json",
            on_click="ignore",
        )


def _scores(card: Card) -> None:
    st.subheader("Scores", anchor=False)
    table = tabulate_scores(card)
    if table.empty:
        st.info("The card measures nothing: `tapewatch evaluate` does, on labelled rows of yours.")
        return
    st.caption(
        "On rows that it was not trained on, with 95 % bootstrap intervals; *majority* is the "
        "accuracy of always saying the commonest class."
    )
    st.dataframe(
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
        alt="Scores on each set of test rows",
    )
    if card.before:
        with st.container(key="exported-text"):
            st.text(f"F1 before: {plain(card.before.of, 200)}.")


def _errors(card: Card) -> None:
    """The matrix of one head on one set of test rows, its mistakes, and its classes."""
    tests = {f"{score.head}: {test}": score for test, score in card.measured()}
    if not tests:
        return
    st.subheader("Confusion", anchor=False)
    last = card.best_known("sentiment") or card.best_known("topic")
    usual = next((name for name, score in tests.items() if last and score is last[1]), "")
    with st.container(horizontal=True, vertical_alignment="bottom", key="errors"):
        restore("test", tests, usual or next(iter(tests)))
        chosen = str(
            st.selectbox(
                "Test rows",
                list(tests),
                key="test",
                format_func=lambda name: plain(name, 90),
                width=420,
            )
        )
        written = segments("In the cells", "cells", CELLS, "share")
    publish(test=chosen, cells=written)
    score = tests[chosen]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _matrix(score, written)
    with right:
        _mistakes(score)


def _matrix(score: HeadFigures, written: str) -> None:
    if not score.has_confusion:
        st.info("The card has no confusion matrix of these rows.")
        return
    draw_confusion(score, tabulate_cells(score), written, palette_for(st.context.theme.type))
    unit = "% of the true class" if written == "share" else "rows"
    st.caption(f"Numbers are {unit}. Framed cells are right.")


def _mistakes(score: HeadFigures) -> None:
    if score.has_confusion:
        cells = tabulate_cells(score)
        st.caption("The commonest mistakes")
        st.dataframe(
            tabulate_mistakes(cells),
            key="mistakes",
            hide_index=True,
            column_config={"Share": st.column_config.NumberColumn(format="%.1f%%", width=70)},
            alt="The commonest mistakes",
        )
    if score.classes:
        st.caption("Classes, the worst first")
        st.dataframe(
            tabulate_classes(score),
            key="classes",
            hide_index=True,
            height=min(360, 38 + 35 * len(score.classes)),
            column_config={
                "Rows": st.column_config.NumberColumn(format="localized", width=60),
                "Precision": st.column_config.NumberColumn(format="%.3f", width=80),
                "Recall": st.column_config.NumberColumn(format="%.3f", width=70),
                "F1": st.column_config.TextColumn(width=165),
            },
            alt="Precision, recall and F1 of each class",
        )


def _reliability(card: Card) -> None:
    st.subheader("Reliability", anchor=False)
    if not card.calibration:
        st.info("The card does not say how far its probabilities can be trusted.")
        return
    st.caption(
        "Of the texts that are given a probability, so many should be right: the dashed diagonal. "
        "Bars are 95 % intervals."
    )
    palette = palette_for(st.context.theme.type)
    heads = list(card.calibration.items())
    for column, (head, found) in zip(st.columns(max(2, len(heads))), heads, strict=False):
        with column:
            st.markdown(f"**{HEADS.get(head, 'Other head')}**")
            draw_reliability(head, found, palette)
            st.text(describe(plain(head, 20), found))


def _drift(database: Database, models: Models, run: RunSummary | None) -> None:
    st.subheader("Drift", anchor=False)
    if run is None:
        st.info("There is no run to measure yet, or the database is away.")
        return
    try:
        reports = newest_of_each(reading.drift_reports(database, run.id))
    except DatabaseUnavailableError:
        say_away()
        return
    if reports:
        show_drift(reports, models.limits, palette_for(st.context.theme.type))
    else:
        st.info("Drift of this run was not measured yet.", icon=":material/query_stats:")
    _measure(models, run)


def _measure(models: Models, run: RunSummary) -> None:
    if st.button("Measure drift", key="measure-drift", icon=":material/query_stats:"):
        with st.spinner("Measuring day by day"):
            try:
                made = models.measure(run.name)
            except (ModelsError, DatabaseUnavailableError) as error:
                _failed("It cannot be measured:", error)
                return
        reading.drift_reports.clear()
        st.session_state["drift-made"] = (run.id, made)
        st.rerun()
    about, made = st.session_state.get("drift-made", (None, 0))
    if about == run.id:
        st.caption(f"{made} reports were made." if made else "Every day has its report already.")


def _contest(models: Models, lineup: Lineup) -> None:
    st.subheader("Champion and challenger", anchor=False)
    show_contest(models, lineup, palette_for(st.context.theme.type))
    show_history(lineup)


def _failed(what: str, error: Exception) -> None:
    st.error(what, icon=":material/error:")
    st.text(plain(str(error), 600))
