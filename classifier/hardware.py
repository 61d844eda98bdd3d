"""What the device at hand does well: where it is, and whether bfloat16 is fast there."""

import torch


def resolve_device(name: str = "auto") -> torch.device:
    """The device of that name; ``auto`` is the first GPU if there is one, else the processor."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware.

    Processors without AMX or AVX512-BF16 emulate it, some ten times slower than float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def wants_bf16(precision: str) -> bool:
    """Whether training goes in bfloat16: ``auto`` where it is fast, ``bf16`` always."""
    if precision == "auto":
        return fast_bf16(resolve_device())
    return precision == "bf16"
