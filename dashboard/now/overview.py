"""What is going on in one run: figures, firing alerts, heatmap, and what stands behind a subject.

Holds the reader's way through the page: a click on a cell chooses its topic and its time.
"""

from dataclasses import replace
from datetime import datetime

import streamlit as st

from dashboard.common import reading
from dashboard.common.announcing import announce, tell_firing
from dashboard.common.choices import publish, restore
from dashboard.common.clock import dated, interval
from dashboard.common.links import link
from dashboard.common.pacing import let_it_be_drawn
from dashboard.common.subjects import addresses_in, name_of
from dashboard.common.theme import Palette, palette_for
from dashboard.common.view import EVERYTHING, Subject, View, make_view, subject_at
from dashboard.common.words import say
from dashboard.documents.correcting import show_corrections
from dashboard.documents.explaining import Explain, show_explanation
from dashboard.documents.table import LIMIT, ORDERS, show_document, show_documents
from dashboard.now.firing import gravest, show_firing, show_resolved, subject_of
from dashboard.now.heatmap import chosen_cell, draw_heatmap, tabulate
from dashboard.now.moving import show_moving
from dashboard.now.status import describe, show_status, total
from dashboard.now.timeline import draw_timeline
from store.alertlog import Alert
from store.database import Database
from store.views import DocumentRow, RunSummary, Slice


def show_overview(  # noqa: PLR0913 - what is looked at, and what it is read with
    database: Database,
    run: RunSummary,
    filled: tuple[datetime, datetime],
    span: str,
    kind: str | None,
    explain: Explain | None = None,
) -> None:
    """Draw everything about a run that has documents."""
    view = make_view(run, filled, span, kind)
    alerts = reading.alerts(database, run.name)
    firing = [alert for alert in alerts if alert.resolved_at is None]
    resolved = [alert for alert in alerts if alert.resolved_at is not None]
    everything = reading.bins(database, view.part("all"), view.cell)
    palette = palette_for(st.context.theme.type)
    st.caption(describe(view))
    show_status(view, total(everything), firing)
    announce(tell_firing(firing))
    shown = [(alert.rule, alert.key, alert.fired_at) for alert in gravest(firing)]
    why = reading.cards(database, run.id, shown) if shown else {}
    show_firing(view, firing, why, _choose)
    show_resolved(view, resolved)
    _topics(database, view, palette)
    let_it_be_drawn()
    cell = _cell(view)
    show_moving(database, view, cell and cell[1], palette, _choose_within)
    part = _behind(database, view, alerts, palette)
    _documents(database, part, explain)


def _topics(database: Database, view: View, palette: Palette) -> None:
    st.header(say("Negative share by topic"), anchor=False)
    bins = reading.bins(database, view.part("topic"), view.cell)
    if not bins:
        st.info(say("No documents of this kind in this span."))
        return
    key = _heatmap_key()
    subject = subject_at(st.session_state.get("subject", ""))
    topic = subject.key if subject.scope == "topic" else None
    cells = tabulate(bins, view.cell, topic)
    draw_heatmap(view, cells, palette, key, on_select=lambda: _choose_cell(key))


def _behind(database: Database, view: View, alerts: list[Alert], palette: Palette) -> Slice:
    """Draw the timeline of the chosen subject; the part whose documents are to be shown."""
    st.header(say("Behind it"), anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom", key="behind"):
        subject = _subject(database, view)
        cell = _choose_time(view)
        if cell:
            st.button(
                say("Only {interval}", interval=interval(*cell)),
                icon=":material/close:",
                key="whole-span",
                on_click=_forget_cell,
            )
        said = {"run": view.run.name, "subject": subject.address}
        link("subject", say("Open its page"), ":material/monitoring:", **said)
    part = _part(view, subject)
    early = replace(part, start=view.start - view.window)
    bins = reading.bins(database, early, view.step)
    about = [alert for alert in alerts if subject in {EVERYTHING, subject_of(alert)}]
    with st.container(key="timeline"):
        draw_timeline(view, bins, about, cell, palette)
    return replace(part, start=cell[0], end=cell[1]) if cell else part


def _subject(database: Database, view: View) -> Subject:
    named = (st.session_state.get("subject"), st.query_params.get("subject"))
    addresses = addresses_in(database, view.part("all"), *named)
    restore("subject", addresses, EVERYTHING.address)
    chosen = st.selectbox(
        say("Timeline and documents of"),
        addresses,
        key="subject",
        format_func=name_of,
        on_change=_forget_cell,
        width=360,
    )
    publish(subject=str(chosen))
    return subject_at(str(chosen))


def _choose_time(view: View) -> tuple[datetime, datetime] | None:
    """The cell of the heatmap that is chosen, there or here; None for the whole span."""
    cell = _cell(view)
    count = -(-(view.end - view.start) // view.cell)
    times = [view.start + number * view.cell for number in reversed(range(count))]
    starts = {at.isoformat(): at for at in times}
    st.session_state["cell-time"] = cell[0].isoformat() if cell else ""

    def chosen() -> None:
        known = starts.get(str(st.session_state["cell-time"]))
        _forget_cell()
        st.session_state["cell"] = known

    st.selectbox(
        say("Time of a cell"),
        ["", *starts],
        key="cell-time",
        format_func=lambda at: interval(starts[at], starts[at] + view.cell) if at else say("All"),
        on_change=chosen,
        width=220,
    )
    return cell


def _documents(database: Database, part: Slice, explain: Explain | None) -> None:
    order = restore("order", ORDERS, "negative")
    st.segmented_control(
        say("Documents, at most {limit}", limit=LIMIT),
        list(ORDERS),
        key="order",
        format_func=lambda name: say(ORDERS[name]),
        required=True,
    )
    rows = reading.documents(database, part, negative_first=order == "negative")
    after = reading.left_out_until(database, part)
    if after is not None and not (order == "newest" and len(rows) == LIMIT):
        st.caption(
            say(
                "Of the latest documents of this span only: those after {after}.",
                after=dated(after),
            )
        )
    key = f"documents-{hash((part, order))}"
    show_documents(rows, key, lambda row: _choose_row(part.run_id, row))
    run_id, row = st.session_state.get("document", (None, None))
    if row and run_id == part.run_id:
        _document(database, run_id, row, explain)


def _document(database: Database, run_id: int, row: DocumentRow, explain: Explain | None) -> None:
    def more() -> None:
        show_corrections(database, run_id, row.id)
        content = reading.content(database, run_id, row.id) if explain else None
        if explain and content is not None:
            show_explanation((run_id, row.id), content, explain)

    text = reading.text(database, run_id, row.id)
    show_document(row, text or row.text, _forget_row, more)


def _part(view: View, subject: Subject) -> Slice:
    return replace(view.part(subject.scope), key=subject.key or None)


def _cell(view: View) -> tuple[datetime, datetime] | None:
    start: datetime | None = st.session_state.get("cell")
    if start is None or not view.start <= start < view.end:
        return None
    return start, start + view.cell


def _heatmap_key() -> str:
    return f"heatmap-{st.session_state.get('heatmap-turn', 0)}"


def _choose(subject: Subject) -> None:
    st.session_state["subject"] = subject.address
    _forget_cell()


def _choose_within(subject: Subject) -> None:
    """Choose a subject and stay in the chosen cell."""
    st.session_state["subject"] = subject.address
    _forget_row()


def _choose_cell(key: str) -> None:
    cell = chosen_cell(key)
    st.session_state["cell"] = cell[1] if cell else None
    if cell:
        st.session_state["subject"] = Subject("topic", cell[0]).address
    _forget_row()


def _forget_cell() -> None:
    """Leave the chosen cell; only a chart with a new key forgets its selection."""
    if st.session_state.get("cell") is not None:
        st.session_state["heatmap-turn"] = st.session_state.get("heatmap-turn", 0) + 1
    st.session_state["cell"] = None
    _forget_row()


def _choose_row(run_id: int, row: DocumentRow | None) -> None:
    st.session_state["document"] = (run_id, row)


def _forget_row() -> None:
    st.session_state["document"] = (None, None)
