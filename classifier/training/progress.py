"""Progress of long training, told to whoever asked, and where a killed run goes on."""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import logging as hf_logging

Callbacks = Sequence[TrainerCallback]
Told = Callable[[int, int, Mapping[str, float]], None]
"""Called with steps done, steps in all, and the newest figures (losses, learning rate)."""

_RUN_FILE = "run.sha256"


def hush_transformers() -> None:
    """Leave the screen to our own progress: transformers' bars and notes would run across it."""
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()


class Progress(TrainerCallback):
    """Tells every step, and the losses as the Trainer logs them."""

    def __init__(self, tell: Told) -> None:
        self._tell = tell
        self._figures: dict[str, float] = {}

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 - the Trainer's signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **_: object,
    ) -> None:
        """One step more."""
        self._tell(state.global_step, state.max_steps, self._figures)

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: Mapping[str, float] | None = None,
        **_: object,
    ) -> None:
        """New figures."""
        self._figures.update(logs or {})
        self._tell(state.global_step, state.max_steps, self._figures)


def last_state(folder: Path) -> str | None:
    """The newest state that a Trainer saved below ``folder``, to go on from; None for a start.

    A state that a kill left half written is passed over: the Trainer's own record comes last.
    """
    whole = [record.parent for record in folder.glob(f"*/{TRAINER_STATE_NAME}")]
    return str(max(whole, key=lambda state: int(state.name.rpartition("-")[2]))) if whole else None


def forget_other_run(folder: Path, run: object) -> None:
    """Remove ``folder`` if another run left it; runs are told apart by the ``repr`` of ``run``."""
    record, name = folder / _RUN_FILE, hashlib.sha256(repr(run).encode()).hexdigest()
    if record.is_file() and record.read_text() != name:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(name)
