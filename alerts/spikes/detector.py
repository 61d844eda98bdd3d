"""One series, row by row: from a value to a verdict.

A verdict depends on the rows up to it and on nothing else, so a detector is rebuilt, bit for bit,
by replaying its series from the same first row. Memory is bounded by the history. Knows no wall
clock.

Surprises come tempered from the model. Here they become verdicts: nothing alerts while the detector
warms up; a row counts as new only if it is more surprising than all of the last hours, so that a
burst shows once in the scores, whatever threshold somebody draws in them; a lone row must be more
surprising than several in a row; and after an alert nothing alerts for a while, unless it is far
more surprising still.
"""

import math
from collections import deque
from datetime import datetime, timedelta

from alerts.spikes.counts import CountModel
from alerts.spikes.families import BetaBinomial, NegativeBinomial
from alerts.spikes.judged import UNKNOWN, Judged
from alerts.spikes.parameters import Kind, Parameters, Sides, SpikeError
from alerts.spikes.reals import RealModel
from alerts.spikes.ring import Ring
from alerts.spikes.season import Season
from alerts.spikes.verdict import Reason, Verdict, severity_of

_UNITS = {Kind.AUTO: 1.0, Kind.COUNT: 1.0, Kind.SHARE: 0.25, Kind.REAL: 0.0}
"""How far apart the quartiles of a season are at least."""
FADED = 0.5
"""What a surprise still scores that the hours before have seen greater."""


class Detector:
    """Judges a series of one step; `update` takes its rows in order."""

    def __init__(self, step: timedelta, parameters: Parameters | None = None) -> None:
        if step <= timedelta(0):
            raise SpikeError(f"a step of {step} is none: it must be above 0")
        self.parameters = parameters or Parameters()
        self.step = step
        self._history = max(200, self.parameters.history // step)
        self._warm_up = max(self.parameters.warm_up_rows, self.parameters.warm_up // step)
        self._kind = self.parameters.kind
        self._began: datetime | None = None
        self._seen: datetime | None = None
        self._slot = 0
        self._begin()

    def update(self, timestamp: datetime, value: float | None, total: int | None = None) -> Verdict:
        """Judge the next row; ``value`` None or NaN: the row is there, its value is not.

        Of a share, ``value`` is how many of ``total`` documents. Raises `SpikeError` for a row that
        does not follow the last one, or for a value that the kind of series cannot have; such a row
        changes nothing.
        """
        number = math.nan if value is None else float(value)
        slot = self._slot_of(timestamp)
        self._check(number, total)
        self._advance(slot)
        self._seen = timestamp
        judged = self._model_row(number, total)
        return self._verdict(timestamp, number, judged)

    def _begin(self) -> None:
        """Forget everything: a new series, or one after a gap longer than the history."""
        self._rows = 0
        self._values = Ring(self._history)
        self._recent: deque[float] = deque(maxlen=max(0, -(-self.parameters.hold // self.step) - 1))
        self._streak: deque[float] = deque(maxlen=self.parameters.persistence)
        self._alerted: tuple[int, float] | None = None
        self._build()

    def _build(self) -> None:
        self._season = Season(self.step, self._history, _UNITS[self._kind])
        self._model = self._new_model()

    def _new_model(self) -> CountModel | RealModel:
        if self._kind is Kind.REAL:
            return RealModel(self.parameters, self.step, self._history)
        family = BetaBinomial() if self._kind is Kind.SHARE else NegativeBinomial()
        return CountModel(family, self.parameters, self.step, self._history)

    def _check(self, value: float, total: int | None) -> None:
        """Settle the kind of the series, or refuse the value."""
        if math.isinf(value):
            raise SpikeError("a value is infinite: leave it empty if it is unknown")
        if total is not None:
            self._check_share(value, total)
        elif self._kind is Kind.SHARE:
            raise SpikeError("a row of a share lacks its total: give one in every row")
        self._check_value(value)

    def _check_value(self, value: float) -> None:
        if math.isnan(value) or self._kind is Kind.REAL:
            return
        if value < 0 or value != int(value):
            if self._kind is not Kind.AUTO:
                raise SpikeError(f"{value:g} is no count: give whole numbers, or the kind real")
            self._become_real()

    def _check_share(self, value: float, total: int) -> None:
        if self._kind is Kind.AUTO and not self._rows:
            self._kind = Kind.SHARE
            self._build()
        if self._kind is not Kind.SHARE:
            raise SpikeError("a total came with a series that is no share: give it in every row")
        if total < 0 or value > total:
            raise SpikeError(f"{value:g} of {total} documents is no share")

    def _become_real(self) -> None:
        """Learn what is remembered anew, as real values."""
        self._kind = Kind.REAL
        self._build()
        for value in self._values.last(self._history).copy():
            self._model_step(float(value), 1.0)

    def _slot_of(self, timestamp: datetime) -> int:
        """The row's number on the grid that the first row began."""
        if timestamp.tzinfo is None:
            raise SpikeError(f"{timestamp} has no time zone: give aware times")
        if self._began is None or self._seen is None:
            self._began = timestamp
            return 0
        if timestamp <= self._seen:
            raise SpikeError(
                f"{timestamp} does not come after {self._seen}: sort the rows, one for each moment"
            )
        if timestamp - self._seen < self.step / 2:
            raise SpikeError(
                f"{timestamp} and {self._seen} lie within one step of {self.step}: "
                "sum up the rows of a step, or give a shorter one"
            )
        return max(self._slot + 1, round((timestamp - self._began) / self.step))

    def _advance(self, slot: int) -> None:
        """Rows that are missing before the slot become rows without a value."""
        missing = slot - self._slot - 1
        if missing > self._history:
            self._begin()
        else:
            for _ in range(missing):
                self._model_row(math.nan, None)
        self._slot = slot

    def _model_row(self, value: float, total: int | None) -> Judged:
        self._rows += 1
        self._values.push(value)
        judged = self._model_step(value, 1.0 if self._kind is not Kind.SHARE else float(total or 0))
        surprise = {
            Sides.BOTH: max(judged.upper, judged.lower),
            Sides.UPPER: judged.upper,
            Sides.LOWER: judged.lower,
        }[self.parameters.sides]
        self._streak.append(surprise)
        return judged

    def _model_step(self, value: float, total: float) -> Judged:
        judged = self._model.step(value, total, self._season.next())
        self._season.push(value / total if total > 0 else math.nan)
        return judged

    def _verdict(self, timestamp: datetime, value: float, judged: Judged) -> Verdict:
        surprise = self._confirmed()
        new = surprise > max(self._recent, default=0.0)
        self._recent.append(surprise)
        warm = self._rows > self._warm_up
        shown = 0.0 if not warm else surprise if new else FADED * surprise
        threshold = self.parameters.threshold
        reason = self._reason(judged, value, shown, surprise)
        alert = reason in {Reason.BEYOND_BAND, Reason.SUSTAINED}
        if alert:
            self._alerted = self._rows, surprise
        return Verdict(
            timestamp=timestamp,
            value=_known(value),
            score=shown / (shown + threshold),
            baseline=_known(judged.baseline),
            lower=_known(judged.low),
            upper=_known(judged.high),
            severity=severity_of(surprise, threshold) if warm else 0,
            alert=alert,
            reason=reason,
            surprise=surprise,
        )

    def _confirmed(self) -> float:
        """The surprise of as many rows as must agree, or of the newest alone, at a discount."""
        together = min(self._streak) if len(self._streak) == self._streak.maxlen else 0.0
        return max(0.0, together, self._streak[-1] - self.parameters.lone)

    def _reason(self, judged: Judged, value: float, shown: float, surprise: float) -> Reason:
        threshold = self.parameters.threshold
        if self._rows <= self._warm_up:
            return Reason.WARMING_UP
        if math.isnan(value) or judged is UNKNOWN:
            return Reason.NO_VALUE
        if surprise < threshold:
            return Reason.WITHIN_BAND
        if shown < threshold or self._holds(surprise):
            return Reason.HELD
        return (
            Reason.BEYOND_BAND if judged.row >= self.parameters.row_threshold else Reason.SUSTAINED
        )

    def _holds(self, surprise: float) -> bool:
        """Whether an alert so shortly before speaks for this row too."""
        if self._alerted is None:
            return False
        row, told = self._alerted
        recent = (self._rows - row) * self.step < self.parameters.hold
        return recent and surprise < self.parameters.escalation * told


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None
