"""The champion at work: who serves by the settings, and a scorer that follows a promotion.

A batch is scored wholly by one version: the look at the registry, one ``stat``, and the change
come between two batches, and what another version has tokenized is tokenized anew. New weights are
loaded on a thread of their own, so that weights that take longer than Kafka would wait do not hold
up the polling; until they are there, and if they never come, the old ones go on. Both are in memory
for that while. Knows neither Kafka nor the store.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from classifier.continual.registry import Registry, RegistryError
from classifier.labels import Labels
from classifier.prediction import Prediction
from tapewatch.settings import ROOT, Settings

log = structlog.get_logger(__name__)

SHIPPED = ROOT / "classifier" / "weights"
PATIENCE_SECONDS = 60.0
"""How long a batch waits for new weights before the old ones score it. Kafka's clients are given
up after five minutes without a poll."""


Tokenized = Any
"""A text as one model reads it, of so many tokens as ``len`` says: for its own ``predict`` only."""


class Model(Protocol):
    """What scores texts and says which weights it does so by."""

    @property
    def version(self) -> str:
        """The version of the weights."""

    @property
    def labels(self) -> Labels:
        """The names of their topics and sentiments."""

    def score(self, texts: Sequence[str]) -> Sequence[Prediction]:
        """One prediction a text, in order."""

    def tokenize(self, texts: Sequence[str]) -> Sequence[Tokenized]:
        """The first half of ``score``."""

    def predict(self, tokenized: Sequence[Tokenized]) -> Sequence[Prediction]:
        """The second half of ``score``."""


Load = Callable[[Path], Model]


def open_registry(settings: Settings) -> Registry:
    """The weights registry of the settings, over the weights that ship."""
    return Registry(settings.models_dir, SHIPPED)


def fixed_weights(settings: Settings) -> Path | None:
    """The folder that TAPEWATCH_WEIGHTS names; None where the registry has its say."""
    return settings.weights if "weights" in settings.model_fields_set else None


def serving_folder(settings: Settings) -> Path:
    """The weights that serve: those that were named, else the champion's. Raises RegistryError."""
    return fixed_weights(settings) or open_registry(settings).champion_folder()


@dataclass(frozen=True, slots=True)
class _Loading:
    """Weights on their way into memory; batches wait for them until ``deadline`` (monotonic)."""

    folder: Path
    model: "Future[Model]"
    deadline: float


class ChampionScorer:
    """Scores by the registry's champion, whoever that is when a batch begins.

    ``load`` makes a model of a folder of weights and may raise what it likes: only the first
    load, in the constructor, lets an error out.
    """

    def __init__(
        self, registry: Registry, load: Load, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._registry = registry
        self._load = load
        self._patience = patience_seconds
        self._loader = ThreadPoolExecutor(1, "weights")
        self._loading: _Loading | None = None
        self._stamp = registry.stamp()
        self._folder = registry.champion_folder()
        self._model = load(self._folder)

    @property
    def version(self) -> str:
        """The version that scored last, or will score first."""
        return self._model.version

    @property
    def labels(self) -> Labels:
        """The labels of that version."""
        return self._model.labels

    @property
    def padding_ratio(self) -> float | None:
        """Share of padding in what went through the model last, if the model says so."""
        return getattr(self._model, "padding_ratio", None)

    def score(self, texts: Sequence[str]) -> Sequence[Prediction]:
        """One prediction a text, in order, all by one version."""
        self._follow()
        return self._model.score(texts)

    def tokenize(self, texts: Sequence[str]) -> Sequence[Tokenized]:
        """As the version reads them that serves at this moment. Safe beside ``predict``."""
        return self._model.tokenize(texts)

    def predict(self, tokenized: Sequence[Tokenized]) -> Sequence[Prediction]:
        """One prediction a text, in order, all by one version, whichever has tokenized them."""
        self._follow()
        model = self._model
        if any(text.model != model.version for text in tokenized):
            tokenized = model.tokenize([text.text for text in tokenized])
        return model.predict(tokenized)

    def close(self) -> None:
        """Begin no more loading."""
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _follow(self) -> None:
        champion = self._changed()
        if champion == self._folder:
            self._loading = None
        elif champion is not None and (self._loading is None or champion != self._loading.folder):
            log.info("champion_changed", weights=champion.name, was=self.version)
            loading = self._loader.submit(self._ready, champion)
            self._loading = _Loading(champion, loading, time.monotonic() + self._patience)
        if self._loading is not None:
            self._switch(self._loading)

    def _changed(self) -> Path | None:
        """The champion's folder, once for each change of the registry; None between."""
        try:
            stamp = self._registry.stamp()
            if stamp == self._stamp:
                return None
            self._stamp = stamp
            if stamp is not None:
                return self._registry.champion_folder()
            error: Exception = RegistryError(f"the registry in {self._registry.root} is gone")
        except (RegistryError, OSError) as caught:
            error = caught
        log.error("champion_unknown", error=str(error), still=self.version)
        return None

    def _ready(self, folder: Path) -> Model:
        """Load and score once, so that weights that cannot serve are found out here."""
        model = self._load(folder)
        if len(model.score(["ready"])) != 1:
            raise RuntimeError("a text did not come back as one prediction")
        return model

    def _switch(self, loading: _Loading) -> None:
        """Take the new model if it is there in time; if it cannot be had, stay with the old."""
        done, _ = wait([loading.model], max(0.0, loading.deadline - time.monotonic()))
        if not done:
            log.debug("weights_still_loading", weights=loading.folder.name, still=self.version)
            return
        self._loading = None
        error = loading.model.exception()
        if error is not None:
            log.error(
                "weights_not_loaded",
                weights=loading.folder.name,
                error=f"{type(error).__name__}: {error}",
                still=self.version,
            )
            return
        was, self._folder, self._model = self.version, loading.folder, loading.model.result()
        log.info("weights_switched", model=self.version, was=was)
