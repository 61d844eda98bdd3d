"""The weights as the dashboard shows them: who serves, whose card says what, who would win.

Joins the registry and the decision on a promotion with the page that draws them. Loads no weights.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from alerts.common.fields import RulesError
from alerts.rules.ruleset import RuleSet
from classifier.continual.drift import DriftError
from classifier.continual.promotion import decide, read_card
from classifier.continual.registry import CARD_FILE, Registry, RegistryError, State, version_of
from classifier.continual.stability import DRIFTED, MODERATE
from dashboard.model.lineup import Change, Compared, Contest, Lineup, Models, ModelsError
from store.database import Database
from tapewatch.champion import fixed_weights, open_registry
from tapewatch.drifting import Weights, measure_days, open_weights
from tapewatch.settings import Settings
from tapewatch.wiring import existing_run, read_rules


def open_models(database: Database) -> Models:
    """The ways to the weights of the settings, read anew on each look."""

    def lineup() -> Lineup:
        with _told():
            return read_lineup(Settings())

    def card(version: str) -> Mapping[str, Any]:
        with _told():
            return read_plain_card(open_weights(Settings()), version)

    def measure(run_name: str) -> int:
        with _told():
            run = existing_run(database, run_name)
            return len(measure_days(database, open_weights(Settings()), run, datetime.now(UTC)))

    return Models(lineup, card, measure, (MODERATE, DRIFTED))


def read_lineup(settings: Settings) -> Lineup:
    """Every version and its role, and what would become of the challenger. Raises RegistryError."""
    registry, fixed = open_registry(settings), fixed_weights(settings)
    state, shipped = registry.state(), registry.shipped_version()
    champion = state.champion or shipped
    serving = version_of(fixed) if fixed else champion
    versions = registry.versions()
    return Lineup(
        serving=serving,
        champion=champion,
        challenger=state.challenger,
        shipped=shipped,
        versions=versions if serving in versions else [serving, *versions],
        history=[Change(e.at, e.version, str(e.role), e.by, e.reason) for e in state.history],
        contest=_contest(settings, registry, state),
        elsewhere=settings.scorer_url is not None,
    )


def read_plain_card(weights: Weights, version: str) -> dict[str, Any]:
    """The card of a version as plain data. Raises RegistryError."""
    path = weights.folder(version) / CARD_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RegistryError(f"the card {path} cannot be read: {error}") from error


def watched_topics(rules: RuleSet, topics: Iterable[str]) -> frozenset[str]:
    """The topics that rules watch: those they name, or all ``topics`` where one names none."""
    by_topic = [rule for rule in rules.rules if rule.scope == "topic"]
    named = {key for rule in by_topic for key in rule.keys}
    return frozenset(named if all(rule.keys for rule in by_topic) else named | set(topics))


def _contest(settings: Settings, registry: Registry, state: State) -> Contest | str | None:
    """As ``tapewatch promote`` decides; why not, where a card or the rules cannot be read."""
    if state.challenger is None:
        return None
    try:
        champion = read_card(registry.champion_folder())
        challenger = read_card(registry.folder(state.challenger))
        watched = watched_topics(read_rules(settings), champion.labels.topics)
    except (RegistryError, RulesError) as error:
        return str(error)
    decision = decide(champion, challenger, watched)
    return Contest(
        decision.promotes,
        str(decision.reason),
        [objection.detail for objection in decision.objections],
        [
            Compared(c.test, c.head, c.figure, c.champion, c.least, c.challenger)
            for c in decision.comparisons
        ],
    )


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong with the registry or a card, as the page takes it."""
    try:
        yield
    except (RegistryError, DriftError) as error:
        raise ModelsError(str(error)) from error
