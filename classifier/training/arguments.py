"""What all runs of transformers' Trainer have in common here: where, how exactly, and in silence.

Progress goes to whoever asked for it (``classifier.training.progress``); one state is kept, which
a killed run goes on from.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from classifier.hardware import wants_bf16


def training_arguments(
    output: Path,
    *,
    precision: str,
    seed: int,
    **given: Any,  # noqa: ANN401 - as transformers takes them
) -> TrainingArguments:
    """Arguments for a run that keeps its states in ``output``; ``given`` are transformers' own."""
    on_gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(output),
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
        bf16=wants_bf16(precision),
        use_cpu=not on_gpu,
        dataloader_pin_memory=on_gpu,
        **given,
    )
