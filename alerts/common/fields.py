"""What every table of a rules file is written with: names, severities, durations, its error.

Knows no rule and no receiver.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import msgspec

Severity = Annotated[int, msgspec.Meta(ge=1, le=10)]
Identifier = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][\w.-]{0,99}$")]

_DURATION = re.compile(r"(\d+)\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class RulesError(ValueError):
    """A rules file cannot be used; the message names the file, the rule and the field."""


class Secret(str):
    """A text that is not shown where its owner is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'(hidden)'"


def duration(text: object) -> timedelta:
    """``90s``, ``30m``, ``1h``, ``2d`` or sums of them such as ``1h30m``. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no duration; write 90s, 30m, 1h, 2d or 1h30m")  # noqa: TRY004
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError(f"{text!r} is no duration; write 90s, 30m, 1h, 2d or 1h30m")
    return sum(
        (timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), start=timedelta(0)
    )


def variables(text: str) -> list[str]:
    """The names of the variables in a text, as ``${NAME}``."""
    return _VARIABLE.findall(text)


def is_variable(text: str) -> bool:
    """Whether the text is one variable and nothing else."""
    return _VARIABLE.fullmatch(text) is not None


def expand(text: str, where: str, environment: Mapping[str, str]) -> Secret:
    """The text with its variables read from ``environment``. Raises RulesError."""
    if missing := [name for name in variables(text) if name not in environment]:
        raise RulesError(f"{where}: the environment has no {', '.join(missing)}")
    return Secret(_VARIABLE.sub(lambda match: environment[match[1]], text))
