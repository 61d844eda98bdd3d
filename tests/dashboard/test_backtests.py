"""The keeper of backtests: one after another, kept by what is judged, ended on wish or by time."""

import time
from datetime import UTC, datetime
from threading import Event

import pytest

from alerts.backtest.report import Result
from alerts.conditions.finders import Stretch
from alerts.rules.ruleset import parse_rules
from dashboard.replays.backtests import KEPT, Backtests, Stage, make_rules
from store.errors import DatabaseUnavailableError

DAY = datetime(2026, 3, 9, tzinfo=UTC)
DONE = Result([], [], Stretch(DAY, DAY))
PATIENCE = 20


class Somewhere:
    """A database as the keeper sees it."""

    url = "postgresql://somewhere"


def rules(threshold=0.5):
    text = f'[[rules]]\nname = "r"\nmetric = "negative_share"\nthreshold = {threshold}\n'
    return make_rules("r.toml", parse_rules(text.encode(), "r.toml", None))


def wait(backtest, *stages):
    deadline = time.monotonic() + PATIENCE
    while backtest.stage not in stages:
        assert time.monotonic() < deadline, backtest
        time.sleep(0.01)
    return backtest


def ended(backtest):
    return wait(backtest, *set(Stage) - {Stage.WAITING, Stage.RUNNING})


def judged(outcome=DONE):
    """A judge that says how far it is and comes to ``outcome``; it may raise it."""

    def judge(_database, _run, _rules, on_progress, _may_go_on):
        on_progress(1, 2)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return judge


class Held:
    """A judge that waits until it is let go, telling all the while how far it is."""

    def __init__(self):
        self.begun, self.free = Event(), Event()

    def __call__(self, _database, _run, _rules, on_progress, may_go_on):
        on_progress(1, 4)
        self.begun.set()
        while not self.free.wait(0.01):
            may_go_on()
        return DONE


def test_a_backtest_is_made_once_and_kept():
    backtests = Backtests(judged())
    assert backtests.known(Somewhere, 1, rules()) is None
    found = ended(backtests.ask(Somewhere, 1, rules()))
    assert (found.stage, found.result, found.share) == (Stage.DONE, DONE, 0.5)
    assert backtests.known(Somewhere, 1, rules()) is found
    assert backtests.known(Somewhere, 2, rules()) is None
    assert backtests.known(Somewhere, 1, rules(0.6)) is None


def test_what_is_under_way_is_not_begun_again_and_what_is_done_is():
    held = Held()
    backtests = Backtests(held)
    first = backtests.ask(Somewhere, 1, rules())
    assert held.begun.wait(PATIENCE)
    assert backtests.ask(Somewhere, 1, rules()) is first
    held.free.set()
    ended(first)
    assert backtests.ask(Somewhere, 1, rules()) is not first


def test_they_come_one_after_another_and_each_can_be_cancelled():
    held = Held()
    backtests = Backtests(held)
    first = backtests.ask(Somewhere, 1, rules())
    assert held.begun.wait(PATIENCE)
    second = backtests.ask(Somewhere, 1, rules(0.6))
    time.sleep(0.2)
    assert second.stage is Stage.WAITING
    second.cancel()
    assert ended(second).stage is Stage.CANCELLED
    assert first.stage is Stage.RUNNING
    first.cancel()
    assert ended(first).stage is Stage.CANCELLED
    assert first.result is None


def test_one_that_takes_too_long_is_ended():
    found = ended(Backtests(Held(), longest=0.05).ask(Somewhere, 1, rules()))
    assert (found.stage, found.result) == (Stage.TOO_LONG, None)
    assert found.seconds >= 0.05


@pytest.mark.parametrize(
    ("outcome", "stage", "error"),
    [
        (None, Stage.EMPTY, ""),
        (DatabaseUnavailableError("away"), Stage.FAILED, "away"),
        (KeyError("x"), Stage.FAILED, "KeyError: 'x'"),
    ],
)
def test_what_comes_to_nothing_says_why_and_the_next_one_goes_on(outcome, stage, error):
    backtests = Backtests(judged(outcome))
    found = ended(backtests.ask(Somewhere, 1, rules()))
    assert (found.stage, found.result, found.error) == (stage, None, error)
    assert ended(backtests.ask(Somewhere, 2, rules())).stage is stage


def test_only_the_latest_are_kept():
    backtests = Backtests(judged())
    every = [rules(number / 100) for number in range(KEPT + 3)]
    for each in every:
        ended(backtests.ask(Somewhere, 1, each))
        backtests.keep_rules(each)
    known = [backtests.known(Somewhere, 1, each) is not None for each in every]
    assert known == [False] * 3 + [True] * KEPT
    assert [backtests.rules_of(each.digest) is not None for each in every] == known


def test_rules_are_found_by_the_beginning_of_their_digest():
    backtests = Backtests(judged())
    backtests.keep_rules(rules())
    assert backtests.rules_of(rules().digest[:16]) == rules()
    assert backtests.rules_of("0" * 16) is None
    assert backtests.rules_of("") is None
