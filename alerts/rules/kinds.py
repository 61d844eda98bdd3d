"""The kinds of rules: what each measures and when it fires. Fields as people write them.

Knows no bucket, no state and no clock, and reads no file. docs/rules.md describes every field.
"""

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal

import msgspec

from alerts.rules.rule import DAY, Metric, NoData, Rule


class ThresholdRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="threshold"):
    """Fires for a key while the metric of its window is beyond the threshold.

    ``clear`` is where a firing alert ends (hysteresis); by default it is the threshold itself.
    """

    metric: Metric
    threshold: float
    operator: Literal[">=", "<="] = ">="
    clear: float | None = None

    @property
    def level(self) -> float:
        """See ``Rule``."""
        return self.threshold

    @property
    def clear_threshold(self) -> float:
        """Where a firing alert ends."""
        return self.threshold if self.clear is None else self.clear

    def faults(self) -> Iterator[str]:
        """See ``Rule``."""
        yield from super().faults()
        threshold, clear = self.threshold, self.clear_threshold
        if self.min_documents == 0 and not self.expects and self.watchlist is None:
            yield "with `min_documents` 0 the `keys` must be named"
        if not (math.isfinite(threshold) and math.isfinite(clear)):
            yield "`threshold` and `clear` must be numbers"
        elif clear != threshold and (clear > threshold) == (self.operator == ">="):
            yield "`clear` lies on the wrong side of `threshold`"
        elif self.metric is Metric.NEGATIVE_SHARE and not 0 <= threshold <= 1:
            yield f"a share lies between 0 and 1, not at {threshold}"
        elif self.metric is Metric.MEAN_SCORE and not -1 <= threshold <= 1:
            yield f"a mean score lies between -1 and 1, not at {threshold}"


class SpikeRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="spike"):
    """Fires for a key while its window is far above what is usual for it at that time.

    ``threshold``: how unlikely the window must be by the baseline, as -log10 of a probability.
    ``clear``: how unlikely it must still be to go on. ``min_band``: how far above the baseline it
    must lie at least, in documents or as a share. ``history``: what the baseline is made of;
    ``min_history``: with less of it nothing is judged. ``min_texts``: how many different texts it
    takes for a firing to begin; repeats of one are one.
    """

    metric: Metric = Metric.NEGATIVE_COUNT
    threshold: float = 5.0
    clear: float | None = None
    min_band: float | None = None
    history: timedelta = timedelta(days=28)
    min_history: timedelta = timedelta(days=7)
    min_texts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3

    @property
    def severity_shown(self) -> int | None:
        """See ``Rule``."""
        return self.severity

    @property
    def level(self) -> float:
        """See ``Rule``."""
        return self.threshold

    @property
    def clear_threshold(self) -> float:
        """From when on a firing alert is clear."""
        return self.threshold / 2 if self.clear is None else self.clear

    @property
    def band(self) -> float:
        """``min_band``; by default five documents, or a tenth of them."""
        if self.min_band is not None:
            return self.min_band
        return 0.1 if self.is_share else 5.0

    @property
    def is_share(self) -> bool:
        """Whether a part of the documents is judged, not their number."""
        return self.metric is Metric.NEGATIVE_SHARE

    @property
    def baseline_reach(self) -> timedelta:
        """How far back of a grid point its baseline looks."""
        return self.history + DAY + self.window

    def faults(self) -> Iterator[str]:
        """See ``Rule``."""
        yield from super().faults()
        if self.metric is Metric.MEAN_SCORE:
            yield "`metric` of a spike rule: negative_count, negative_share or documents"
        if not 0 < self.threshold <= _MOST_SURPRISE:
            yield f"`threshold` must be above 0 and at most {_MOST_SURPRISE}: -log10 of a chance"
        elif not 0 <= self.clear_threshold <= self.threshold:
            yield "`clear` must lie between 0 and `threshold`"
        if not 0 <= self.band < math.inf or (self.is_share and self.band > 1):
            yield "`min_band` must be 0 or more, and at most 1 for a share"
        if self.window > timedelta(hours=12):
            yield "`window` of a spike rule must be 12h at most"
        if self.every > timedelta(0) and DAY % self.every:
            yield "`every` of a spike rule must divide a day, such as 5m or 1h"
        if self.history % DAY or not 2 * DAY <= self.history <= 92 * DAY:
            yield "`history` must be a whole number of days, from 2d to 92d"
        elif self.min_history % DAY or not 2 * DAY <= self.min_history <= self.history:
            yield "`min_history` must be a whole number of days, from 2d to `history`"
        if self.min_documents == 0:
            yield "`min_documents` of a spike rule must be 1 at least"


class TrendRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="trend"):
    """Fires for a key while its mean score falls from each of ``windows`` windows to the next.

    ``fall``: by how much altogether, at least; scores go from -1 to 1.
    """

    windows: Annotated[int, msgspec.Meta(ge=2, le=48)] = 4
    fall: float = 0.2

    @property
    def level(self) -> float:
        """See ``Rule``."""
        return self.fall

    @property
    def looks_back(self) -> timedelta:
        """See ``Rule``."""
        return self.window * self.windows

    def faults(self) -> Iterator[str]:
        """See ``Rule``."""
        yield from super().faults()
        if not 0 <= self.fall <= 2:
            yield "`fall` must lie between 0 and 2"
        if self.looks_back > 31 * DAY:
            yield "`windows` times `window` must be 31d at most"
        if self.min_documents == 0:
            yield "`min_documents` of a trend rule must be 1 at least"


class CompositeRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="composite"):
    """Fires for a key while all, or any, of other rules of the same scope fire for it."""

    all_of: tuple[str, ...] = msgspec.field(name="all", default=())
    any_of: tuple[str, ...] = msgspec.field(name="any", default=())
    min_documents: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def severity_shown(self) -> int | None:
        """See ``Rule``."""
        return self.severity

    @property
    def members(self) -> tuple[str, ...]:
        """The names of those rules."""
        return self.all_of or self.any_of

    @property
    def on_silence(self) -> NoData:
        """Its members say when data is missing."""
        return NoData.OK

    def faults(self) -> Iterator[str]:
        """See ``Rule``."""
        yield from super().faults()
        if bool(self.all_of) == bool(self.any_of):
            yield "a composite rule needs either `all` or `any`, a list of rules"
        if self.no_data is not None or self.no_data_after is not None or self.min_documents:
            yield "a composite rule has no `no_data` and no `min_documents`: its members have"


AnyRule = ThresholdRule | SpikeRule | TrendRule | CompositeRule

_MOST_SURPRISE = 100
