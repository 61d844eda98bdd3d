"""Which weights there are, who serves and who wants to: what the page of the model is handed.

The registry, its cards and the decision are the classifier's; this names only what is shown of
them, so that the dashboard needs neither.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


class ModelsError(RuntimeError):
    """The weights cannot be looked at; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who was given which role, when, by whom and why."""

    at: datetime
    version: str
    role: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both; ``least`` is what the challenger must reach."""

    test: str
    head: str
    figure: str
    champion: float
    least: float
    challenger: float

    @property
    def worse(self) -> bool:
        """Whether the challenger falls short."""
        return self.challenger < self.least


@dataclass(frozen=True, slots=True)
class Contest:
    """What ``tapewatch promote`` would say of the challenger now."""

    promotes: bool
    reason: str
    objections: Sequence[str] = ()
    compared: Sequence[Compared] = ()


@dataclass(frozen=True, slots=True)
class Lineup:
    """Every version there is, and the roles; the history is in order of time.

    ``serving`` differs from ``champion`` where the settings name weights. ``elsewhere`` says that
    another machine scores. ``contest`` is a text where it cannot be decided.
    """

    serving: str
    champion: str
    challenger: str | None
    shipped: str
    versions: Sequence[str]
    history: Sequence[Change] = ()
    contest: Contest | str | None = None
    elsewhere: bool = False

    def roles(self, version: str) -> list[str]:
        """What a version is, in words; nothing for one that only lies there."""
        held = {
            "serves now": version == self.serving and not self.elsewhere,
            "champion": version == self.champion,
            "challenger": version == self.challenger,
            "shipped": version == self.shipped,
        }
        return [role for role, holds in held.items() if holds]


@dataclass(frozen=True, slots=True)
class Models:
    """The ways to the weights; each may raise ModelsError.

    ``card`` is the plain data of a version's card. ``measure`` measures the drift of a run, day by
    day, keeps the reports and says how many. ``limits`` are those of a moderate and of a
    large population stability index.
    """

    lineup: Callable[[], Lineup]
    card: Callable[[str], Mapping[str, Any]]
    measure: Callable[[str], int]
    limits: tuple[float, float]
