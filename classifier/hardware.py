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


def has_onednn() -> bool:
    """Whether torch brings oneDNN, whose products it calls mkldnn and onednn."""
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def exact_int8() -> bool:
    """Whether the processor multiplies 8-bit integers into 32 bits, fast and without overflow."""
    capabilities = torch.cpu.get_capabilities()
    if not has_onednn() or capabilities.get("architecture") != "x86_64":
        return False
    return any(capabilities.get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


def wants_bf16(precision: str) -> bool:
    """Whether training goes in bfloat16: ``auto`` where it is fast, ``bf16`` always."""
    if precision == "auto":
        return fast_bf16(resolve_device())
    return precision == "bf16"
