"""What is looked at, and the tables behind the charts: pure, so no database and no page."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.common.charts import milliseconds
from dashboard.common.subjects import about
from dashboard.common.view import (
    EVERYTHING,
    Subject,
    first_choice,
    is_going_on,
    make_view,
    subject_at,
)
from dashboard.launch import streamlit_arguments
from dashboard.now.heatmap import tabulate
from dashboard.now.timeline import mark, roll
from store.alertlog import Alert
from store.buckets import Sums
from store.views import Bin, RunSummary

DAY = datetime(2026, 3, 9, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def run(name, documents=1, finished=None):
    return RunSummary(1, name, DAY, finished, documents, 0)


def some(key, hour, documents, negative):
    return Bin(key, DAY + hour * HOUR, Sums(documents, negative))


def alert(fired, resolved=None):
    until = None if resolved is None else DAY + resolved * HOUR
    return Alert("demo", "rule", "Macro", "topic", 5, 0.5, 20, DAY + fired * HOUR, until)


@pytest.mark.parametrize(
    ("runs", "name"),
    [
        ([run("b"), run("a")], "b"),
        ([run("b"), run("live")], "live"),
        ([run("b"), run("live", documents=0)], "b"),
    ],
)
def test_live_comes_first_when_it_has_documents(runs, name):
    assert first_choice(runs).name == name


def test_live_is_always_going_on_and_a_replay_until_it_is_finished():
    assert is_going_on(run("live", finished=DAY))
    assert is_going_on(run("demo"))
    assert not is_going_on(run("demo", finished=DAY))


@pytest.mark.parametrize(
    ("length", "span", "cell", "cells"),
    [
        (72 * HOUR, "6h", 15 * MINUTE, 24),
        (72 * HOUR, "24h", HOUR, 24),
        (72 * HOUR, "3d", HOUR, 72),
        (72 * HOUR, "all", HOUR, 72),
        (2 * HOUR, "3d", 15 * MINUTE, 8),
        (10 * 24 * HOUR, "all", 6 * HOUR, 40),
        (365 * 24 * HOUR, "all", 7 * 24 * HOUR, 53),
        (40_000 * 24 * HOUR, "all", 556 * 24 * HOUR, 72),
    ],
)
def test_a_span_is_cut_into_round_cells(length, span, cell, cells):
    view = make_view(run("demo"), (DAY, DAY + length - MINUTE), span, None)
    assert view.cell == cell
    assert abs((view.end - view.start) / cell - cells) <= 1
    assert view.start <= view.newest < view.end


def test_a_single_document_has_a_view_too():
    view = make_view(run("demo"), (DAY + MINUTE, DAY + MINUTE), "all", "news")
    assert (view.start, view.end) == (DAY, DAY + 15 * MINUTE)
    assert view.part("topic").kind == "news"


@pytest.mark.parametrize("subject", [EVERYTHING, Subject("topic", "a:b"), Subject("symbol", "$x")])
def test_a_link_finds_its_subject_again(subject):
    assert subject_at(subject.address) == subject


@pytest.mark.parametrize("address", ["", "topic:", "nothing:x", "topic", "all"])
def test_a_link_to_nothing_known_means_everything(address):
    assert subject_at(address) == EVERYTHING


def test_the_topic_with_most_negative_documents_comes_first():
    bins = [some("Calm", 0, 90, 2), some("Loud", 0, 10, 3), some("Loud", 1, 10, 4)]
    table = tabulate(bins, HOUR, "Calm").set_index("topic")
    assert table["rank"].to_dict() == {"Calm": 1, "Loud": 0}
    assert set(table["shown"]) == {"▸ Calm", "Loud"}


def test_a_cell_of_few_documents_is_faint():
    few, many = tabulate([some("A", 0, 3, 3), some("B", 0, 60, 60)], HOUR).itertuples()
    assert few.share == many.share == 1
    assert few.weight < 0.4
    assert many.weight > 0.9


def test_the_share_rolls_over_its_window_and_stops_where_nothing_is_left():
    bins = [some("", hour, 6, negative) for hour, negative in ((-1, 6), (0, 0), (1, 3))]
    table = roll(bins, DAY, DAY + 5 * HOUR, HOUR, 2 * HOUR)
    assert list(table["documents"]) == [6, 6, 0, 0, 0]
    assert list(table["share"].dropna()) == [0.5, 0.25, 0.5]
    assert (table["low"] <= table["share"])[:3].all()
    assert (table["share"] <= table["high"])[:3].all()


def test_alerts_are_marked_from_where_they_fired_to_where_they_resolved():
    alerts = [alert(1, 2), alert(3), alert(-2, -1), alert(9)]
    table = mark(alerts, DAY, DAY + 6 * HOUR, DAY + 5 * HOUR)
    hours = [(row.end - row.start) / 3_600_000 for row in table.itertuples()]
    assert hours == [1, 2]
    assert list(table["resolved"]) == ["9 Mar 02:00 UTC", "still firing"]


def test_an_alert_that_fires_with_the_end_of_the_span_is_in_it():
    table = mark([alert(6)], DAY, DAY + 6 * HOUR, DAY + 5 * HOUR)
    assert [(row.start, row.end) for row in table.itertuples()] == [
        (milliseconds(DAY + 6 * HOUR), milliseconds(DAY + 6 * HOUR))
    ]
    view = make_view(run("replay"), (DAY, DAY + 6 * HOUR - MINUTE), "all", None)
    assert about(EVERYTHING, [alert(6), alert(6.1)], view) == [alert(6)]
    cut = make_view(run("replay"), (DAY, DAY + 6 * HOUR), "all", None)
    assert about(EVERYTHING, [alert(cut.end.hour)], replace(cut, newest=cut.end)) == []


def test_the_command_line_keeps_everything_on_this_machine():
    arguments = streamlit_arguments("127.0.0.1", 8501)
    assert {"--server.address=127.0.0.1", "--server.port=8501"} <= set(arguments)
    assert "--browser.gatherUsageStats=false" in arguments
    assert not [argument for argument in arguments if "http" in argument]


@pytest.mark.parametrize("days", [1, 3, 30, 400, 820, 5000])
def test_the_whole_run_holds_its_first_and_its_last_minute(days):
    first, last = DAY + 7 * HOUR + 13 * MINUTE, DAY + timedelta(days=days)
    view = make_view(run("demo"), (first, last), "all", None)
    assert view.start <= first < view.start + view.cell
    assert view.end - view.cell <= last < view.end
