"""Rules and receivers as people write them: a TOML file, checked before anything runs.

Knows no bucket, no state and no clock. docs/rules.md describes every field.
"""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import msgspec

from alerts.common.fields import RulesError, duration
from alerts.common.links import is_address
from alerts.common.locating import line_of
from alerts.receivers.config import resolve
from alerts.receivers.receiver import CONSOLE, Receiver
from alerts.rules.kinds import AnyRule, CompositeRule, SpikeRule, ThresholdRule, TrendRule
from alerts.rules.overrides import resolve_overrides, variants
from alerts.rules.policies import (
    Flapping,
    Grouping,
    Inhibition,
    PipelinePolicy,
    faults,
    matcher_fault,
)
from alerts.rules.routing import Maintenance, Route, check_routing
from alerts.rules.rule import GRID, Metric, NoData, Rule
from alerts.rules.watchlists import read_watchlist

__all__ = [
    "GRID",
    "AnyRule",
    "CompositeRule",
    "Metric",
    "NoData",
    "Receiver",
    "Rule",
    "RuleSet",
    "RulesError",
    "SpikeRule",
    "ThresholdRule",
    "TrendRule",
    "duration",
    "load_rules",
    "locate_mistakes",
    "parse_rules",
]

_DURATION_FIELDS = {
    "window", "every", "for", "keep_firing_for", "no_data_after", "timeout", "give_up_after",
    "wait", "interval", "repeat", "span", "stalled_after", "lagging_after",
    "history", "min_history",
}  # fmt: skip
_TABLES = ("rules", "receivers", "grouping", "flapping", "pipeline")


class RuleSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything in one rules file."""

    rules: tuple[AnyRule, ...] = ()
    receivers: tuple[Receiver, ...] = (Receiver(name=CONSOLE, type="console"),)
    routes: tuple[Route, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    templates: str = "templates"
    dashboard: str | None = None
    grouping: Grouping = Grouping()
    flapping: Flapping = Flapping()
    inhibit: tuple[Inhibition, ...] = ()
    pipeline: PipelinePolicy = PipelinePolicy()

    def rule(self, name: str) -> AnyRule | None:
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
        _name_kinds(plain)
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
    folder = None if environment is None else Path(where).parent
    checked = tuple(
        _checked(rule, rules, folder, f"{where}: rule {rule.name!r}") for rule in rules.rules
    )
    _check_circles(checked, where)
    return msgspec.structs.replace(rules, rules=checked)


def _read_durations(plain: dict[str, Any]) -> None:
    """Replace the duration texts of rules and receivers, in place."""
    for table in _TABLES:
        for entry in _entries(plain, table):
            name = entry.get("name", table)
            _read_durations_of(entry, repr(name))
            for number, override in enumerate(_entries(entry, "overrides"), 1):
                _read_durations_of(override, f"rule {name!r}, override {number}")


def _read_durations_of(part: dict[str, Any], where: str) -> None:
    for name in _DURATION_FIELDS & part.keys():
        try:
            part[name] = duration(part[name])
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{where}: `{name}`: {error}") from error


def _entries(plain: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The tables of a name, be it one or a list of them."""
    found = plain.get(name, [])
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def _name_kinds(plain: dict[str, Any]) -> None:
    """A rule that does not say its kind is a threshold."""
    for rule in _entries(plain, "rules"):
        rule.setdefault("type", "threshold")


def _check_names(rules: RuleSet, where: str) -> None:
    for kind, names in (
        ("rule", [rule.name for rule in rules.rules]),
        ("receiver", [receiver.name for receiver in rules.receivers]),
    ):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise RulesError(f"{where}: two {kind}s are called {twice[0]!r}")


def _check_policies(rules: RuleSet, where: str) -> None:
    if rules.dashboard is not None and not is_address(rules.dashboard):
        raise RulesError(
            f"{where}: `dashboard` is the address at which people reach the dashboard, such as "
            "https://tapewatch.example.com"
        )
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


def _checked(rule: AnyRule, rules: RuleSet, folder: Path | None, where: str) -> AnyRule:
    """The rule with its watch-list read from ``folder`` and its overrides resolved.

    Raises RulesError.
    """
    rule = resolve_overrides(_with_watchlist(rule, folder, where), where)
    for fault in rule.faults():
        raise RulesError(f"{where}: {fault}")
    named = [name for variant in variants(rule) for name in variant.receivers]
    if unknown := [name for name in named if rules.receiver(name) is None]:
        raise RulesError(f"{where}: there is no receiver called {unknown[0]!r}")
    if isinstance(rule, CompositeRule):
        _check_members(rule, rules, where)
    return rule


def _with_watchlist(rule: AnyRule, folder: Path | None, where: str) -> AnyRule:
    if rule.watchlist is None:
        return rule
    if folder is None:
        raise RulesError(f"{where}: `watchlist` is a file beside the rules; here, write the `keys`")
    if rule.keys or rule.aliases or rule.names:
        raise RulesError(f"{where}: `watchlist` stands instead of `keys`, `aliases` and `names`")
    if rule.scope == "all":
        raise RulesError(f"{where}: `watchlist` is of keys, and the scope `all` has none")
    entries = read_watchlist(folder / rule.watchlist)
    return msgspec.structs.replace(
        rule,
        keys=tuple(entry.key for entry in entries),
        aliases={entry.key: entry.aliases for entry in entries if entry.aliases},
        names={entry.key: entry.name for entry in entries if entry.name},
    )


def members_first(rules: Iterable[CompositeRule]) -> list[str]:
    """Their names, each behind those of its own members. Raises CycleError for a circle."""
    names = {rule.name: rule.members for rule in rules}
    return [name for name in TopologicalSorter(names).static_order() if name in names]


def _check_circles(rules: Iterable[AnyRule], where: str) -> None:
    try:
        members_first(rule for rule in rules if isinstance(rule, CompositeRule))
    except CycleError as error:
        circle = error.args[1][::-1]
        raise RulesError(
            f"{where}: rule {circle[0]!r}: is made of itself: {' of '.join(circle)}"
        ) from error


def _check_members(rule: CompositeRule, rules: RuleSet, where: str) -> None:
    field = "all" if rule.all_of else "any"
    for name in rule.members:
        member = rules.rule(name)
        if member is None:
            raise RulesError(f"{where}: `{field}`: there is no rule called {name!r}")
        if member.scope != rule.scope:
            raise RulesError(f"{where}: `{field}`: {name!r} is of the scope {member.scope!r}")
