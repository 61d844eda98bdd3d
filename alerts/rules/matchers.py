"""Matchers: which alerts a silence or an inhibition is about. Pure.

A matcher is a field and a pattern: ``rule``, ``scope`` and ``key`` take shell-like patterns
(``bank-*``), ``severity`` a number or a comparison (``>=7``). All of them must match.
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Protocol

FIELDS = ("rule", "scope", "key", "severity")

_SEVERITY = re.compile(r"(>=|<=)?\s*(\d+)")


class MatcherError(ValueError):
    """A matcher cannot be used; the message says what to write."""


class Labelled(Protocol):
    """Whatever has the fields that can be matched: an alert, an event."""

    @property
    def rule(self) -> str:
        """Name of the rule."""
        ...

    @property
    def scope(self) -> str:
        """Scope of the rule."""
        ...

    @property
    def key(self) -> str:
        """Topic, symbol or source; empty for the scope ``all``."""
        ...

    @property
    def severity(self) -> int:
        """From 1 to 10."""
        ...


def parse_matchers(texts: Iterable[str]) -> dict[str, str]:
    """``field=pattern`` texts, as of a command line; ``severity>=7`` too. Raises MatcherError."""
    found: dict[str, str] = {}
    for text in texts:
        parts = re.fullmatch(r"\s*(\w+)\s*(>=|<=|=)(.*)", text, re.DOTALL)
        if parts is None:
            raise MatcherError(f"{text!r} is no matcher; write FIELD=PATTERN, such as key=CPLB")
        name, sign, pattern = parts[1], parts[2], parts[3].strip()
        if name in found:
            raise MatcherError(f"{name!r} is matched twice; one pattern a field")
        if sign != "=" and name != "severity":
            raise MatcherError(f"{text!r}: only severity is compared; write {name}=PATTERN")
        found[name] = pattern if sign == "=" else sign + pattern
    return check_matchers(found)


def check_matchers(matchers: Mapping[str, str]) -> dict[str, str]:
    """The matchers, if they can be used. Raises MatcherError."""
    if not matchers:
        raise MatcherError("without a matcher everything would match; write key=* if that is meant")
    if unknown := sorted(matchers.keys() - set(FIELDS)):
        raise MatcherError(f"{unknown[0]!r} cannot be matched; fields: {', '.join(FIELDS)}")
    severity = matchers.get("severity")
    if severity is not None and not _SEVERITY.fullmatch(severity.strip()):
        raise MatcherError(f"severity {severity!r} is neither a number nor one after >= or <=")
    return dict(matchers)


def matches(matchers: Mapping[str, str], alert: Labelled) -> bool:
    """Whether every matcher fits; no matcher at all fits nothing."""
    return bool(matchers) and all(_fits(name, of, alert) for name, of in matchers.items())


def _fits(name: str, pattern: str, alert: Labelled) -> bool:
    if name == "severity":
        return _severity_fits(pattern, alert.severity)
    return fnmatchcase(str(getattr(alert, name)), pattern)


def _severity_fits(pattern: str, severity: int) -> bool:
    parts = _SEVERITY.fullmatch(pattern.strip())
    if parts is None:
        return False
    asked = int(parts[2])
    if parts[1] == ">=":
        return severity >= asked
    return severity <= asked if parts[1] == "<=" else severity == asked
