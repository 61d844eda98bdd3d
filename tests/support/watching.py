"""What can be seen of a training from within, and how a kill looks from there."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback


class StoppedError(Exception):
    """What a kill looks like from within."""


class Watch(TrainerCallback):
    """The steps and losses of a run; ends it after a step if told to."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.fail_after = fail_after
        self.steps: list[int] = []
        self.losses: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One step more; the last, if it is the one to fail after."""
        self.steps.append(state.global_step)
        if state.global_step == self.fail_after:
            raise StoppedError

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Every loss that the Trainer tells, by whichever name."""
        self.losses += [value for name, value in (logs or {}).items() if "loss" in name]
