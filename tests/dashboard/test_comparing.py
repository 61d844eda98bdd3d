"""Two sets of rules compared on the page, on a real run, and the tables behind it."""

import io
import json
import time
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import streamlit as st
from support.pages import fine, linked, open_at, texts

from alerts.backtest.comparison import compare
from alerts.backtest.firings import Firing
from alerts.backtest.report import Result
from alerts.common.fields import RulesError
from alerts.conditions.finders import Stretch
from alerts.rules.ruleset import locate_mistakes
from dashboard.replays import comparing
from dashboard.replays.backtests import Backtests, Stage
from dashboard.replays.choosing_rules import LARGEST_RULES
from dashboard.replays.compared import tabulate_firings, tabulate_loads
from dashboard.replays.export import as_csv, as_json, as_parquet, tabulate
from dashboard.replays.lanes import BARS, LANES, tabulate_lanes
from store.alertlog import EventRow

DAY = datetime(2026, 3, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOSTILE = "evil <img src=x onerror=alert(1)> **bold** $x^2$ :red[boo] \u202etxt\x1b[31m"
IN_USE = b"""
[[rules]]
name = "share"
metric = "negative_share"
scope = "topic"
window = "1h"
threshold = 0.6
min_documents = 10
"""
OTHER = (
    IN_USE.replace(b"= 10", b"= 40")
    + b"""
[[rules]]
name = "many"
metric = "documents"
scope = "symbol"
window = "1h"
threshold = 5
min_documents = 1
"""
)
PATIENCE = 30


def in_use():
    return "rules.toml", locate_mistakes(IN_USE, "rules.toml")


def script(database, in_use):
    from dashboard.app import prepare_page  # noqa: PLC0415 - Streamlit runs this function's source
    from dashboard.replays.page import show_replays  # noqa: PLC0415

    prepare_page()
    show_replays(database, in_use)


@pytest.fixture
def open_page(scene):
    def opened(rules=in_use, **query):
        return open_at(script, scene.database, rules, part="compare", **query)

    yield opened
    st.cache_data.clear()
    st.cache_resource.clear()


def upload(page, content, key="file-b", name="new.toml"):
    return fine(page.file_uploader(key=key).set_value((name, content, "text/plain")).run())


def compared(page):
    """The page once both backtests have ended."""
    fine(page.button(key="compare").click().run())
    deadline = time.monotonic() + PATIENCE
    while not [found for found in page.header if found.value == "Alerts over time"]:
        assert time.monotonic() < deadline, texts(page)
        time.sleep(0.05)
        fine(page.run())
    return page


def figures(page):
    return {metric.label: metric.value for metric in page.metric}


def table(page, column):
    found = [frame.value for frame in page.dataframe if column in frame.value]
    return found[0] if found else None


@pytest.mark.usefixtures("story")
def test_rules_in_use_and_a_file_are_compared_on_a_run(open_page):
    page = upload(open_page(), OTHER)
    assert any("new.toml: 2 rules" in text for text in texts(page))
    assert len(page.metric) == 0
    page = compared(page)

    # All 30 of noon are negative: enough for A, too few for B, but of a symbol that B counts.
    assert figures(page)["Alerts of A"] == "1"
    assert figures(page)["Alerts of B"] == "1"
    assert (figures(page)["Only A"], figures(page)["Only B"]) == ("1", "1")
    loads = table(page, "Minutes A").set_index("Key")
    assert set(loads.index) == {"Financials", "HUB"}
    assert (loads["Alerts A"]["Financials"], loads["Alerts B"]["Financials"]) == (1, 0)
    assert loads["Change"]["HUB"] > 0


@pytest.mark.usefixtures("story")
def test_a_result_is_there_for_who_follows_the_link(open_page):
    page = compared(upload(open_page(), OTHER))
    link = linked(page)
    assert (link["rules-a"], link["from-b"]) == ("use", "file")
    again = open_page(**{name: str(value) for name, value in link.items() if name != "part"})
    assert any("new.toml: 2 rules" in text for text in texts(again))
    assert figures(again)["Only B"] == "1"


@pytest.mark.usefixtures("story")
def test_rules_that_are_not_kept_any_more_are_asked_for(open_page):
    page = open_page(**{"rules-b": "0123456789abcdef"})
    assert any("not kept any more" in info.value for info in page.info)
    assert not [button for button in page.button if button.key == "compare"]


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (OTHER.replace(b"0.6", b'"high"'), "new.toml:7: Expected `float`, got `str`"),
        (b"[[rules\n", "new.toml:1: "),
        (b"", "new.toml: there is no rule in it"),
        (b"#" * (LARGEST_RULES + 1), "the file has more than 262,144 bytes"),
        (b"\xff\xfe\x00", "new.toml: "),
    ],
)
def test_a_broken_file_is_told_with_its_line(open_page, content, said):
    page = upload(open_page(), content)
    assert page.error[0].value == "These rules cannot be judged by:"
    assert any(text.startswith(said) for text in texts(page)), texts(page)
    assert not [button for button in page.button if button.key == "compare"]


@pytest.mark.usefixtures("story")
def test_rules_in_use_that_are_broken_are_told(open_page):
    def broken():
        raise RulesError("rules.toml:3: there is something")

    page = open_page(broken)
    assert "rules.toml:3: there is something" in texts(page)
    assert any("opened without rules" in text for text in texts(open_page(None)))


@pytest.mark.usefixtures("story")
def test_rules_that_judge_the_same_have_nothing_to_compare(open_page):
    page = upload(open_page(), IN_USE + b"# another comment\n")
    assert any("Both judge the same" in info.value for info in page.info)


@pytest.mark.usefixtures("story")
def test_known_events_are_judged_by_both(open_page):
    page = upload(open_page(), OTHER)
    events = b"start,end,key,name\n2026-03-09T12:00Z,2026-03-09T13:00Z,Financials,scare\n"
    page = compared(upload(page, events, "known-events", "events.csv"))
    judged = table(page, "Recall").set_index("Rules")
    assert judged["Recall"].to_dict() == {"A": 100.0, "B": 0.0}
    assert judged["Precision"].to_dict() == {"A": 100.0, "B": 0.0}
    assert list(table(page, "Name")["Rules"]) == ["B"]


@pytest.mark.usefixtures("story")
def test_a_file_of_events_that_is_none_is_told(open_page):
    page = upload(open_page(), b"when\n1\n", "known-events", "events.csv")
    assert any("there is no column `start`" in text for text in texts(page))


def test_documents_that_came_since_make_the_result_stale(story, open_page):
    page = compared(upload(open_page(), OTHER))
    assert not page.warning
    story.add_documents("replay", 3, hour=40)
    st.cache_data.clear()
    fine(page.run())
    assert "documents have come since" in page.warning[0].value
    fine(compared(page))


@pytest.mark.usefixtures("story")
def test_what_ended_without_a_result_says_why(open_page, monkeypatch):
    def fail(*_):
        raise ValueError(HOSTILE)

    failing = Backtests(fail)
    monkeypatch.setattr(comparing, "keeper", lambda: failing)
    page = upload(open_page(), OTHER)
    fine(page.button(key="compare").click().run())
    deadline = time.monotonic() + PATIENCE
    while not page.warning:
        assert time.monotonic() < deadline
        fine(page.run())
    assert page.warning[0].value == f"Rules A have no result: {Stage.FAILED}."
    assert any(text.startswith("ValueError: evil") for text in texts(page))


@pytest.mark.usefixtures("story")
def test_a_backtest_tells_how_far_it_is_and_can_be_cancelled(open_page, monkeypatch):
    def never_ends(_database, _run, _rules, on_progress, may_go_on):
        on_progress(3, 12)
        while True:
            may_go_on()
            time.sleep(0.01)

    endless = Backtests(never_ends)
    monkeypatch.setattr(comparing, "keeper", lambda: endless)
    page = upload(open_page(), OTHER)
    fine(page.button(key="compare").click().run())
    deadline = time.monotonic() + PATIENCE
    while not any("3 of 12 keys" in str(bar.proto) for bar in page.get("progress")):
        assert time.monotonic() < deadline
        fine(page.run())
    fine(page.button(key="cancel").click().run())
    while len(page.warning) < 2:
        assert time.monotonic() < deadline
        fine(page.run())
    assert [warning.value for warning in page.warning] == [
        "Rules A have no result: it was cancelled.",
        "Rules B have no result: it was cancelled.",
    ]


def test_hostile_names_of_files_rules_and_keys_are_only_text(scene, open_page):
    scene.add_documents("replay", 30, symbols=(HOSTILE[:60],))
    page = compared(upload(open_page(), OTHER, name=f"{HOSTILE[:20]}.toml"))
    for elements in (page.markdown, page.caption, page.info, page.header, page.get("html")):
        assert not [element for element in elements if "evil" in str(element.value)]


def firing(rule, key, fired, resolved=None, scope="topic"):
    at = DAY + fired * HOUR
    first = EventRow(
        rule=rule, key=key, scope=scope, at=at, previous="inactive", state="firing",
        reason="beyond_threshold", severity=5, fired_at=at, value=0.9, documents=12,
        window_start=at - HOUR, window_end=at,
    )  # fmt: skip
    return Firing(first, None if resolved is None else DAY + resolved * HOUR, first.severity)


def sides():
    span = Stretch(DAY, DAY + 168 * HOUR)
    a = [firing("one", "K", 1, 3), firing("one", "=cmd", 5, 6)]
    b = [firing("two", "K", 2, 4), firing("two", "L", 9)]
    return {"A": Result([], a, span), "B": Result([], b, span)}


def alone(found):
    both = compare(found["A"].firings, found["B"].firings, found["A"].span.until)
    return {id(each) for each in (*both.added, *both.gone)}


def test_lanes_hold_each_firing_with_who_has_it():
    found = sides()
    lanes = tabulate_lanes(found["A"].firings, found["B"].firings, alone(found), found["A"].span)
    rows = [(row.subject, row.set, row.alone) for row in lanes.itertuples()]
    assert rows == [("K", "A", False), ("=cmd", "A", True), ("K", "B", False), ("L", "B", True)]
    assert lanes.iloc[3]["rank"] == 0  # it fires to the end, the longest
    assert lanes.iloc[3]["resolved"] == "still firing"


def test_a_short_firing_in_a_long_span_can_be_seen():
    found = firing("r", "K", 1, 1)
    lanes = tabulate_lanes([found], [], (), Stretch(DAY, DAY + 3000 * HOUR))
    assert lanes.iloc[0]["end"] - lanes.iloc[0]["start"] == 10 * 3_600_000


def test_only_the_busiest_subjects_have_lanes():
    some = [firing("r", f"K{number:02}", 1, 2 + number) for number in range(LANES + 5)]
    lanes = tabulate_lanes(some, [], (), Stretch(DAY, DAY + 168 * HOUR))
    assert lanes["subject"].nunique() == LANES
    assert "K04" not in set(lanes["subject"])


def test_of_very_many_firings_the_longest_are_drawn():
    some = [firing("r", "K", number, number + 1) for number in range(BARS + 10)]
    some.append(firing("r", "K", 3, 90))
    lanes = tabulate_lanes(some, [], (), Stretch(DAY, DAY + 4000 * HOUR))
    assert len(lanes) == BARS
    assert (lanes["end"] - lanes["start"]).max() == 87 * 3_600_000


def test_loads_stand_side_by_side_the_largest_change_first():
    loads = tabulate_loads(sides())
    assert loads.iloc[0][["Key", "Alerts A", "Alerts B"]].tolist() == ["L", 0, 1]
    row = loads.set_index("Key").loc["K"]
    assert (row["Minutes A"], row["Minutes B"], row["Change"]) == (120.0, 120.0, 0.0)


def test_the_same_key_of_two_scopes_is_one_row_of_each():
    span = Stretch(DAY, DAY + 168 * HOUR)
    some = [firing("one", "K", 1, 2), firing("all", "", 1, 2, scope="all")]
    loads = tabulate_loads({"A": Result([], some, span), "B": Result([], [], span)})
    assert set(loads["Key"]) == {"K", "All documents"}


def test_files_hold_every_alert_and_no_formula():
    found = sides()
    exported = tabulate(found, alone(found))
    assert list(exported["only_here"]) == [False, True, False, True]
    read = pd.read_csv(io.BytesIO(as_csv(exported)))
    assert list(read["key"]) == ["K", "'=cmd", "K", "L"]
    assert read["resolved_at"].isna().tolist() == [False, False, False, True]
    whole = pd.read_parquet(io.BytesIO(as_parquet(exported)))
    assert list(whole["key"]) == ["K", "=cmd", "K", "L"]
    assert whole["fired_at"].iloc[0] == DAY + HOUR


def test_nothing_that_fired_makes_files_with_nothing_but_names():
    span = Stretch(DAY, DAY + HOUR)
    empty = {"A": Result([], [], span), "B": Result([], [], span)}
    exported = tabulate(empty, ())
    assert len(pd.read_csv(io.BytesIO(as_csv(exported)))) == 0
    assert len(pd.read_parquet(io.BytesIO(as_parquet(exported)))) == 0


def test_json_says_of_each_side_what_the_command_says():
    told = json.loads(
        as_json("r", sides(), {"A": "a.toml", "B": "b.toml"}, {}, {"A": 1.0, "B": 2.0})
    )
    assert (told["run"], told["a"]["rules"], told["b"]["seconds"]) == ("r", "a.toml", 2.0)
    assert [alert["key"] for alert in told["b"]["against"]["added"]] == ["L"]
    assert [alert["key"] for alert in told["b"]["against"]["gone"]] == ["=cmd"]


def test_an_alert_in_a_table_is_plain():
    row = tabulate_firings([firing(HOSTILE, HOSTILE, 1, 2)], DAY + 2 * HOUR).iloc[0]
    assert row["Lasted"] == "1 h"
    assert not {"\u202e", "\x1b"} & set(row["Rule"] + row["Subject"])
