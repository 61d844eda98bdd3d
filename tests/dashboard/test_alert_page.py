"""The page of alerts as Streamlit draws it, with alerts that the alerter itself has made."""

from datetime import timedelta
from pathlib import Path

import pytest
import streamlit as st
from support.alerting import MINUTE, at, commit_drawn
from support.pages import fine, linked, open_at, texts

from alerts.actions import acknowledge, comment_on
from alerts.alerter import Alerter
from alerts.common.links import alert_id
from alerts.receivers.receiver import Receiver
from alerts.rules.ruleset import Metric, RuleSet, ThresholdRule
from classifier.labels import Labels
from dashboard.alerts.page import since
from dashboard.common import reading
from store.commits import register_model
from store.database import Database
from store.runs import find_run, finish_run, open_run

MOOD = ThresholdRule(
    name="mood",
    metric=Metric.NEGATIVE_SHARE,
    threshold=0.6,
    scope="symbol",
    window=3 * MINUTE,
    every=MINUTE,
    min_documents=2,
    severity=8,
    receivers=("desk",),
)
DESK = Receiver(name="desk", type="console")
RULES = RuleSet(rules=(MOOD,), receivers=(DESK,))
HOSTILE = "evil <img src=x onerror=alert(1)> **bold** $x^2$ :red[boo] [y](javascript:alert(1))"


def script(database):
    from dashboard.alerts.page import show_alerts_page  # noqa: PLC0415 - Streamlit runs the source
    from dashboard.app import prepare_page  # noqa: PLC0415

    prepare_page()
    show_alerts_page(database)


@pytest.fixture
def open_page(scene):
    def opened(**query):
        return open_at(script, scene.database, **query)

    yield opened
    st.cache_data.clear()


@pytest.fixture
def judge(scene):
    """Commit a timeline of a symbol into a replay, and judge all of it."""
    with scene.database.transaction() as connection:
        register_model(connection, "m", Labels(("Macro",)))
        run = open_run(connection, "replay")

    def judged(timeline="====-----", symbol="CPLB", rules=RULES, *, notify=True, first=0):
        commit_drawn(scene.database, run, timeline, first, symbols=(symbol,))
        Alerter(scene.database, run, rules, notify=notify).advance(at(0), finish=True)
        return alert_id("replay", "mood", symbol)

    return judged


def table(page, column):
    """The one table that has a column of that name; None where there is none."""
    found = [frame.value for frame in page.dataframe if column in frame.value]
    return found[0] if found else None


def column(page, of, name):
    return list(table(page, of)[name])


def in_run(scene, action, *arguments):
    with scene.database.transaction() as connection:
        return action(connection, find_run(connection, "replay"), *arguments)


def test_without_runs_it_says_how_to_begin(open_page):
    assert "tapewatch demo" in open_page().info[0].value


def test_a_database_that_is_away_is_told_and_not_traced():
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    assert "database cannot be reached" in open_at(script, database).error[0].value
    database.close()


def test_a_statement_that_takes_too_long_is_ended_and_the_page_says_so(scene, judge, open_page):
    judge()
    scene.database.reading_seconds = 0.3
    with scene.database.transaction() as connection:
        connection.exec_driver_sql("lock table alert_states in access exclusive mode")
        page = open_page()
    assert "took longer than it may" in page.warning[0].value
    assert len(page.error) == 0
    st.cache_data.clear()
    assert column(fine(page.run()), "Lasted", "Subject") == ["CPLB"]


def test_what_a_page_shows_is_read_by_transactions_that_cannot_write():
    source = Path(reading.__file__).read_text()
    assert "database.reading()" in source
    assert "transaction()" not in source


def test_a_run_without_alerts_is_calm(judge, open_page):
    judge("=======")
    page = open_page()
    assert "Nothing is active" in page.markdown[-1].value
    assert len(page.dataframe) == 0


def test_what_is_active_comes_first_with_who_was_told(judge, open_page):
    judge("====-----=====----=====", "ENDS")
    judge("-----", "GOES", first=22)
    page = open_page()

    assert column(page, "Lasted", "State") == ["▲ firing", "✓ resolved", "✓ resolved"]
    assert column(page, "Lasted", "Subject") == ["GOES", "ENDS", "ENDS"]
    assert column(page, "Lasted", "Told") == ["told: firing", "\u2013", "\u2013"]
    assert "1 active, 2 ended" in page.caption[0].value
    assert linked(page)["state"] == "all"


def test_it_is_narrowed_by_state_severity_rule_and_subject(judge, open_page):
    judge("====-----=====----=====", "ENDS")
    judge("-----", "GOES", first=22)

    def subjects(**query):
        page = open_page(run="replay", **query)
        return None if table(page, "Lasted") is None else column(page, "Lasted", "Subject")

    assert subjects(state="firing") == ["GOES"]
    assert subjects(state="resolved") == ["ENDS", "ENDS"]
    assert subjects(about="GOES", rule="mood") == ["GOES"]
    assert subjects(severity="7") == ["GOES", "ENDS", "ENDS"]
    assert subjects(rule="other") is None
    page = open_page(run="replay", rule="other")
    assert "No alert is like that" in page.info[0].value


@pytest.mark.parametrize("query", [{"state": "<b>"}, {"severity": "$x$"}, {"within": "century"}])
def test_a_link_that_names_no_filter_opens_the_usual_view(judge, open_page, query):
    judge()
    assert column(open_page(**query), "Lasted", "Subject") == ["CPLB"]


def test_a_link_opens_an_alert_with_all_that_is_known_of_it(scene, judge, open_page):
    number = judge()
    in_run(scene, acknowledge, "mood", "CPLB", "ann", "on it")
    page = open_page(run="replay", alert=number)

    assert "mood · CPLB" in texts(page)
    assert any("acknowledged" in text and f"id {number}" in text for text in texts(page))
    assert column(page, "From", "To") == ["▲ firing"]
    assert column(page, "From", "Why") == ["beyond threshold"]
    assert column(page, "As", "Told") == ["✓ told"]
    assert column(page, "As", "To") == ["desk"]
    assert column(page, "Attempts", "Status") == ["pending"]
    assert column(page, "Who", "Who") == ["ann"]
    assert column(page, "Who", "What") == ["acknowledge"]
    assert any("Why it fired" in each.label for each in page.expander)


def test_what_was_held_back_says_why(judge, open_page):
    number = judge(notify=False)
    page = open_page(run="replay", alert=number)
    assert column(page, "As", "Told") == ["○ held back"]
    assert column(page, "As", "Why") == ["replay not notified"]
    assert any("Nobody was told" in text for text in texts(page))


def test_an_alert_that_ended_long_ago_is_opened_too(judge, open_page):
    number = judge("====-----=====")
    page = open_page(run="replay", state="firing", alert=number)
    assert "mood · CPLB" in texts(page)


def test_a_link_to_an_alert_that_is_not_there_says_so_and_can_be_closed(judge, open_page):
    judge()
    page = open_page(run="replay", alert="000000000000")
    assert "not in this run" in page.info[-1].value
    fine(page.button(key="close-alert").click().run())
    assert "alert" not in linked(page)


def test_hostile_names_and_comments_are_only_text(scene, judge, open_page):
    rule = ThresholdRule(**{**_fields(MOOD), "name": HOSTILE})
    judge(symbol=HOSTILE, rules=RuleSet(rules=(rule,), receivers=(DESK,)))
    in_run(scene, comment_on, HOSTILE, HOSTILE, "<b>evil</b>\u202e", f"{HOSTILE}\x1b[31m")
    page = open_page(run="replay", alert=alert_id("replay", HOSTILE, HOSTILE))

    assert column(page, "Lasted", "Rule") == [HOSTILE[:79] + "…"]
    assert column(page, "Who", "Who") == ["<b>evil</b>"]
    assert column(page, "Who", "Comment") == [f"{HOSTILE}[31m"]
    for elements in (page.markdown, page.caption, page.info, page.error, page.get("html")):
        assert not [element for element in elements if "evil" in str(element)]


def test_a_run_that_is_over_is_seen_from_its_own_end(scene, judge, open_page):
    judge("====-----=====")
    with scene.database.transaction() as connection:
        finish_run(connection, find_run(connection, "replay").id)
    assert column(open_page(run="replay", within="24h"), "Lasted", "Subject") == ["CPLB"]


def test_a_span_ends_on_a_minute_so_that_its_answer_is_kept():
    now = at(3) + timedelta(seconds=17, microseconds=5)
    assert since("24h", now) == at(3) - timedelta(days=1)
    assert since("all", now) is None


def _fields(rule):
    return {name: getattr(rule, name) for name in rule.__struct_fields__}
