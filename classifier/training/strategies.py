"""What of a model is trained, and by which optimizer.

Four strategies: the heads on a frozen trunk, the last blocks as well, everything, or low-rank
matrices beside the frozen weights (LoRA, Hu et al. 2021, by ``peft``), which are merged into the
weights at the end, so that what is saved and served is the same whatever the strategy.
"""

import warnings
from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel

from classifier.errors import ClassifierError
from classifier.model import TwoHeadedModel
from classifier.recipe import Recipe


class StrategyError(ClassifierError, ValueError):
    """The strategy does not fit the base; the message says why."""


def choose_trained(model: TwoHeadedModel, recipe: Recipe) -> None:
    """Freeze what the strategy does not train. The heads are always trained."""
    if recipe.strategy == "lora":
        model.trunk = _with_lora(model.trunk, recipe)
        return
    if recipe.strategy == "full":
        return
    model.trunk.requires_grad_(requires_grad=False)
    if recipe.strategy == "last":
        _thaw_last(model.trunk, recipe.blocks)


def freeze_all_but_last(model: PreTrainedModel, share: float) -> None:
    """Leave only this share of the blocks of ``model`` to be trained, the last, and its norm."""
    model.requires_grad_(requires_grad=False)
    _thaw_last(model, max(1, round(share * len(_blocks(model)))))


def _thaw_last(trunk: nn.Module, count: int) -> None:
    """Let the last ``count`` blocks be trained, and what follows them. Raises StrategyError."""
    stack = _blocks(trunk)
    if count > len(stack):
        raise StrategyError(f"the base has {len(stack)} blocks: the last {count} cannot be trained")
    for block in list(stack)[-count:]:
        block.requires_grad_(requires_grad=True)
    for norm in _after(trunk, stack):
        norm.requires_grad_(requires_grad=True)


def merge_trained(model: TwoHeadedModel) -> None:
    """Make a trained model whole again: LoRA merged into its weights, nothing frozen."""
    merge = getattr(model.trunk, "merge_and_unload", None)
    if merge is not None:
        model.trunk = merge()
    model.requires_grad_(requires_grad=True)


def trained_share(model: nn.Module) -> float:
    """The share of all numbers of the model that is trained."""
    total = sum(p.numel() for p in model.parameters())
    return sum(p.numel() for p in model.parameters() if p.requires_grad) / total


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD over what is trained; vectors (biases, norms) do not decay."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            of_trunk = parameter_name.startswith("trunk.")
            groups.setdefault((of_trunk, parameter.ndim > 1), []).append(parameter)
    settings = [
        {
            "params": parameters,
            "lr": recipe.learning_rate * (1 if of_trunk else recipe.head_factor),
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (of_trunk, decays), parameters in groups.items()
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(settings, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    return torch.optim.AdamW(settings, betas=(0.9, 0.98), fused=True)


def _with_lora(trunk: PreTrainedModel, recipe: Recipe) -> PreTrainedModel:
    try:
        from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise StrategyError(
            "the strategy lora needs the package peft: pip install 'tapewatch[train]'"
        ) from error
    config = LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=0.05,
        target_modules="all-linear",
        fan_in_fan_out=trunk.config.model_type in {"gpt2", "openai-gpt"},
    )
    with warnings.catch_warnings():
        # peft asks transformers for a property under its old name
        warnings.simplefilter("ignore", FutureWarning)
        return cast("PreTrainedModel", get_peft_model(trunk, config))


def _blocks(trunk: nn.Module) -> nn.ModuleList:
    stacks = [module for module in trunk.modules() if isinstance(module, nn.ModuleList)]
    if not stacks:
        raise StrategyError(f"{type(trunk).__name__} has no stack of blocks: train heads or all")
    # Experts are a stack within a block, so the largest is meant, not the longest.
    return max(stacks, key=lambda stack: sum(p.numel() for p in stack.parameters()))


def _after(trunk: nn.Module, stack: nn.ModuleList) -> list[nn.Module]:
    """The modules that follow the stack beside it: the last norm of a GPT."""
    for module in trunk.modules():
        children = list(module.children())
        if any(child is stack for child in children):
            position = next(i for i, child in enumerate(children) if child is stack)
            return children[position + 1 :]
    return []
