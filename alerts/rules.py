"""Rules and receivers as people write them: a TOML file, checked before anything runs.

Knows no bucket, no state and no clock. docs/rules.md describes every field.
"""

import math
import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from alerts.fields import Identifier, RulesError, Severity, duration
from alerts.locating import line_of
from alerts.policies import (
    Flapping,
    Grouping,
    Inhibition,
    PipelinePolicy,
    faults,
    matcher_fault,
)
from alerts.receiver_config import CONSOLE, Receiver, resolve
from alerts.routing import Maintenance, Route, check_routing

__all__ = [
    "GRID",
    "Metric",
    "NoData",
    "Receiver",
    "Rule",
    "RuleSet",
    "RulesError",
    "duration",
    "load_rules",
    "locate_mistakes",
    "parse_rules",
]

GRID = timedelta(minutes=1)
"""Rules are judged at whole multiples of this, counted from the UNIX epoch."""

_DURATION_FIELDS = {
    "window", "every", "for", "keep_firing_for", "no_data_after", "timeout", "give_up_after",
    "wait", "interval", "repeat", "span", "stalled_after", "lagging_after",
}  # fmt: skip
_TABLES = ("rules", "receivers", "grouping", "flapping", "pipeline")
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


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A threshold rule: fires for a key while the metric of its window is beyond the threshold.

    ``keys`` empty means every key of the scope. ``clear`` is where a firing alert ends
    (hysteresis); by default it is the threshold itself. ``keep_firing_for`` is how long it must
    be clear before the alert ends.
    """

    name: Identifier
    metric: Metric
    threshold: float
    scope: Literal["all", "topic", "symbol", "source"] = "topic"
    keys: tuple[str, ...] = ()
    kinds: tuple[Literal["news", "comment"], ...] = ("news", "comment")
    operator: Literal[">=", "<="] = ">="
    clear: float | None = None
    window: timedelta = timedelta(hours=1)
    every: timedelta = timedelta(minutes=5)
    for_duration: timedelta = msgspec.field(name="for", default=timedelta(0))
    keep_firing_for: timedelta = timedelta(0)
    no_data: NoData | None = None
    no_data_after: timedelta | None = None
    min_documents: Annotated[int, msgspec.Meta(ge=0)] = 10
    severity: Severity = 5
    receivers: tuple[str, ...] = ("console",)

    @property
    def clear_threshold(self) -> float:
        """Where a firing alert ends."""
        return self.threshold if self.clear is None else self.clear

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
        """How far back of a grid point its judgement looks."""
        if self.on_silence is not NoData.ALERT:
            return self.window
        return self.silence + self.window + self.every + GRID


class RuleSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything in one rules file."""

    rules: tuple[Rule, ...] = ()
    receivers: tuple[Receiver, ...] = (Receiver(name=CONSOLE, type="console"),)
    routes: tuple[Route, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    templates: str = "templates"
    grouping: Grouping = Grouping()
    flapping: Flapping = Flapping()
    inhibit: tuple[Inhibition, ...] = ()
    pipeline: PipelinePolicy = PipelinePolicy()

    def rule(self, name: str) -> Rule | None:
        """The rule of that name."""
        return next((r for r in self.rules if r.name == name), None)

    @property
    def pipeline_receivers(self) -> tuple[str, ...]:
        """Who is told that the pipeline is stalled or lags."""
        if self.pipeline.receivers is not None:
            return self.pipeline.receivers
        return tuple(r.name for r in self.receivers if r.name == CONSOLE)

    def receiver(self, name: str) -> Receiver | None:
        """The receiver of that name."""
        return next((r for r in self.receivers if r.name == name), None)


def load_rules(path: Path, environment: Mapping[str, str] | None = None) -> RuleSet:
    """Read and check a rules file. Raises RulesError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RulesError(f"cannot read the rules file {path}: {error.strerror}") from error
    return locate_mistakes(content, str(path), environment or {})


def locate_mistakes(
    content: bytes, where: str, environment: Mapping[str, str] | None = None
) -> RuleSet:
    """``parse_rules``, whose RulesError names the line, too, where it is known."""
    try:
        return parse_rules(content, where, environment)
    except RulesError as error:
        said = str(error).removeprefix(f"{where}: ")
        line = line_of(content.decode("utf-8", "replace"), said)
        raise (RulesError(f"{where}:{line}: {said}") if line else error) from error.__cause__


def parse_rules(content: bytes, where: str, environment: Mapping[str, str] | None) -> RuleSet:
    """The rules in ``content``; ``where`` names them in messages. Raises RulesError.

    Without an ``environment`` the receivers stay as they are written and no template is read:
    such rules can be judged by, but nobody can be told.
    """
    try:
        plain = tomllib.loads(content.decode("utf-8"))
        _read_durations(plain)
        rules = msgspec.convert(plain, RuleSet, builtin_types=(datetime, timedelta))
    except (msgspec.ValidationError, ValueError) as error:
        raise RulesError(f"{where}: {error}") from error
    _check_names(rules, where)
    _check_policies(rules, where)
    if environment is not None:
        templates = Path(where).parent / rules.templates
        receivers = resolve(rules.receivers, templates, where, environment)
        rules = msgspec.structs.replace(rules, receivers=receivers, templates=str(templates))
    check_routing(rules.routes, rules.maintenance, {r.name for r in rules.receivers}, where)
    for rule in rules.rules:
        _check(rule, rules, f"{where}: rule {rule.name!r}")
    return rules


def _read_durations(plain: dict[str, Any]) -> None:
    """Replace the duration texts of rules and receivers, in place."""
    for table in _TABLES:
        entries = plain.get(table, [])
        for entry in entries if isinstance(entries, list) else [entries]:
            for name in _DURATION_FIELDS & (entry.keys() if isinstance(entry, dict) else set()):
                try:
                    entry[name] = duration(entry[name])
                except (TypeError, ValueError, OverflowError) as error:
                    raise ValueError(f"{entry.get('name', table)!r}: `{name}`: {error}") from error


def _check_names(rules: RuleSet, where: str) -> None:
    for kind, names in (
        ("rule", [rule.name for rule in rules.rules]),
        ("receiver", [receiver.name for receiver in rules.receivers]),
    ):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise RulesError(f"{where}: two {kind}s are called {twice[0]!r}")


def _check_policies(rules: RuleSet, where: str) -> None:
    found = faults(rules.grouping, rules.flapping, rules.pipeline)
    found += [fault for fault in map(matcher_fault, rules.inhibit) if fault]
    known = {receiver.name for receiver in rules.receivers}
    found += [
        f"pipeline: there is no receiver called {name!r}"
        for name in rules.pipeline_receivers
        if name not in known
    ]
    if found:
        raise RulesError(f"{where}: {found[0]}")


def _check(rule: Rule, rules: RuleSet, where: str) -> None:
    for name, value in (("window", rule.window), ("every", rule.every)):
        if value <= timedelta(0) or value % GRID:
            raise RulesError(f"{where}: `{name}` must be a whole number of minutes, at least one")
    if rule.for_duration < timedelta(0):
        raise RulesError(f"{where}: `for` cannot be negative")
    if rule.keep_firing_for < timedelta(0):
        raise RulesError(f"{where}: `keep_firing_for` cannot be negative")
    if rule.no_data_after is not None and rule.no_data_after < GRID:
        raise RulesError(f"{where}: `no_data_after` must be a minute at least")
    if not rule.kinds:
        raise RulesError(f"{where}: `kinds` is empty; leave it out for news and comments")
    if rule.min_documents == 0 and not rule.keys and rule.scope != "all":
        raise RulesError(f"{where}: with `min_documents` 0 the `keys` must be named")
    if unknown := [name for name in rule.receivers if rules.receiver(name) is None]:
        raise RulesError(f"{where}: there is no receiver called {unknown[0]!r}")
    _check_thresholds(rule, where)


def _check_thresholds(rule: Rule, where: str) -> None:
    threshold, clear = rule.threshold, rule.clear_threshold
    if not (math.isfinite(threshold) and math.isfinite(clear)):
        raise RulesError(f"{where}: `threshold` and `clear` must be numbers")
    if clear != threshold and (clear > threshold) == (rule.operator == ">="):
        raise RulesError(f"{where}: `clear` lies on the wrong side of `threshold`")
    if rule.metric is Metric.NEGATIVE_SHARE and not 0 <= threshold <= 1:
        raise RulesError(f"{where}: a share lies between 0 and 1, not at {threshold}")
    if rule.metric is Metric.MEAN_SCORE and not -1 <= threshold <= 1:
        raise RulesError(f"{where}: a mean score lies between -1 and 1, not at {threshold}")
