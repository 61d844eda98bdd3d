"""Spike rules: whether a key's window lies far above what is usual for it at that time. Pure.

The baseline is that of ``alerts.spikes.seasonal``: the same windows of earlier days. Nothing is
remembered from one grid point to the next. The wall clock is UTC's, so where clocks change the
season is an hour off until the history has gone by.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from alerts.conditions.decisions import Coverage, measure, unjudged
from alerts.conditions.lifecycle import Condition, Finding, Usual
from alerts.conditions.windows import MINUTE, Series, minute_of, moment_of
from alerts.rules.kinds import SpikeRule
from alerts.rules.rule import DAY, Metric
from alerts.spikes import seasonal, tails
from alerts.spikes.families import BetaBinomial
from alerts.spikes.seasonal import Baseline, Earlier
from alerts.spikes.verdict import severity_of

_A_DAY = DAY // MINUTE
_AN_HOUR = 60
_DOCUMENTS, _NEGATIVE = 0, 1
_JUDGED = 2
"""Columns of sums that are looked at, those two."""

_AT_ONCE = 4_096
"""Grid points of which all earlier windows are looked at together."""

_NO_CHANCE = 2.0
"""From this surprise on a wider spread makes nothing more surprising: it is far out in the tail."""

_WILD = 5
"""Times what is usual that no earlier window may hold for a count to be ruled out before its spread
is known: then the dispersion is under 32, up to which the surprises were compared one by one."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Some grid points: their earlier windows, and the baseline at each."""

    part: Earlier
    whole: Earlier
    baseline: Baseline


class SpikeFinder:
    """What a spike rule finds for one key at the grid points ``points``.

    ``minutes`` go back by the rule's ``baseline_reach``, at least for the windows themselves;
    ``hours`` hold the sums of whole hours for as long. ``began``: when the run's documents began.
    ``texts``: how many different texts the window that ends at a moment holds.
    """

    def __init__(  # noqa: PLR0913 - all that a baseline is made of
        self,
        rule: SpikeRule,
        minutes: Series,
        hours: Series,
        points: Ints,
        began: datetime | None,
        texts: Callable[[datetime], int] | None = None,
    ) -> None:
        self._texts = texts
        self._rule, self._minutes, self._hours, self._points = rule, minutes, hours, points
        self._began = None if began is None else minute_of(began)
        self._window = rule.window // MINUTE
        self._found: dict[int, Finding] = {}
        self._met: Ints | None = None

    def find(self, now: datetime, coverage: Coverage = Coverage.USUAL) -> Finding:
        """See ``alerts.conditions.finders.Finder``."""
        sums = self._minutes.window(now - self._rule.window, now)
        value = measure(self._rule.metric, sums)
        if coverage is Coverage.SILENT or sums.documents < self._rule.min_documents:
            return unjudged(coverage, value)
        point = minute_of(now)
        found = self._found.get(point)
        return found or self._judge(self._rows(np.array([point])), 0)

    def confirm(self, finding: Finding, now: datetime) -> Finding:
        """One text that is passed on and on begins no firing; it does not end one either."""
        if self._texts is None or self._rule.min_texts == 1:
            return finding
        if self._texts(now) >= self._rule.min_texts:
            return finding
        return replace(finding, condition=Condition.HELD, severity=None)

    def next_met(self, now: datetime) -> datetime | None:
        """See ``alerts.conditions.finders.Finder``."""
        if self._met is None:
            self._met = self._screen()
        index = int(np.searchsorted(self._met, minute_of(now)))
        return moment_of(self._met[index]) if index < len(self._met) else None

    def _screen(self) -> Ints:
        """The grid points at which the condition is met."""
        rule = self._rule
        sums = self._minutes.sums(self._points, self._window, _JUDGED)
        enough = sums[:, _DOCUMENTS] >= rule.min_documents
        enough &= self._part(sums) >= rule.band * (sums[:, _DOCUMENTS] if rule.is_share else 1)
        points = self._points[enough]
        for start in range(0, len(points), _AT_ONCE):
            some = points[start : start + _AT_ONCE]
            some = some[self._may_surprise(some)]
            rows = self._rows(some)
            for row in np.flatnonzero(self._suspects(rows)):
                self._found[int(some[row])] = self._judge(rows, int(row))
        met = [point for point, found in self._found.items() if found.condition is Condition.MET]
        return np.array(sorted(met), np.int64)

    def _may_surprise(self, points: Ints) -> NDArray[np.bool_]:
        """Where the window may be surprising enough, by less than the whole baseline.

        The days before only raise what is expected, and the spread only lowers a surprise that is
        none of chance. So what is ruled out without them is ruled out with them. That holds unless
        earlier windows are nearly all empty and a few are full: such rows are kept.
        """
        rule = self._rule
        if rule.threshold < _NO_CHANCE:
            return np.ones(len(points), np.bool_)
        ends = self._ends(points)
        windows = self._minutes.sums(ends, self._window, _JUDGED)
        known = self._known(points - self._window, ends.shape[1] - 1)
        parts, wholes = self._part(windows), np.take(windows, _DOCUMENTS, -1)
        part = parts[:, 0].astype(np.float64)
        if rule.is_share:
            whole = np.maximum(wholes[:, 0], 1).astype(np.float64)
            least = seasonal.least_share(parts[:, 1:], wholes[:, 1:], known)
            most = seasonal.most_surprising_share(part, whole, least)
            above: NDArray[np.bool_] = part / whole > least
        else:
            least = seasonal.least_count(parts[:, 1:], known)
            wild = (least < 1) | (parts[:, 1:].max(axis=1) > _WILD * least)
            most = seasonal.most_surprising_count(np.maximum(part, 1.0), least, 0 * least)
            most = np.where(wild, np.inf, most)
            above = wild | (part > least)
        return above & (most >= rule.threshold)

    def _suspects(self, rows: _Rows) -> NDArray[np.bool_]:
        """Where the window lies above the minimum band and may be surprising enough."""
        rule, baseline = self._rule, rows.baseline
        part, whole = rows.part.now.astype(np.float64), rows.whole.now.astype(np.float64)
        value = part / whole if rule.is_share else part
        above = value >= baseline.expected + rule.band
        above &= (value > baseline.expected) & (rows.part.known >= self._least)
        if rule.is_share:
            most = seasonal.most_surprising_share(part, whole, baseline.expected)
        else:
            part = np.maximum(part, 1.0)
            most = seasonal.most_surprising_count(part, baseline.expected, baseline.dispersion)
        return above & (most >= rule.threshold)

    @property
    def _least(self) -> int:
        return self._rule.min_history // DAY

    def _ends(self, points: Ints) -> Ints:
        """(n, 1 + days) the ends of the windows, and of the same ones so many days earlier."""
        ends: Ints = points[:, None] - np.arange(self._rule.history // DAY + 1) * _A_DAY
        return ends

    def _rows(self, points: Ints) -> _Rows:
        ends = self._ends(points)
        whole_hours = (ends - self._window) // _AN_HOUR * _AN_HOUR
        windows = self._minutes.sums(ends, self._window, _JUDGED)
        last_days = self._hours.sums(whole_hours, _A_DAY, _JUDGED)
        known = self._known(points - self._window, ends.shape[1] - 1)
        known_days = self._known(whole_hours[:, 0] - _A_DAY, ends.shape[1] - 1)

        def earlier(of: Ints, of_days: Ints) -> Earlier:
            return Earlier(of[:, 0], of_days[:, 0], of[:, 1:], of_days[:, 1:], known, known_days)

        whole = earlier(np.take(windows, _DOCUMENTS, -1), np.take(last_days, _DOCUMENTS, -1))
        part = earlier(self._part(windows), self._part(last_days))
        if self._rule.is_share:
            return _Rows(part, whole, seasonal.of_shares(part, whole))
        return _Rows(part, whole, seasonal.of_counts(part))

    def _part(self, sums: Ints) -> Ints:
        """What is judged: negative documents, or all of them."""
        column = _DOCUMENTS if self._rule.metric is Metric.DOCUMENTS else _NEGATIVE
        part: Ints = np.take(sums, column, axis=-1)
        return part

    def _known(self, starts: Ints, most: int) -> Ints:
        """How many days earlier there were documents of the run at all."""
        if self._began is None:
            return np.full(len(starts), most, np.int64)
        return np.clip((starts - self._began) // _A_DAY, 0, most)

    def _judge(self, rows: _Rows, row: int) -> Finding:
        """What is found in one row whose window holds enough documents."""
        rule, known = self._rule, int(rows.part.known[row])
        count, total = int(rows.part.now[row]), int(rows.whole.now[row])
        value = count / total if rule.is_share else float(count)
        if known < self._least:
            return Finding(Condition.LEARNING, value)
        expected = float(rows.baseline.expected[row])
        spread = float(rows.baseline.dispersion[row])
        if rule.is_share:
            surprise = tails.share_upper(count, total, expected, spread)
            bound = BetaBinomial().bound(rule.threshold, total, expected * total, spread) / total
        else:
            surprise = tails.count_upper(count, expected, spread)
            bound = tails.count_bound(rule.threshold, expected, spread)
        # A share of which nothing would be surprising has its band's end at all documents.
        upper = max(min(bound, 1.0) if rule.is_share else bound, expected + rule.band)
        return self._found_of(value, Usual(expected, upper, surprise))

    def _found_of(self, value: float, usual: Usual) -> Finding:
        rule = self._rule
        met = usual.surprise >= rule.threshold and value >= usual.baseline + rule.band
        if met:
            severity = max(1, severity_of(usual.surprise, rule.threshold))
            return Finding(Condition.MET, value, severity, usual)
        held = usual.surprise >= rule.clear_threshold and value > usual.baseline
        return Finding(Condition.HELD if held else Condition.CLEAR, value, None, usual)
