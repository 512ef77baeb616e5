"""Arithmetic and memory of a device: autocast, loss scaling, waiting for it, the most it has held."""

import resource
from pathlib import Path

import torch
from torch.amp import GradScaler

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_STATUS = Path("/proc/self/status")
"""Linux's getrusage starts a new process at the size of its parent, which hides the process's own peak."""


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Context of the forward pass; fp32 leaves everything as it is."""
    return torch.autocast(device.type, _DTYPES[precision], enabled=precision != "fp32")


def loss_scaler(device: torch.device, precision: str) -> GradScaler:
    """Dynamic loss scaling for fp16, nothing for the others."""
    return GradScaler(device.type, enabled=precision == "fp16")


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_bytes(device: torch.device) -> int:
    """Largest memory so far: allocated on a GPU, else resident of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
