"""Backtests of the dashboard: judged on a thread of their own, one after another, and kept.

Everybody's page asks the same keeper, so what one has compared is there for the next, by the run
and by what the rules judge. A backtest ends when it is told to, or after ``LONGEST`` seconds. Of
the rules that were uploaded the latest are kept too, so that a link can name them by digest. Knows
no widget.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock, Thread
from time import monotonic

from alerts.backtest.report import Result, digest_rules, run_backtest
from alerts.rules.ruleset import RuleSet
from dashboard.common.words import later
from store.database import Database
from store.errors import StoreError

LONGEST = 120.0
"""Seconds that a backtest may judge."""

KEPT = 24
"""Backtests and sets of rules that are kept."""


class Stage(StrEnum):
    """How far a backtest is."""

    WAITING = later("waiting")
    RUNNING = later("running")
    DONE = "done"
    EMPTY = later("the run holds no document")
    CANCELLED = later("it was cancelled")
    TOO_LONG = later("it took too long")
    FAILED = later("it failed")


UNDER_WAY = frozenset({Stage.WAITING, Stage.RUNNING})


@dataclass(frozen=True, slots=True)
class Rules:
    """A set of rules to judge by, and how it is called on screen."""

    name: str
    rules: RuleSet
    digest: str


def make_rules(name: str, rules: RuleSet) -> Rules:
    """``rules`` under the digest of what they judge."""
    return Rules(name, rules, digest_rules(rules))


class _Ended(Exception):  # noqa: N818 - no error: somebody wished it, or it took too long
    def __init__(self, stage: Stage) -> None:
        self.stage = stage


@dataclass(slots=True)
class Backtest:
    """One backtest: how far it is, and what came of it. Read by many threads, written by one."""

    rules: Rules
    stage: Stage = Stage.WAITING
    done: int = 0
    keys: int = 0
    result: Result | None = None
    error: str = ""
    seconds: float = 0.0
    cancelled: bool = field(default=False)

    @property
    def under_way(self) -> bool:
        """Whether it waits or runs."""
        return self.stage in UNDER_WAY

    @property
    def share(self) -> float:
        """How much of it is done, in [0, 1]."""
        return self.done / self.keys if self.keys else 0.0

    def cancel(self) -> None:
        """Have it end before the next rule of a key."""
        self.cancelled = True


Judge = Callable[
    [Database, int, RuleSet, Callable[[int, int], None], Callable[[], None]], Result | None
]


class Backtests:
    """The keeper. ``judge`` is ``run_backtest``, or what stands in for it."""

    def __init__(self, judge: Judge = run_backtest, longest: float = LONGEST) -> None:
        self._judge = judge
        self._longest = longest
        self._lock = Lock()
        self._turn = Lock()
        self._kept: OrderedDict[tuple[str, int, str], Backtest] = OrderedDict()
        self._rules: OrderedDict[str, Rules] = OrderedDict()

    def keep_rules(self, rules: Rules) -> None:
        """Remember uploaded rules."""
        with self._lock:
            self._rules[rules.digest] = rules
            self._rules.move_to_end(rules.digest)
            while len(self._rules) > KEPT:
                self._rules.popitem(last=False)

    def rules_of(self, digest: str) -> Rules | None:
        """Rules that were uploaded, by their digest or its beginning; None: not kept any more."""
        with self._lock:
            known = [rules for of, rules in self._rules.items() if digest and of.startswith(digest)]
        return known[0] if len(known) == 1 else None

    def known(self, database: Database, run_id: int, rules: Rules) -> Backtest | None:
        """The backtest of these rules on a run, if somebody asked for it."""
        with self._lock:
            return self._kept.get((database.url, run_id, rules.digest))

    def ask(self, database: Database, run_id: int, rules: Rules) -> Backtest:
        """Begin a backtest, unless it is under way; one that is done is made anew."""
        key = (database.url, run_id, rules.digest)
        with self._lock:
            found = self._kept.get(key)
            if found is not None and found.under_way:
                return found
            begun = self._kept[key] = Backtest(rules)
            self._kept.move_to_end(key)
            self._forget_old()
        work = (begun, database, run_id)
        Thread(target=self._run, args=work, name="backtest", daemon=True).start()
        return begun

    def _forget_old(self) -> None:
        for key in [key for key, found in self._kept.items() if not found.under_way]:
            if len(self._kept) <= KEPT:
                return
            del self._kept[key]

    def _run(self, backtest: Backtest, database: Database, run_id: int) -> None:
        while not self._turn.acquire(timeout=0.1):
            if backtest.cancelled:
                backtest.stage = Stage.CANCELLED
                return
        try:
            self._work(backtest, database, run_id)
        finally:
            self._turn.release()

    def _work(self, backtest: Backtest, database: Database, run_id: int) -> None:
        begun = monotonic()

        def on_progress(done: int, keys: int) -> None:
            backtest.done, backtest.keys = done, keys

        def may_go_on() -> None:
            if backtest.cancelled:
                raise _Ended(Stage.CANCELLED)
            if monotonic() - begun > self._longest:
                raise _Ended(Stage.TOO_LONG)

        stage = Stage.CANCELLED
        try:
            if not backtest.cancelled:
                backtest.stage = Stage.RUNNING
                backtest.result = self._judge(
                    database, run_id, backtest.rules.rules, on_progress, may_go_on
                )
                stage = Stage.EMPTY if backtest.result is None else Stage.DONE
        except _Ended as ended:
            stage = ended.stage
        except StoreError as error:
            stage, backtest.error = Stage.FAILED, str(error)
        except Exception as error:  # noqa: BLE001 - the thread has nobody above it to tell
            stage, backtest.error = Stage.FAILED, f"{type(error).__name__}: {error}"
        backtest.seconds = monotonic() - begun
        backtest.stage = stage  # last: who sees it reads the rest
