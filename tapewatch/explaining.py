"""Explaining by the weights that serve now: loaded when somebody first asks, and after a promotion.

torch takes seconds to import, and memory ever after. On the processor: a GPU is the workers'.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.attribution import Explanation, ExplanationError
from classifier.errors import ClassifierError
from tapewatch.champion import serving_folder
from tapewatch.settings import Settings
from tapewatch.wiring import load_engine

if TYPE_CHECKING:
    from classifier.engine import Engine


class EngineExplainer:
    """Explains by weights that are loaded already."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    @property
    def version(self) -> str:
        """The version of the weights."""
        return self._engine.version

    def explain(self, text: str) -> Explanation:
        """How much each word moved the negative probability. Raises ExplanationError."""
        try:
            from classifier.explanation import explain  # noqa: PLC0415 - captum
        except ImportError as error:
            raise _missing(error) from error
        return explain(self._engine, text)


class Explainer:
    """Says which words moved the negative probability, one text at a time, whoever asks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._one_at_a_time = threading.Lock()
        self._folder: Path | None = None
        self._known: EngineExplainer | None = None

    @property
    def version(self) -> str:
        """The version of the weights that explain. Raises ExplanationError."""
        with self._one_at_a_time:
            return self._current().version

    def explain(self, text: str) -> Explanation:
        """How much each word moved the negative probability. Raises ExplanationError."""
        with self._one_at_a_time:
            return self._current().explain(text)

    def _current(self) -> EngineExplainer:
        try:
            folder = serving_folder(self._settings)
            if self._known is None or folder != self._folder:
                self._known = EngineExplainer(load_engine(self._settings, folder, "cpu"))
                self._folder = folder
        except ImportError as error:
            raise _missing(error) from error
        except ClassifierError as error:
            raise ExplanationError(str(error)) from error
        return self._known


def _missing(error: ImportError) -> ExplanationError:
    return ExplanationError(f"explanations need a package that is not installed: {error.name}")
