from datetime import timedelta

import pytest
from msgspec.structs import replace
from support.alerting import MINUTE, at, commit_drawn

from alerts.alerter import Alerter
from alerts.backtest.history import judge_history, whole_span
from alerts.conditions.finders import Stretch
from alerts.evaluation.judging import judge
from alerts.evaluation.lookback import merged, read_series
from alerts.rules.kinds import CompositeRule, SpikeRule, ThresholdRule, TrendRule
from alerts.rules.rule import Metric, NoData
from alerts.rules.ruleset import RuleSet
from store import alertlog, runs
from store.cards import read_cards_of_alert
from store.digest import digest, digest_events

DAY = 1440
SECOND = timedelta(seconds=1)
OF_SYMBOLS = {"scope": "symbol", "window": 30 * MINUTE, "min_documents": 3, "no_data": NoData.OK}

RULES = RuleSet(
    rules=(
        SpikeRule(
            name="spike", min_history=timedelta(days=3), history=timedelta(days=5), threshold=3.0,
            min_texts=1, keys=("K",), aliases={"K": ("K.OLD",)}, names={"K": "Kay Bank"},
            **OF_SYMBOLS,
        ),
        ThresholdRule(
            name="share", metric=Metric.NEGATIVE_SHARE, threshold=0.5,
            overrides=({"keys": ("L",), "threshold": 0.9, "severity": 9},), **OF_SYMBOLS,
        ),
        TrendRule(name="trend", windows=3, fall=0.3, **OF_SYMBOLS),
        CompositeRule(name="both", all_of=("spike", "share"), scope="symbol", no_data=None),
        CompositeRule(name="all", all_of=("either", "both"), scope="symbol"),
        CompositeRule(name="either", any_of=("trend", "share"), scope="symbol"),
    )
)  # fmt: skip


def day(bad=None, minutes=DAY):
    """Six neutral documents an hour, and a negative one each hour; `bad` minutes are negative."""
    drawn = ["."] * minutes
    for minute in range(0, minutes, 10):
        drawn[minute] = "-" if minute % 60 == 30 else "="
    for minute in bad or ():
        drawn[minute] = "-"
    return "".join(drawn)


FEED = [
    day(), day(range(700, 715)), day(), day(), day(range(600, 640, 2)), day(range(900, 1000)),
    day(),
]  # fmt: skip


def fill(database, run, symbol, feed=FEED):
    for number, timeline in enumerate(feed):
        commit_drawn(database, run, timeline, number * DAY, (symbol,))


def told(events):
    return [(event.rule, event.key, event.state) for event in events]


@pytest.fixture
def judged_live(database, run):
    """The events of a run that was judged step by step, while its documents came."""
    alerter = Alerter(database, run, RULES)
    for number, timeline in enumerate(FEED):
        for first in range(0, DAY, 240):
            part = timeline[first : first + 240]
            commit_drawn(database, run, part, number * DAY + first, ("K",))
            alerter.advance(at(number * DAY + first + 240))
    alerter.advance(at(len(FEED) * DAY), finish=True)
    with database.transaction() as connection:
        return digest(connection, run.id)["alerts"]


def test_every_kind_of_rule_says_the_same_live_and_in_a_backtest(database, run, judged_live):
    with database.transaction() as connection:
        span = whole_span(connection, run.id)

    events = judge_history(database, run.id, RULES, span).events

    assert digest_events(events) == judged_live
    fired = {event.rule for event in events if event.state == "firing"}
    assert fired == {"spike", "share", "trend", "both", "either", "all"}
    assert {"spike", "both"} <= {event.rule for event in events if event.reason == "graver"}


def test_a_replay_of_weeks_in_one_step_says_the_same(database, run, judged_live):
    with database.transaction() as connection:
        again = runs.open_run(connection, "again")
    fill(database, again, "K")

    Alerter(database, again, RULES).advance(at(0), finish=True)

    with database.transaction() as connection:
        assert digest(connection, again.id)["alerts"] == judged_live


def test_a_composite_rule_fires_while_all_of_its_members_do(database, run):
    fill(database, run, "K")
    Alerter(database, run, RULES).advance(at(0), finish=True)

    with database.transaction() as connection:
        history = {
            rule: sorted(alertlog.read_history(connection, run.id, rule, "K"),
                         key=lambda event: event.at)
            for rule in ("spike", "share", "both", "either", "all")
        }  # fmt: skip
    spans = {
        rule: [e.at for e in events if e.state == "resolved" or e.at == e.fired_at]
        for rule, events in history.items()
    }
    for began, ended in zip(spans["both"][::2], spans["both"][1::2], strict=True):
        for rule in ("spike", "share"):
            pairs = zip(spans[rule][::2], spans[rule][1::2], strict=True)
            assert any(first <= began and ended <= last for first, last in pairs)
    assert history["both"][0].severity == history["spike"][0].severity
    # Where both fires, so does either: what is made of the two is what both is.
    assert spans["all"] == spans["both"] != spans["either"]


def test_an_alias_counts_as_the_key_and_its_card_quotes_its_documents(database, run):
    for number, timeline in enumerate(FEED):
        symbol = "K.OLD" if number >= 4 else "K"
        commit_drawn(database, run, timeline, number * DAY, (symbol,))

    Alerter(database, run, RULES).advance(at(0), finish=True)

    with database.transaction() as connection:
        events = [e for e in alertlog.read_history(connection, run.id, "spike", "K")
                  if e.state == "firing"]  # fmt: skip
        cards = read_cards_of_alert(connection, run.id, "spike", "K")
        span = whole_span(connection, run.id)
        assert alertlog.read_history(connection, run.id, "spike", "K.OLD") == []
        known = digest(connection, run.id)["alerts"]
    assert events
    assert cards[0].card["drivers"]
    assert cards[0].card["rule"]["baseline"] < cards[0].card["rule"]["value"]
    assert digest_events(judge_history(database, run.id, RULES, span).events) == known


def test_an_override_holds_for_its_key_only(database, run):
    fill(database, run, "K", [day(range(700, 730))])
    with database.transaction() as connection:
        other = runs.open_run(connection, "other")
    fill(database, other, "L", [day(range(700, 730))])

    for one in (run, other):
        Alerter(database, one, RULES).advance(at(0), finish=True)

    with database.transaction() as connection:
        alerts = alertlog.read_alerts(connection)
    shares = {a.key: (a.fired_at, a.severity) for a in alerts if a.rule == "share"}
    assert shares["K"][1] == 5
    assert shares["L"][1] == 9
    assert shares["K"][0] < shares["L"][0]


@pytest.mark.parametrize(
    ("points", "most_minutes", "most_hours"),
    # One window of each day and each day are sums; else windows of 35 minutes, and hours.
    [(1, 5 + 150 // 10, 6), (2, 5 * 4 + 150 // 10, 6 * 24 + 2)],
)
def test_a_step_reads_few_of_the_weeks_of_minutes(database, run, points, most_minutes, most_hours):
    fill(database, run, "K")
    with database.transaction() as connection:
        end = at(len(FEED) * DAY)
        ((_, series, past),) = read_series(
            connection, run.id, RULES.rules[:1], Stretch(end - points * 5 * MINUTE, end)
        )

    assert 5 < len(list(series["K"].minutes())) <= most_minutes
    assert 5 < len(list(past.hours("K").minutes())) <= most_hours


def test_a_step_of_one_point_finds_what_a_step_of_many_finds(database, run, judged_live):
    """Judged point by point, where earlier windows are read as sums."""
    with database.transaction() as connection:
        again = runs.open_run(connection, "again")
    fill(database, again, "K")
    alerter = Alerter(database, again, RuleSet(rules=RULES.rules[:2]))
    outcome, after = {}, at(4 * DAY)
    with database.transaction() as connection:
        whole = judge(connection, again.id, alerter.rules, {}, after, at(6 * DAY))
        for end in range(4 * DAY + 5, 6 * DAY + 1, 5):
            step = judge(connection, again.id, alerter.rules, outcome, after, at(end))
            outcome, after = step.standings, at(end)
            for event in step.events:
                assert event in whole.events
                whole.events.remove(event)
    assert not whole.events


@pytest.mark.parametrize(("texts", "fires"), [(1, True), (2, False)])
def test_one_text_that_is_passed_on_is_no_spike(database, run, texts, fires):
    """All documents say the same here, whoever they are of."""
    rule = replace(RULES.rules[0], min_texts=texts)
    fill(database, run, "K")

    Alerter(database, run, RuleSet(rules=(rule,))).advance(at(0), finish=True)

    with database.transaction() as connection:
        told = alertlog.read_alerts(connection, run.name)
        span = whole_span(connection, run.id)
    assert bool(told) is fires
    tried = judge_history(database, run.id, RuleSet(rules=(rule,)), span)
    assert bool(tried.events) is fires


def test_spans_that_touch_or_overlap_are_read_once():
    spans = [(at(10), at(20)), (at(0), at(5)), (at(20), at(30)), (at(4), at(6)), (at(2), at(3))]

    assert merged(spans) == [(at(0), at(6)), (at(10), at(30))]
