"""What every rule has: keys, windows, times, severity. Fields as people write them.

Knows no bucket, no state and no clock, and reads no file. docs/rules.md describes every field.
"""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import msgspec

from alerts.common.fields import Identifier, Severity

GRID = timedelta(minutes=1)
"""Rules are judged at whole multiples of this, counted from the UNIX epoch."""

DAY = timedelta(days=1)
USUAL_SEVERITY = 5
_EMPTY_WINDOWS = 4
"""After so many windows without a document a key has no data, unless the rule says otherwise."""


class Metric(StrEnum):
    """What a rule measures in a window."""

    NEGATIVE_SHARE = "negative_share"
    NEGATIVE_COUNT = "negative_count"
    MEAN_SCORE = "mean_score"
    DOCUMENTS = "documents"


class NoData(StrEnum):
    """What a rule makes of a key whose documents stop coming.

    ``ALERT``: a state of its own, and told. ``KEEP``: what fires goes on. ``OK``: what fires ends
    once its windows have been too thin for long enough.
    """

    ALERT = "alert"
    KEEP = "keep"
    OK = "ok"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What every rule has.

    ``keys`` empty means every key of the scope. ``keep_firing_for`` is how long the condition must
    be clear before the alert ends. ``aliases`` are other spellings of a key, whose documents count
    as its own; ``names`` is what people call it. ``overrides`` hold for some keys only.
    """

    name: Identifier
    scope: Literal["all", "topic", "symbol", "source"] = "topic"
    keys: tuple[str, ...] = ()
    watchlist: str | None = None
    aliases: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    kinds: tuple[Literal["news", "comment"], ...] = ("news", "comment")
    window: timedelta = timedelta(hours=1)
    every: timedelta = timedelta(minutes=5)
    for_duration: timedelta = msgspec.field(name="for", default=timedelta(0))
    keep_firing_for: timedelta = timedelta(0)
    no_data: NoData | None = None
    no_data_after: timedelta | None = None
    min_documents: Annotated[int, msgspec.Meta(ge=0)] = 10
    severity: Severity | None = None
    receivers: tuple[str, ...] = ("console",)
    overrides: tuple[dict[str, Any], ...] = ()

    @property
    def type(self) -> str:
        """The kind of rule, as it is written."""
        return str(self.__struct_config__.tag)

    @property
    def expects(self) -> bool:
        """Whether the rule says by name for what documents should come."""
        return bool(self.keys) or self.scope == "all"

    @property
    def on_silence(self) -> NoData:
        """``no_data``; by default ``alert`` where documents are expected and fewness is no aim."""
        if self.no_data is not None:
            return self.no_data
        return NoData.ALERT if self.expects and self.min_documents > 0 else NoData.OK

    @property
    def silence(self) -> timedelta:
        """How long nothing may come for a key until it has no data."""
        return self.no_data_after or self.window * _EMPTY_WINDOWS

    @property
    def reach(self) -> timedelta:
        """How far back of a grid point its judgement looks at single minutes."""
        if self.on_silence is not NoData.ALERT:
            return self.looks_back
        return self.silence + self.looks_back + self.every + GRID

    @property
    def looks_back(self) -> timedelta:
        """How far back of a grid point the condition itself looks."""
        return self.window

    @property
    def level(self) -> float | None:
        """The number that makes it laxer or stricter; None: it has none."""
        return None

    @property
    def severity_shown(self) -> int | None:
        """The severity of its alerts; None where it follows from what is found."""
        return self.severity or USUAL_SEVERITY

    def severity_of(self, found: int | None) -> int:
        """The severity of an alert whose finding asks for ``found``; what is written goes first."""
        return self.severity or found or USUAL_SEVERITY

    def spellings(self, key: str) -> tuple[str, ...]:
        """The key and its aliases."""
        return (key, *self.aliases.get(key, ()))

    def at(self, key: str) -> Self:
        """The rule as it holds for ``key``."""
        changes: dict[str, Any] = {}
        for override in self.overrides:
            if key in override["keys"]:
                changes |= {name: value for name, value in override.items() if name != "keys"}
        return msgspec.structs.replace(self, **changes) if changes else self

    def faults(self) -> Iterator[str]:
        """What is wrong with it, apart from names that only the whole file knows."""
        for name, value in (("window", self.window), ("every", self.every)):
            if value <= timedelta(0) or value % GRID:
                yield f"`{name}` must be a whole number of minutes, at least one"
        if self.for_duration < timedelta(0):
            yield "`for` cannot be negative"
        if self.keep_firing_for < timedelta(0):
            yield "`keep_firing_for` cannot be negative"
        if self.no_data_after is not None and self.no_data_after < GRID:
            yield "`no_data_after` must be a minute at least"
        if not self.kinds:
            yield "`kinds` is empty; leave it out for news and comments"
        if self.aliases and self.scope == "all":
            yield "`aliases` are for keys, and the scope `all` has none"
        spelled = [spelling for names in self.aliases.values() for spelling in names]
        if twice := [one for one in spelled if spelled.count(one) > 1 or one in self.keys]:
            yield f"`aliases`: {twice[0]!r} stands for two keys"
