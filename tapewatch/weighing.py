"""Words for the cards of alerts: who weighs them, when, and what if there is no model."""

from collections.abc import Callable
from time import monotonic

import structlog

from alerts.cards.weighing import weigh_cards
from classifier.attribution import ExplanationError
from store.database import Database
from store.runs import Run
from tapewatch.champion import Model
from tapewatch.explaining import EngineExplainer, Explainer
from tapewatch.settings import Settings

log = structlog.get_logger(__name__)

_SECONDS = 5.0
"""How long the alerter weighs in one go."""

_REST_SECONDS = 600.0
"""How long it lets be once it could not: what is missing is seldom there a moment later."""


def can_weigh(settings: Settings) -> bool:
    """Whether words are wanted, and the weights that score are on this machine."""
    return settings.card_words and not settings.scorer_url


def weigh_replayed(database: Database, run: Run, settings: Settings, model: Model) -> None:
    """Weigh the gravest cards of a replay by the ``model`` that scored it, where it is at hand."""
    if not can_weigh(settings):
        return
    from classifier.engine import Engine  # noqa: PLC0415 - torch, which is loaded by now

    if isinstance(model, Engine):
        try:
            weigh_cards(database, run.id, EngineExplainer(model))
        except ExplanationError as error:
            log.warning("words_not_weighed", error=str(error))


def card_weigher(database: Database, run: Run, settings: Settings) -> Callable[[], None] | None:
    """What weighs the waiting cards of a run whenever it is called; None where nobody can."""
    if not can_weigh(settings):
        return None
    explainer = Explainer(settings)
    rests_until = 0.0

    def weigh() -> None:
        nonlocal rests_until
        if monotonic() < rests_until:
            return
        try:
            if count := weigh_cards(database, run.id, explainer, _SECONDS):
                log.info("words_weighed", cards=count)
        except ExplanationError as error:
            rests_until = monotonic() + _REST_SECONDS
            log.warning("words_not_weighed", error=str(error))

    return weigh
