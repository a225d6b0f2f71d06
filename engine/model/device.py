"""Which device and which precision this machine offers."""

from __future__ import annotations

import torch

from engine.config import Device
from engine.errors import DeviceError


def choose(asked: Device) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU."""
    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise DeviceError(
            "There is no CUDA device on this machine: leave --device out, or say --device cpu."
        )
    return torch.device("cuda" if available and asked != "cpu" else "cpu")


def bf16_is_fast(device: torch.device) -> bool:
    """Whether the processor or GPU multiplies bfloat16 in hardware; emulated, it would be
    slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
