"""Overrides: what holds for some keys of a rule only. From tables as they are written to checked
values of the rule's own fields.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from alerts.common.fields import RulesError
from alerts.rules.kinds import AnyRule

CHANGEABLE = {
    "threshold", "clear", "min_band", "min_history", "min_texts", "fall", "for", "keep_firing_for",
    "min_documents", "severity", "receivers",
}  # fmt: skip
"""What a key may have for itself; the rest says what is read, and is the same for all keys."""


def resolve_overrides(rule: AnyRule, where: str) -> AnyRule:
    """The rule with its overrides checked; ``where`` names it in messages. Raises RulesError."""
    if not rule.overrides:
        return rule
    resolved, seen = [], set[str]()
    for number, override in enumerate(rule.overrides, 1):
        here = f"{where}, override {number}"
        changes = _changes(rule, override, here)
        if twice := seen.intersection(changes["keys"]):
            raise RulesError(f"{here}: `keys`: {min(twice)!r} has an override already")
        seen.update(changes["keys"])
        resolved.append(changes)
    return msgspec.structs.replace(rule, overrides=tuple(resolved))


def variants(rule: AnyRule) -> Sequence[AnyRule]:
    """The rule, and as it holds for the keys of each override."""
    return [rule, *(rule.at(override["keys"][0]) for override in rule.overrides)]


def _changes(rule: AnyRule, override: Mapping[str, Any], where: str) -> dict[str, Any]:
    keys = override.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise RulesError(f"{where}: `keys` must be a list of the keys that it holds for")
    if rule.keys and (strange := [key for key in keys if key not in rule.keys]):
        raise RulesError(f"{where}: `keys`: the rule does not judge {strange[0]!r}")
    fields = {name: value for name, value in override.items() if name != "keys"}
    known = {field.encode_name: field for field in msgspec.structs.fields(rule)}
    usable = sorted(CHANGEABLE & known.keys())
    if unknown := sorted(fields.keys() - set(usable)):
        raise RulesError(
            f"{where}: `{unknown[0]}` cannot be overridden; these can: {', '.join(usable)}"
        )
    if not fields:
        raise RulesError(f"{where}: it changes nothing; give one of {', '.join(usable)}")
    changed = {}
    for name, value in fields.items():
        try:
            changed[known[name].name] = msgspec.convert(
                value, known[name].type, builtin_types=(datetime, timedelta)
            )
        except msgspec.ValidationError as error:
            raise RulesError(f"{where}: `{name}`: {error}") from error
    for fault in msgspec.structs.replace(rule, overrides=(), **changed).faults():
        raise RulesError(f"{where}: {fault}")
    return {"keys": tuple(keys), **changed}
