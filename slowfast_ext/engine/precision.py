"""Autocast and loss scaling for each precision."""

import torch
from torch.amp import GradScaler

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Context of the forward pass; fp32 leaves everything as it is."""
    return torch.autocast(device.type, _DTYPES[precision], enabled=precision != "fp32")


def loss_scaler(device: torch.device, precision: str) -> GradScaler:
    """Dynamic loss scaling for fp16, nothing for the others."""
    return GradScaler(device.type, enabled=precision == "fp16")
