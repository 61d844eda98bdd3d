"""The page of one subject: how negative it is against what is usual, why, and by whom.

A subject is a topic, a symbol or a source; a second one can be laid beside it. The page's link
carries all that is chosen.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import pandas as pd
import streamlit as st

from classifier.prediction import SCALE
from dashboard.common import reading
from dashboard.common.announcing import announce, tell_firing
from dashboard.common.choices import publish
from dashboard.common.clock import dated
from dashboard.common.frame import (
    choose_run,
    choose_until,
    find_runs,
    say_away,
    segments,
    write_until,
)
from dashboard.common.plain import DASH
from dashboard.common.shares import LIKELY, around
from dashboard.common.subjects import about, choose_other, choose_subject, name_of
from dashboard.common.theme import Palette, palette_for
from dashboard.common.view import KINDS, SPANS, Subject, View, bounds, is_going_on, usual_span
from dashboard.common.words import say
from dashboard.documents.explaining import Explain
from dashboard.documents.exporting import series_as_csv, series_as_parquet
from dashboard.now.firing import SHOWN, show_fired
from dashboard.now.status import describe, show_figures, total
from dashboard.now.timeline import mark
from dashboard.subject.documents import show_subject_documents
from dashboard.subject.lines import (
    FIRM,
    Line,
    draw_difference,
    draw_shares,
    draw_volumes,
    early_start,
    roll_with_usual,
    subtract,
)
from dashboard.subject.splitting import by_kind, by_source, draw_split
from dashboard.subject.usual import FEWEST
from dashboard.subject.view import WINDOWS, history, usual_window, view_of, windows_for
from store.alertlog import Alert
from store.buckets import Sums
from store.database import Database
from store.errors import DatabaseUnavailableError
from store.views import RunSummary, Slice


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page is to show; ``against`` is the subject beside it, ``until`` the span's end."""

    run_id: int
    span: str
    until: datetime | None
    kind: str
    window: str
    subject: Subject
    against: Subject | None


def show_subject_page(database: Database, explain: Explain | None) -> None:
    """Draw the page; without ``explain``, no document can be explained."""
    runs = find_runs(database)
    if not runs:
        return
    try:
        asked, run = _ask(database, runs)
    except DatabaseUnavailableError:
        say_away()
        return
    if asked is None:
        st.info(
            say("This run has no documents yet. They appear here as they come in."),
            icon=":material/hourglass_empty:",
        )
        return
    going_on = is_going_on(run) and asked.until is None
    live = st.fragment(_live, run_every=reading.REFRESH if going_on else None)
    live(database, asked, explain)


def _ask(database: Database, runs: list[RunSummary]) -> tuple[Asked | None, RunSummary]:
    with st.container(horizontal=True, vertical_alignment="bottom", key="header", gap="medium"):
        run = choose_run(runs)
        span = segments(say("Span"), "span", SPANS, usual_span(run))
        until = choose_until()
    filled = reading.span(database, run.id)
    if filled is None:
        publish(run=run.name, span=span, until=write_until(until))
        return None, run
    start, end = bounds(filled, span, until)
    part = Slice(run.id, "all", start, end)
    with st.container(horizontal=True, vertical_alignment="bottom", key="subjects"):
        subject = choose_subject(database, part)
        against = choose_other(database, part, subject)
        windows = windows_for(end - start)
        window = segments(say("Rolling over"), "window", windows, usual_window(end - start))
        kind = segments(say("Kind"), "kind", KINDS, "all")
    publish(
        run=run.name,
        span=span,
        until=write_until(until),
        subject=subject.address,
        against=against.address if against else "",
        window=window,
        kind=kind,
    )
    return Asked(run.id, span, until, kind, window, subject, against), run


def _live(database: Database, asked: Asked, explain: Explain | None) -> None:
    try:
        run = next((run for run in reading.runs(database) if run.id == asked.run_id), None)
        filled = reading.span(database, asked.run_id)
        if run is None or filled is None:
            st.rerun()
        else:
            _show(database, asked, run, filled, explain)
    except DatabaseUnavailableError:
        say_away()


def _show(
    database: Database,
    asked: Asked,
    run: RunSummary,
    filled: tuple[datetime, datetime],
    explain: Explain | None,
) -> None:
    kind = None if asked.kind == "all" else asked.kind
    span = bounds(filled, asked.span, asked.until)
    view = view_of(run, span, filled[1], kind, asked.window)
    palette = palette_for(st.context.theme.type)
    alerts = about(asked.subject, reading.alerts(database, run.name), view)
    st.caption(describe(view))
    announce(tell_firing([alert for alert in alerts if alert.resolved_at is None]))
    if _figures(database, asked, view, alerts):
        _shares(database, asked, view, alerts, palette)
        _fired(database, view, alerts)
        _split(database, asked, view, palette)
        linked = {"run": run.name, "span": asked.span, "until": write_until(asked.until)}
        show_subject_documents(database, view, asked.subject, linked, explain)
    else:
        st.info(say("No documents of it in this span. Choose a longer one, or another subject."))


def _figures(database: Database, asked: Asked, view: View, alerts: list[Alert]) -> int:
    """Draw what is known of the subject in numbers; how many documents it has."""
    bins = reading.bins(database, _part(view, asked.subject), view.step)
    sums = total(bins)
    firing = sum(alert.resolved_at is None for alert in alerts)
    figures = tell(sums, len(alerts), firing)
    show_figures(figures, alarming={figures[-1][0]} if firing else ())
    return sums.documents


def tell(sums: Sums, alerts: int, firing: int) -> list[tuple[str, str, str]]:
    """A label, a figure and a note each. A share comes with its interval (90 %)."""
    held = sums.documents
    share = balance = score = between = DASH
    if held:
        low, high = around(sums.negative / held, held, LIKELY)
        share, between = (
            f"{sums.negative / held:.0%}",
            say("{low:.0%} {dash} {high:.0%} is likely", low=low, dash=DASH, high=high),
        )
        balance = f"{(sums.positive - sums.negative) / held:+.2f}"
        score = f"{sums.score_sum / held / SCALE:+.2f}"
    return [
        (say("Documents"), f"{held:,}", say("in this span")),
        (say("Negative share"), share, between),
        (say("Net sentiment"), balance, say("positive less negative")),
        (say("Mean score"), score, say("from -1 to +1")),
        (say("Alerts"), f"{alerts:,}", say("{firing:,} firing", firing=firing)),
    ]


def _shares(
    database: Database, asked: Asked, view: View, alerts: list[Alert], palette: Palette
) -> None:
    subjects = [asked.subject, *([asked.against] if asked.against else [])]
    lines = [_line(database, view, asked.window, subject) for subject in subjects]
    st.header(say("Negative share over {window}", window=say(WINDOWS[asked.window])), anchor=False)
    _say_pruned(database, view)
    marks = mark(alerts, view.start, view.end, view.newest)
    draw_shares(view, lines, marks, palette, "subject-share")
    draw_volumes(view, lines, palette, "subject-volume")
    st.caption(_explained(asked))
    if len(lines) == 2:
        apart = subtract(lines[0].table, lines[1].table)
        draw_difference(view, apart, palette, "subject-difference")
        st.caption(
            say(
                "The first less the second: above zero the first is the more negative. "
                "Where the band (90 %) does not touch zero, chance alone hardly explains "
                "it."
            )
        )
    _downloads({line.name: line.table for line in lines})


def _say_pruned(database: Database, view: View) -> None:
    horizon = reading.run(database, view.run.name).documents_from
    if horizon is not None and view.start < horizon and view.step < timedelta(hours=1):
        st.caption(
            say(
                "Minutes and documents before {horizon} were pruned. Hours are kept: "
                "windows of 1 day show them.",
                horizon=dated(horizon),
            )
        )


def _downloads(tables: dict[str, pd.DataFrame]) -> None:
    """The series as files, which are made when somebody asks."""
    with st.container(horizontal=True, vertical_alignment="center", key="series"):
        st.caption(say("These numbers as"), width="content")
        for name, mime, made in (
            ("CSV", "text/csv", series_as_csv),
            ("Parquet", "application/vnd.apache.parquet", series_as_parquet),
        ):
            st.download_button(
                name,
                partial(made, tables),
                file_name=f"tapewatch-series.{name.lower()}",
                mime=mime,
                key=f"series-{name.lower()}",
                on_click="ignore",
                icon=":material/download:",
                type="tertiary",
            )
        st.caption(say("The bar over a chart saves it as a PNG."), width="content")


def _explained(asked: Asked) -> str:
    days = history(asked.window).days
    said = say(
        "Around a line: where the share may well lie, given its documents (90 "
        "%). The line is thin where its window holds fewer than {firm} "
        "documents. ",
        firm=FIRM,
    )
    if asked.against:
        return said + say("Below: documents, the second's as a line.")
    return said + (
        say(
            "Dotted: what was usual, by the {days} days before each window, once "
            "{fewest} documents were seen. The band around it holds 19 of 20 windows "
            "while nothing happens. Triangles: alerts. Below: documents, the "
            "negative ones in front.",
            days=days,
            fewest=FEWEST,
        )
    )


def _fired(database: Database, view: View, alerts: list[Alert]) -> None:
    if not alerts:
        return
    st.header(say("Alerts on it"), anchor=False)
    rules = sorted({(alert.rule, alert.key) for alert in alerts[:SHOWN]})
    show_fired(view, alerts, reading.cards_of(database, view.run.id, rules))


def _split(database: Database, asked: Asked, view: View, palette: Palette) -> None:
    parts = reading.parts(database, _part(view, asked.subject))
    kinds, sources = by_kind(parts), by_source(parts)
    columns = st.columns(2, gap="large")
    with columns[0]:
        st.header(say("News against comments"), anchor=False)
        draw_split(kinds, palette, "split-kinds", say("Negative share of news and of comments"))
    with columns[1]:
        st.header(say("By source"), anchor=False)
        draw_split(sources, palette, "split-sources", say("Negative share by source"))


def _part(view: View, subject: Subject) -> Slice:
    return replace(view.part(subject.scope), key=subject.key or None)


def _line(database: Database, view: View, window: str, subject: Subject) -> Line:
    early = replace(_part(view, subject), start=early_start(view, window))
    bins = reading.bins(database, early, view.step)
    return Line(name_of(subject.address), roll_with_usual(bins, view, window))
